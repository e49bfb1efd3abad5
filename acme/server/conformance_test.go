package server_test

import (
	"context"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/server"
	"acmebridge/acme/server/servertest"
	"acmebridge/conformance/acmetest"
	"acmebridge/internal/ratelimit"
)

// TestConformance runs the black-box suite against the whole server, with the
// local CA issuing at once and with it going the way of a remote CA, where
// everything is on that a profile or a directory can turn on.
func TestConformance(t *testing.T) {
	for name, o := range map[string]servertest.Options{
		"inline": {},
		"queued": {Queued: true, CrossSigned: true, Profile: func(p *acme.Profile) { p.ReuseAuthorizations = time.Hour }},
	} {
		t.Run(name, func(t *testing.T) {
			o.Server = func(c *server.Config) { c.BadSignatures = -1 } // the suite sends more than an honest address would
			s := servertest.Start(t, o)
			few := servertest.Start(t, servertest.Options{
				Server: func(c *server.Config) { c.Limits.Help = "https://limits.example/help" },
				Engine: func(c *engine.Config) { c.Limits.NewOrders = ratelimit.Rate{Count: 3, Per: 18 * time.Second} },
			})
			acmetest.Run(t, acmetest.Config{
				DirectoryURL: s.DirectoryURL("default"), RootCAs: s.TLSRoot, HTTP01Listener: s.HTTP01, NameSuffix: "localhost",
				Limited: &acmetest.Limited{DirectoryURL: few.DirectoryURL("default"), NewOrders: 3},
				ExternalAccounts: &acmetest.ExternalAccounts{
					DirectoryURL: s.DirectoryURL("eab"),
					NewKey: func() (acmetest.ExternalAccountKey, error) {
						k, mac, err := s.Engine.Operator().CreateExternalKey(context.Background(), engine.NewExternalKey{
							Directory: "eab", Member: "member-1", Uses: 1,
						})
						return acmetest.ExternalAccountKey{KID: string(k.ID), HMAC: mac}, err
					},
				},
			})
		})
	}
}
