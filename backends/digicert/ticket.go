package digicert

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
)

// ticket is what polling needs: which order, for what key, and since when.
type ticket struct {
	order int64
	since time.Time
	key   [32]byte // SHA-256 of the SubjectPublicKeyInfo
	// twins is how many orders there were with the same reference besides.
	twins int
	// public is the key itself when the order was one for another key, and is
	// to be brought to this one; nil otherwise. usages go with it.
	public []byte
	usages string // s, c or sc
}

// ticketForm is the first field of a ticket; another one means that this
// program cannot read it.
const ticketForm = "d1"

func (t ticket) String() backends.Ticket {
	enc := base64.RawURLEncoding.EncodeToString
	fields := []string{ticketForm, strconv.FormatInt(t.order, 10), strconv.FormatInt(t.since.Unix(), 10), enc(t.key[:]), strconv.Itoa(t.twins)}
	if t.public != nil {
		fields = append(fields, t.usages, enc(t.public))
	}
	return backends.Ticket(strings.Join(fields, "."))
}

func readTicket(text backends.Ticket) (t ticket, err error) {
	fields := strings.Split(string(text), ".")
	if len(fields) != 5 && len(fields) != 7 || fields[0] != ticketForm {
		return t, fmt.Errorf("digicert: %q is no ticket of this backend", text)
	}
	var since int64
	var errs [4]error
	t.order, errs[0] = strconv.ParseInt(fields[1], 10, 64)
	since, errs[1] = strconv.ParseInt(fields[2], 10, 64)
	t.twins, errs[2] = strconv.Atoi(fields[4])
	key, err := base64.RawURLEncoding.DecodeString(fields[3])
	if err == nil && copy(t.key[:], key) != len(t.key) || len(key) > len(t.key) {
		err = errors.New("the hash of the key is damaged")
	}
	if len(fields) == 7 {
		t.usages = fields[5]
		t.public, errs[3] = base64.RawURLEncoding.DecodeString(fields[6])
		if errs[3] == nil && sha256.Sum256(t.public) != t.key {
			errs[3] = errors.New("the key is another one")
		}
	}
	if t.order <= 0 {
		err = errors.Join(err, errors.New("it has no number of an order"))
	}
	if err = errors.Join(err, errors.Join(errs[:]...)); err != nil {
		return ticket{}, fmt.Errorf("digicert: the ticket %q is damaged: %w", text, err)
	}
	t.since = time.Unix(since, 0)
	return t, nil
}

// ticketFor is that of a request as an order.
func ticketFor(order int64, r backends.Request) ticket {
	return ticket{order: order, since: r.At, key: sha256.Sum256(r.PublicKey)}
}

// takeOver is that of a request that brings an order to its own key.
func takeOver(r backends.Request) (ticket, error) {
	earlier, err := readTicket(r.TakesOver)
	if err != nil {
		return ticket{}, err
	}
	t := ticketFor(earlier.order, r)
	t.public = r.PublicKey
	for _, u := range r.Contract.Usages {
		if u == acme.ServerAuth {
			t.usages += "s"
		}
		if u == acme.ClientAuth {
			t.usages += "c"
		}
	}
	return t, nil
}
