package sectigo

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/internal/caclient"
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
	form := formAlone
	if t.together {
		form = formTogether
	}
	names := base64.RawURLEncoding.EncodeToString(t.names[:])
	return caclient.Ticket{ID: strconv.FormatInt(t.batch, 10), Since: t.since, Key: t.key, More: []string{names}}.Text(form)
}

func readTicket(text backends.Ticket) (ticket, error) {
	form := formAlone
	together := strings.HasPrefix(string(text), formTogether+".")
	if together {
		form = formTogether
	}
	got, err := caclient.ReadTicket(caName, form, text, isBatch, 1)
	if err != nil {
		return ticket{}, err
	}
	t := ticket{since: got.Since, key: got.Key, together: together}
	t.batch, _ = strconv.ParseInt(got.ID, 10, 64) // isBatch has looked at it
	var names []byte
	if len(got.More) == 1 {
		names, err = base64.RawURLEncoding.DecodeString(got.More[0])
	}
	if err != nil || len(names) != len(t.names) {
		return ticket{}, fmt.Errorf("sectigo: the ticket %q is damaged: the hash of the names is", text)
	}
	copy(t.names[:], names)
	return t, nil
}

func isBatch(id string) bool {
	n, err := strconv.ParseInt(id, 10, 64)
	return err == nil && n > 0
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
