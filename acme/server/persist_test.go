package server_test

import (
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/server"
	"acmebridge/acme/server/servertest"
	"acmebridge/challenges"
	"acmebridge/internal/egress"
	"acmebridge/internal/egress/dnstest"
)

const accountHashPrefix = "https://acme.example/account-hash/"

// startPersist runs a server that offers dns-persist-01, besides http-01, in
// the form of revision 02 of the draft, or with plain of revision 01.
func startPersist(t *testing.T, names *dnstest.Server, plain bool) *front {
	t.Helper()
	resolver, err := egress.NewResolver(egress.ResolverConfig{Servers: []string{names.Addr()}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := challenges.DNSPersist01Config{DNSConfig: challenges.DNSConfig{Resolver: resolver}, Draft01: plain}
	if !plain {
		cfg.AccountHashPrefix = accountHashPrefix
	}
	v, err := challenges.NewDNSPersist01(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return start(t, servertest.Options{
		Profile: func(p *acme.Profile) {
			p.Challenges = []acme.ChallengeType{acme.HTTP01, acme.DNSPersist01}
			p.IssuerDomainNames = []string{"ca.example", "ca.example.net"}
			p.Identifiers.Wildcard = true
		},
		Engine: func(c *engine.Config) { c.Validators = []challenges.Validator{proves(acme.HTTP01), v} },
		Server: func(c *server.Config) { c.AccountHashPrefix = cfg.AccountHashPrefix },
	})
}

// hashedURI is what a client writes that has read the directory: it is made
// here anew, so that server and client have to agree (revision 02, 4.1).
func (c *client) hashedURI(tb testing.TB, domain string) string {
	tb.Helper()
	sum := sha256.Sum256([]byte(string(rune(len(domain))) + domain + thumbprint(jwk(tb, &c.key.PublicKey)) + c.kid))
	return accountHashPrefix + "sha-256/" + encode(sum[:])
}

// thumbprint is that of RFC 7638: the members in this order, without white space.
func thumbprint(k map[string]string) string {
	sum := sha256.Sum256([]byte(`{"crv":"` + k["crv"] + `","kty":"` + k["kty"] + `","x":"` + k["x"] + `","y":"` + k["y"] + `"}`))
	return encode(sum[:])
}

// changeKey gives the account of a client another key (RFC 8555, 7.3.5).
func (c *client) changeKey(t *testing.T) {
	t.Helper()
	url, next := c.url["keyChange"], &client{f: c.f, key: newKey(t)}
	inner := next.sign(t, map[string]any{"alg": "ES256", "jwk": jwk(t, &next.key.PublicKey), "url": url},
		string(marshal(t, map[string]any{"account": c.kid, "oldKey": jwk(t, &c.key.PublicKey)})))
	if r := c.post(t, url, string(inner)); r.status != http.StatusOK {
		t.Fatalf("change the key: %d %s", r.status, r.body)
	}
	c.key = next.key
}

// RDP-1 to RDP-5, RDP-11: one record serves order after order, and key after
// key, and nobody else.
func TestDNSPersist(t *testing.T) {
	t.Parallel()
	for _, plain := range []bool{false, true} {
		names := dnstest.New(t, "")
		f := startPersist(t, names, plain)
		c, stranger := f.registered(t, "default"), f.registered(t, "default")
		account, form := c.hashedURI(t, "stays.example"), "hashed"
		if plain {
			account, form = c.kid, "plain"
		}
		names.AddTXT("_validation-persist.stays.example", "ca.example.net; policy=wildcard; accounturi="+account)
		t.Run(form, func(t *testing.T) {
			for _, name := range []string{"stays.example", "*.stays.example"} {
				o := c.newOrder(t, name)
				if a := c.prove(t, o.Authorizations[0], acme.DNSPersist01); a.Status != "valid" {
					t.Fatalf("%s: the authorization is %s: %+v", name, a.Status, a.Challenges)
				}
				if o := wantOrder(t, c.post(t, o.Finalize, csrFor(t, name)), http.StatusOK); o.Status != "valid" {
					t.Errorf("%s: the order is %s", name, o.Status)
				}
				c.changeKey(t)
			}
			for _, wrong := range []struct {
				by   *client
				name string
				says string
			}{
				{stranger, "stays.example", "not that of this account"},
				{c, "below.stays.example", "NXDOMAIN"},
			} {
				o := wrong.by.newOrder(t, wrong.name)
				a := wrong.by.prove(t, o.Authorizations[0], acme.DNSPersist01)
				if a.Status != "invalid" || a.Challenges[0].Error == nil || !strings.Contains(a.Challenges[0].Error.Detail, wrong.says) {
					t.Errorf("%s: the authorization is %s, want an error that says %q: %+v", wrong.name, a.Status, wrong.says, a.Challenges)
				}
			}
		})
	}
}

// RDP-1: the challenge lists the names of the CA and has no token; the
// directory says what a record is made of. Revision 01 spells it differently.
func TestDNSPersistOnTheWire(t *testing.T) {
	t.Parallel()
	issuers := `["ca.example","ca.example.net"]`
	for _, tt := range []struct {
		plain                bool
		member, absent, meta string
	}{
		{false, "issuerDomainNames", "issuer-domain-names", accountHashPrefix},
		{true, "issuer-domain-names", "issuerDomainNames", ""},
	} {
		f := startPersist(t, dnstest.New(t, ""), tt.plain)
		c := f.registered(t, "default")
		r := c.post(t, c.newOrder(t, "a.example").Authorizations[0], "")
		offered := decode[struct{ Challenges []map[string]json.RawMessage }](t, r).Challenges
		if len(offered) != 2 {
			t.Fatalf("want two challenges: %s", r.body)
		}
		for _, ch := range offered {
			_, token := ch["token"]
			persist := string(ch["type"]) == `"dns-persist-01"`
			if token == persist || (string(ch[tt.member]) == issuers) != persist || ch[tt.absent] != nil {
				t.Errorf("challenge %s of form %s: %s", ch["type"], tt.member, r.body)
			}
		}
		meta := decode[struct {
			Meta struct {
				AccountHashPrefix                string
				IssuerDomainNames, CAAIdentities []string
			}
		}](t, f.do(t, get(f.DirectoryURL("default")))).Meta
		if meta.AccountHashPrefix != tt.meta || (len(meta.IssuerDomainNames) == 2) == tt.plain || meta.CAAIdentities != nil {
			t.Errorf("the directory says %+v", meta)
		}
	}
}

// A challenge without a token makes some clients refuse the whole
// authorization, so it is there only where a profile lists it; so are the
// members of the directory.
func TestDNSPersistIsAskedFor(t *testing.T) {
	t.Parallel()
	all := []acme.ChallengeType{acme.HTTP01, acme.DNS01, acme.TLSALPN01, acme.DNSAccount01}
	f := start(t, servertest.Options{
		Profile: func(p *acme.Profile) { p.Challenges, p.IssuerDomainNames = all, []string{"ca.example"} },
		Engine: func(c *engine.Config) {
			c.Validators = nil
			for _, kind := range append(slices.Clone(all), acme.DNSPersist01) {
				c.Validators = append(c.Validators, proves(kind))
			}
		},
		Server: func(c *server.Config) { c.AccountHashPrefix = accountHashPrefix },
	})
	c := f.registered(t, "default")
	a := decode[authorization](t, c.post(t, c.newOrder(t, "a.example").Authorizations[0], ""))
	for _, ch := range a.Challenges {
		if ch.Token == "" || ch.Type == string(acme.DNSPersist01) {
			t.Errorf("%s is offered", ch.Type)
		}
	}
	if len(a.Challenges) != len(all) {
		t.Errorf("offered: %+v", a.Challenges)
	}
	directory := string(f.do(t, get(f.DirectoryURL("default"))).body)
	for _, member := range []string{"accountHashPrefix", "issuerDomainNames", "caaIdentities"} {
		if strings.Contains(directory, member) {
			t.Errorf("the directory has %s", member)
		}
	}
}
