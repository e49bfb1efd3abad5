package digicert

import "acmebridge/backends"

// What the tests of the readers need.
var (
	Armoured    = armoured
	PublicKeyOf = publicKeyOf
)

// RereadTicket reads a ticket and writes it.
func RereadTicket(text backends.Ticket) (backends.Ticket, error) {
	t, err := readTicket(text)
	if err != nil {
		return "", err
	}
	return t.String(), nil
}
