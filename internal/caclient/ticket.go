package caclient

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"acmebridge/backends"
)

// Ticket is what polling needs: what the CA calls the request, since when, and
// for which key. The hash of the key is there for a person who compares it with
// the CA's, as much as for a program.
type Ticket struct {
	ID    string
	Since time.Time
	Key   [sha256.Size]byte // of the SubjectPublicKeyInfo
	// More is whatever a CA needs besides, without dots.
	More []string
}

// TicketFor is that of a request, by what the CA calls it.
func TicketFor(id string, r backends.Request) Ticket {
	return Ticket{ID: id, Since: r.At, Key: sha256.Sum256(r.PublicKey)}
}

// Text writes it down. form is the first field, "g1"; another one means that a
// program cannot read it.
func (t Ticket) Text(form string) backends.Ticket {
	fields := []string{form, t.ID, strconv.FormatInt(t.Since.Unix(), 10), base64.RawURLEncoding.EncodeToString(t.Key[:])}
	return backends.Ticket(strings.Join(append(fields, t.More...), "."))
}

// ReadTicket reads one of a form, of the CA of that name, whose ids are like that.
// more is how many further fields there may be; none unless said.
func ReadTicket(ca, form string, text backends.Ticket, isID func(string) bool, more ...int) (t Ticket, err error) {
	const own = 4
	fields := strings.Split(string(text), ".")
	if further := len(fields) - own; fields[0] != form || further < 0 || further > 0 && !slices.Contains(more, further) {
		return t, fmt.Errorf("%s: %q is no ticket of this backend", ca, text)
	}
	since, err := strconv.ParseInt(fields[2], 10, 64)
	key, keyErr := base64.RawURLEncoding.DecodeString(fields[3])
	switch {
	case keyErr != nil || len(key) != len(t.Key):
		err = errors.Join(err, errors.New("the hash of the key is damaged"))
	case !isID(fields[1]):
		err = errors.Join(err, errors.New("it does not say what the CA calls the request"))
	}
	if err != nil {
		return Ticket{}, fmt.Errorf("%s: the ticket %q is damaged: %w", ca, text, err)
	}
	t.ID, t.Since = fields[1], time.Unix(since, 0)
	copy(t.Key[:], key)
	if len(fields) > own {
		t.More = fields[own:]
	}
	return t, nil
}
