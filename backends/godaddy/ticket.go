package godaddy

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"acmebridge/backends"
)

// ticket is what polling needs: which order, since when, and for which key.
type ticket struct {
	id    string
	since time.Time
	key   [32]byte // SHA-256 of the SubjectPublicKeyInfo
}

// ticketForm is the first field of a ticket; another one means that this
// program cannot read it.
const ticketForm = "y1"

func (t ticket) String() backends.Ticket {
	return backends.Ticket(strings.Join([]string{ticketForm, t.id, strconv.FormatInt(t.since.Unix(), 10), base64.RawURLEncoding.EncodeToString(t.key[:])}, "."))
}

func readTicket(text backends.Ticket) (t ticket, err error) {
	fields := strings.Split(string(text), ".")
	if len(fields) != 4 || fields[0] != ticketForm {
		return t, fmt.Errorf("godaddy: %q is no ticket of this backend", text)
	}
	since, err := strconv.ParseInt(fields[2], 10, 64)
	key, keyErr := base64.RawURLEncoding.DecodeString(fields[3])
	if err != nil || keyErr != nil || len(key) != len(t.key) || !isID(fields[1]) {
		return t, fmt.Errorf("godaddy: the ticket %q is damaged", text)
	}
	t.id, t.since = fields[1], time.Unix(since, 0)
	copy(t.key[:], key)
	return t, nil
}

func ticketFor(id string, r backends.Request) ticket {
	return ticket{id: id, since: r.At, key: sha256.Sum256(r.PublicKey)}
}
