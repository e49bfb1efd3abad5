// Package suiteflags reads what somebody outside says on the command line of a
// suite that looks at an ACME server: where the server is, whom to trust, and what
// is known of it already. What it reads are values that any suite can use, because
// suites share no types.
package suiteflags

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
)

// Flags are those that all suites have.
type Flags struct {
	// Directory is the URL of the server's directory; empty when the suite brings a
	// server of its own.
	Directory string
	// HTTP01 is the address where validations are answered, and Suffix what the
	// names that are ordered end with.
	HTTP01, Suffix string
	// ExternalDirectory wants external account binding.
	ExternalDirectory string

	ca, keys, differences string
}

// Add adds the flags to a set.
func Add(set *flag.FlagSet) *Flags {
	f := &Flags{}
	set.StringVar(&f.Directory, "directory", "", "directory URL of the server to look at; empty: Pebble, in this process")
	set.StringVar(&f.ca, "ca", "", "PEM file with the roots of the server's TLS certificate")
	set.StringVar(&f.HTTP01, "http01", "127.0.0.1:5002", "address to answer http-01 validations at")
	set.StringVar(&f.Suffix, "suffix", "", "suffix of the names to order")
	set.StringVar(&f.ExternalDirectory, "eab-directory", "", "directory URL that requires external account binding")
	set.StringVar(&f.keys, "eab-keys", "", "file with one unused key per line: kid, space, base64url key")
	set.StringVar(&f.differences, "differences", "", "JSON file, name to reason, of reviewed differences")
	return f
}

// Values are what the files hold that flags name.
type Values struct {
	RootCAs     []byte
	Differences map[string]string
	// NewKey hands each external account key out once; nil without a directory that
	// wants them.
	NewKey func() (kid string, secret []byte, err error)
}

// Read reads the files.
func (f *Flags) Read() (v Values, err error) {
	if f.ca != "" {
		if v.RootCAs, err = os.ReadFile(f.ca); err != nil {
			return v, fmt.Errorf("-ca: %w", err)
		}
	}
	if f.differences != "" {
		text, err := os.ReadFile(f.differences)
		if err == nil {
			err = json.Unmarshal(text, &v.Differences)
		}
		if err != nil {
			return v, fmt.Errorf("-differences %s: %w", f.differences, err)
		}
	}
	if f.ExternalDirectory == "" {
		return v, nil
	}
	text, err := os.ReadFile(f.keys)
	if err != nil {
		return v, fmt.Errorf("-eab-keys: %w", err)
	}
	v.NewKey = HandOut(string(text))
	return v, nil
}

// HandOut gives each key once, of lines as the file has them.
func HandOut(lines string) func() (kid string, secret []byte, err error) {
	var keys [][2]string
	for line := range strings.Lines(lines) {
		if kid, key, found := strings.Cut(strings.TrimSpace(line), " "); found {
			keys = append(keys, [2]string{kid, strings.TrimSpace(key)})
		}
	}
	var mu sync.Mutex
	return func() (string, []byte, error) {
		mu.Lock()
		defer mu.Unlock()
		if len(keys) == 0 {
			return "", nil, errors.New("no unused external account key is left")
		}
		k := keys[0]
		keys = keys[1:]
		secret, err := base64.RawURLEncoding.DecodeString(k[1])
		if err != nil {
			return "", nil, fmt.Errorf("key of %q: %w", k[0], err)
		}
		return k[0], secret, nil
	}
}
