package hsm

import "errors"

// Config says where a token is and how to log in to it.
type Config struct {
	// Module is the file of the PKCS#11 library of the maker of the hardware.
	Module string
	// Token is the label of the token.
	Token string
	// PIN returns the PIN of the user.
	PIN func() ([]byte, error)
	// Prefix is what the labels of keys begin with, DefaultPrefix unless set.
	Prefix string
}

// DefaultPrefix is what the labels of keys begin with.
const DefaultPrefix = "ib1"

// ErrNotBuilt reports that the program knows no PKCS#11.
var ErrNotBuilt = errors.New("this program was built without PKCS#11, which needs cgo: build it with 'go build -tags pkcs11 ./cmd/acmebridge'")

func (c Config) check() (Config, error) {
	if c.Prefix == "" {
		c.Prefix = DefaultPrefix
	}
	switch {
	case c.Module == "":
		return c, errors.New("name the PKCS#11 module, a file such as /usr/lib/softhsm/libsofthsm2.so")
	case c.Token == "":
		return c, errors.New("name the token, by its label")
	case c.PIN == nil:
		return c, errors.New("give the PIN of the token")
	}
	return c, nil
}
