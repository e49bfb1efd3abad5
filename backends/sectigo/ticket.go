package sectigo

import (
	"crypto/sha256"
	"crypto/x509"
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

// ticket is what polling needs: which batch, what to look for in its archive,
// and since when.
type ticket struct {
	batch int64
	since time.Time
	// key and names are the hashes of the public key and of the names.
	key, names [32]byte
	// together says that the batch has more than this request in it.
	together bool
}

// The forms of tickets, their first field; another one means that this program
// cannot read it.
const (
	formAlone    = "b1"
	formTogether = "b2"
)

func (t ticket) String() backends.Ticket {
	enc := base64.RawURLEncoding.EncodeToString
	form := formAlone
	if t.together {
		form = formTogether
	}
	return backends.Ticket(strings.Join([]string{form, strconv.FormatInt(t.batch, 10), strconv.FormatInt(t.since.Unix(), 10), enc(t.key[:]), enc(t.names[:])}, "."))
}

func readTicket(text backends.Ticket) (t ticket, err error) {
	fields := strings.Split(string(text), ".")
	if len(fields) != 5 || fields[0] != formAlone && fields[0] != formTogether {
		return t, fmt.Errorf("sectigo: %q is no ticket of this backend", text)
	}
	t.together = fields[0] == formTogether
	var since int64
	t.batch, err = strconv.ParseInt(fields[1], 10, 64)
	if err == nil {
		since, err = strconv.ParseInt(fields[2], 10, 64)
	}
	for i, into := range [][]byte{t.key[:], t.names[:]} {
		raw, decodeErr := base64.RawURLEncoding.DecodeString(fields[3+i])
		if decodeErr != nil || len(raw) != len(into) {
			err = errors.Join(err, errors.New("a hash is damaged"))
			continue
		}
		copy(into, raw)
	}
	if err != nil || t.batch <= 0 {
		return ticket{}, fmt.Errorf("sectigo: the ticket %q is damaged: %w", text, err)
	}
	t.since = time.Unix(since, 0)
	return t, nil
}

// ticketFor is that of a request in a batch.
func ticketFor(batch int64, r backends.Request) (ticket, error) {
	csr, err := x509.ParseCertificateRequest(r.CSR)
	if err != nil {
		return ticket{}, fmt.Errorf("sectigo: the CSR cannot be read: %w", err)
	}
	return ticket{batch: batch, since: r.At, key: sha256.Sum256(r.PublicKey), names: hashNames(csr.DNSNames), together: r.Batch != ""}, nil
}

func serialOf(c acme.Certificate) *big.Int { return new(big.Int).SetBytes(c.Serial) }
