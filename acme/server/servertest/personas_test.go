package servertest_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"sync"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/server/servertest"
	"acmebridge/conformance/personas"
)

// visited describes a server to the personas. Its profile grants what an X-Road
// Security Server asks for: a year and more, and replaces taken as a hint.
func visited(o servertest.Options) servertest.Options {
	profile := o.Profile
	o.Profile = func(p *acme.Profile) {
		p.Validity, p.Dates, p.LenientReplaces = 398*24*time.Hour, acme.DatesUpperBound, true
		p.Hold = 8 * time.Second // an idle server answers at once, a busy one still in the same round trip
		if profile != nil {
			profile(p)
		}
	}
	o.Directories = []acme.Directory{
		{Name: "default", Path: "/directory", ExternalAccount: acme.ExternalAccountOptional, Profiles: []acme.ProfileName{"tls"}, PlainContacts: true},
		{Name: "eab", Path: "/eab/directory", ExternalAccount: acme.ExternalAccountMandatory, Profiles: []acme.ProfileName{"tls"}, PlainContacts: true},
		xroadDirectory(),
	}
	engineConfig := o.Engine
	o.Engine = func(c *engine.Config) {
		addXRoadProfiles(c)
		if engineConfig != nil {
			engineConfig(c)
		}
	}
	return o
}

func visitors(s *servertest.Server) personas.Config {
	return personas.Config{
		DirectoryURL: s.DirectoryURL("default"), RootCAs: s.TLSRoot, HTTP01Listener: s.HTTP01, NameSuffix: "localhost",
		ExternalAccounts: &personas.ExternalAccounts{
			DirectoryURL: s.DirectoryURL("eab"),
			NewKey: func() (string, []byte, error) {
				k, mac, err := s.Engine.Operator().CreateExternalKey(context.Background(), engine.NewExternalKey{Directory: "eab", Member: "member-1"})
				return string(k.ID), mac, err
			},
			XRoadDirectoryURL: s.DirectoryURL("xroad"),
			NewXRoadKey: func(usage string) (string, []byte, error) {
				return xroadKey(s, "EX:COM:5550001", usage)
			},
		},
		NewClock: func() personas.Clock { return personas.Hasty(200 * time.Millisecond) },
	}
}

// keyring hands the same RSA keys out to every server: making them is most of what
// a visit costs.
type keyring struct {
	mu   sync.Mutex
	made []*rsa.PrivateKey
}

// forOneServer gives each key once. Their size is 2048 whatever is asked for.
func (r *keyring) forOneServer() func(int) (*rsa.PrivateKey, error) {
	next := 0
	return func(int) (*rsa.PrivateKey, error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if next == len(r.made) {
			k, err := rsa.GenerateKey(rand.Reader, 2048)
			if err != nil {
				return nil, err
			}
			r.made = append(r.made, k)
		}
		next++
		return r.made[next-1], nil
	}
}

// TestPersonas lets the clients of the field visit the whole server, with the local
// CA issuing at once and with it going the way of a remote CA.
func TestPersonas(t *testing.T) {
	t.Parallel()
	var keys keyring
	for name, o := range map[string]servertest.Options{"inline": {}, "queued": {Queued: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := visitors(servertest.Start(t, visited(o)))
			cfg.RSAKey = keys.forOneServer()
			if report := personas.Run(t, cfg); len(report.NotApplicable) > 0 {
				t.Errorf("not applicable here: %v", report.NotApplicable)
			}
		})
	}
}
