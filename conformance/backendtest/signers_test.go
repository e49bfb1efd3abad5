package backendtest

import (
	"crypto"
	"testing"
	"time"

	"acmebridge/backends"
	"acmebridge/backends/localca"
)

// signing is a CA with signers, until one of its ways is replaced.
type signing struct {
	*localca.CA
	certify func(name string, number int64, at time.Time) ([]byte, time.Time, error)
	key     func(name string, number int64) (crypto.Signer, error)
}

func (s signing) CertifySigner(name string, number int64, at time.Time) ([]byte, time.Time, error) {
	return s.certify(name, number, at)
}
func (s signing) SignerKey(name string, number int64) (crypto.Signer, error) {
	return s.key(name, number)
}

func TestSignersBite(t *testing.T) {
	t.Parallel()
	ca, err := localca.Open(localca.Config{Dir: t.TempDir(), Name: "local", OCSP: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*signing){
		"": func(*signing) {},
		"one key for all": func(s *signing) {
			s.certify = func(name string, _ int64, at time.Time) ([]byte, time.Time, error) {
				return ca.CertifySigner(name, 1, at)
			}
			s.key = func(name string, _ int64) (crypto.Signer, error) { return ca.SignerKey(name, 1) }
		},
		"another key": func(s *signing) {
			s.key = func(name string, n int64) (crypto.Signer, error) { return ca.SignerKey(name, n+1) }
		},
		"the CA itself": func(s *signing) {
			s.certify = func(_ string, _ int64, at time.Time) ([]byte, time.Time, error) {
				return ca.Intermediates()[0], at.Add(time.Hour), nil
			}
		},
		"replaced too late": func(s *signing) {
			s.certify = func(name string, n int64, at time.Time) ([]byte, time.Time, error) {
				der, next, err := ca.CertifySigner(name, n, at)
				return der, next.AddDate(0, 1, 0), err
			}
		},
		"not yet good": func(s *signing) {
			s.certify = func(name string, n int64, at time.Time) ([]byte, time.Time, error) {
				return ca.CertifySigner(name, n, at.Add(time.Hour))
			}
		},
	} {
		s := signing{ca, ca.CertifySigner, ca.SignerKey}
		change(&s)
		err := checkSigners(t.Context(), Subject{Backend: s, Now: time.Now})
		if (err == nil) != (name == "") {
			t.Errorf("%q: %v", name, err)
		}
	}
	var _ backends.StatusDelegate = signing{}
}
