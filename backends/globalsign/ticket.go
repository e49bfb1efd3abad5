package globalsign

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"acmebridge/backends"
)

// ticket is what polling needs: which certificate, and since when. The hash of
// the key is there for a person who compares it with the CA's.
type ticket struct {
	serial string
	since  time.Time
	key    [32]byte // SHA-256 of the SubjectPublicKeyInfo
}

// ticketForm is the first field of a ticket; another one means that this
// program cannot read it.
const ticketForm = "g1"

func (t ticket) String() backends.Ticket {
	return backends.Ticket(strings.Join([]string{ticketForm, t.serial, strconv.FormatInt(t.since.Unix(), 10), base64.RawURLEncoding.EncodeToString(t.key[:])}, "."))
}

func readTicket(text backends.Ticket) (t ticket, err error) {
	fields := strings.Split(string(text), ".")
	if len(fields) != 4 || fields[0] != ticketForm {
		return t, fmt.Errorf("globalsign: %q is no ticket of this backend", text)
	}
	since, err := strconv.ParseInt(fields[2], 10, 64)
	key, keyErr := base64.RawURLEncoding.DecodeString(fields[3])
	if err != nil || keyErr != nil || len(key) != len(t.key) || !isSerial(fields[1]) {
		return t, fmt.Errorf("globalsign: the ticket %q is damaged", text)
	}
	t.serial, t.since = fields[1], time.Unix(since, 0)
	copy(t.key[:], key)
	return t, nil
}

func ticketFor(serial string, r backends.Request) ticket {
	return ticket{serial: serial, since: r.At, key: sha256.Sum256(r.PublicKey)}
}
