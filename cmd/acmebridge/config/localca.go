package config

import (
	"fmt"
	"time"

	"acmebridge/internal/secret"
)

// The type of a backend that signs here.
const TypeLocalCA = "localca"

// LocalCA is a backend that signs here, with its own root and issuer.
type LocalCA struct {
	Dir             string        `key:"dir" doc:"Folder of its keys and certificates, made on first use. Empty: <data_dir>/ca/<name>."`
	Organization    string        `key:"organization" default:"acmebridge" doc:"Organization in the subjects of root and issuer."`
	KeyType         string        `key:"key_type" default:"p256" enum:"p256,p384" doc:"Kind of the CA's own keys."`
	Issue           string        `key:"issue" default:"inline" enum:"inline,queued" doc:"inline signs within the finalize request, queued takes the way that a remote CA takes."`
	Backdate        time.Duration `key:"backdate" default:"1m" min:"1s" max:"48h" doc:"How far certificates start in the past, for clients whose clocks are slow."`
	RootValidity    time.Duration `key:"root_validity" default:"3650d" min:"1h" max:"36500d" doc:"How long the root is valid."`
	IssuerValidity  time.Duration `key:"issuer_validity" default:"1825d" min:"1h" max:"36500d" doc:"How long the issuer below it is valid. No certificate outlives it."`
	CRLValidity     time.Duration `key:"crl_validity" default:"7d" min:"1h" max:"365d" doc:"How long a revocation list is valid."`
	AlternateChains []string      `key:"alternate_chains" doc:"PEM files, each a further chain that clients may choose: this CA's root, or one of its issuers, as another CA has certified it, then what lies above, up to and including the root of that one."`
	PassphraseFile  string        `key:"passphrase_file" doc:"File, readable by its owner only, with the passphrase that encrypts the CA's keys. Empty: they lie unencrypted in files of mode 0600."`
	PassphraseValue secret.Secret `key:"passphrase" source:"env" doc:"The passphrase itself, in place of passphrase_file."`
}

// Passphrase returns a function that gets the passphrase of the CA's keys, from
// the environment or from the file each time anew; nil when they have none.
func (l LocalCA) Passphrase() func() ([]byte, error) {
	switch {
	case !l.PassphraseValue.Empty():
		return func() ([]byte, error) { return l.PassphraseValue.Reveal(), nil }
	case l.PassphraseFile != "":
		return func() ([]byte, error) {
			s, err := secret.FromFile(l.PassphraseFile)
			if err != nil {
				return nil, fmt.Errorf("passphrase of the CA: %w", err)
			}
			return s.Reveal(), nil
		}
	}
	return nil
}
