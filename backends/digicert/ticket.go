package digicert

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
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
	// wrong is the serial number of the certificate that was not what was ordered,
	// when the order was issued again for that; nil otherwise.
	wrong *big.Int
}

// The first field of a ticket says how to read it: as that of an order, or of one
// that is issued again. Another one means that this program cannot.
const (
	ticketForm  = "d1"
	reissueForm = "d2"
)

func (t ticket) String() backends.Ticket {
	enc := base64.RawURLEncoding.EncodeToString
	form := ticketForm
	if t.wrong != nil {
		form = reissueForm
	}
	fields := []string{form, strconv.FormatInt(t.order, 10), strconv.FormatInt(t.since.Unix(), 10), enc(t.key[:]), strconv.Itoa(t.twins)}
	switch {
	case t.wrong != nil:
		fields = append(fields, t.wrong.Text(16))
	case t.public != nil:
		fields = append(fields, t.usages, enc(t.public))
	}
	return backends.Ticket(strings.Join(fields, "."))
}

func readTicket(text backends.Ticket) (t ticket, err error) {
	fields := strings.Split(string(text), ".")
	switch form, n := fields[0], len(fields); {
	case form == ticketForm && (n == 5 || n == 7), form == reissueForm && n == 6:
	default:
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
	if len(fields) == 6 {
		if t.wrong = serialNumber(fields[5]); t.wrong == nil {
			errs[3] = errors.New("it has no serial number")
		}
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

// wanted are the usages again.
func (t ticket) wanted() (all []acme.Usage) {
	for _, u := range t.usages {
		if u == 's' {
			all = append(all, acme.ServerAuth)
		} else {
			all = append(all, acme.ClientAuth)
		}
	}
	return all
}

// serialNumber reads one as the CA and our tickets write it; nil when it is none.
func serialNumber(text string) *big.Int {
	n, ok := new(big.Int).SetString(text, 16)
	if !ok || n.Sign() <= 0 {
		return nil
	}
	return n
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
