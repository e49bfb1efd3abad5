package main

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"acmebridge/acme"
	"acmebridge/challenges"
	"acmebridge/cmd/acmebridge/config"
	"acmebridge/internal/egress/dnstest"
)

// TestResolverSettings starts a server with each setting, and looks at what
// reaches a name server (SD-1, SD-2, SD-5, DV-3, R8555-11.2-1, -2).
func TestResolverSettings(t *testing.T) {
	t.Parallel()
	const name = "a-name-with-many-letters.resolver.example"
	for _, tt := range []struct {
		setting string
		signed  bool
		tcp     bool
		size    uint16
		random  bool
		ad      bool
		problem acme.ProblemType
	}{
		{"", false, true, 1232, true, true, ""},
		{"TCP_FIRST=false", false, false, 1232, true, true, ""},
		{"EDNS_SIZE=4096", false, true, 4096, true, true, ""},
		{"RANDOM_CASE=false", false, true, 1232, false, true, ""},
		{"DNSSEC=ignore", false, true, 1232, true, false, ""},
		{"DNSSEC=require", false, true, 1232, true, true, acme.DNS},
		{"DNSSEC=require", true, true, 1232, true, true, ""},
		{"TIMEOUT=10s", false, true, 1232, true, true, ""},
	} {
		t.Run(tt.setting, func(t *testing.T) {
			t.Parallel()
			names := dnstest.New(t, "example. 60 IN TXT x\n"+name+`. 60 IN CAA 0 issue "ca.example"`)
			if tt.signed {
				names.Sign()
			}
			var mu sync.Mutex
			var seen []string
			names.On(name, func(w dns.ResponseWriter, query, reply *dns.Msg) *dns.Msg {
				mu.Lock()
				defer mu.Unlock()
				opt := query.IsEdns0()
				if dnstest.OverTCP(w) != tt.tcp {
					seen = append(seen, "the transport")
				}
				if opt == nil || opt.UDPSize() != tt.size {
					seen = append(seen, "the EDNS size")
				}
				if (query.Question[0].Name != name+".") != tt.random {
					seen = append(seen, "the case of the name")
				}
				if query.AuthenticatedData != tt.ad {
					seen = append(seen, "the AD bit")
				}
				return reply
			})
			env := []string{"ACMEBRIDGE_VALIDATION_RESOLVERS=" + names.Addr()}
			if tt.setting != "" {
				env = append(env, "ACMEBRIDGE_VALIDATION_DNS_"+tt.setting)
			}
			p := assembled(t, t.TempDir(), time.Now, env...)
			out := p.caa.Check(t.Context(), challenges.CAARequest{Name: name, Identities: []string{"ca.example"}})
			mu.Lock()
			defer mu.Unlock()
			if len(seen) > 0 {
				t.Errorf("not as set: %s", strings.Join(seen, ", "))
			}
			if names.Asked(name) == 0 {
				t.Error("the name server of the configuration was not asked")
			}
			if tt.problem == "" && !out.Valid || tt.problem != "" && (out.Valid || out.Problem.Type != tt.problem) {
				t.Errorf("got %+v", out)
			}
			authenticated := len(out.Steps) > 0 && out.Steps[0].Authenticated
			if authenticated != tt.signed {
				t.Errorf("the steps say authenticated: %t; %v", authenticated, out.Steps)
			}
		})
	}
}

// TestDoctorAsksAsTheServerDoes: a name server that lowers the case of names and
// says nothing over TCP does for a server that is set so, and for doctor too.
func TestDoctorAsksAsTheServerDoes(t *testing.T) {
	t.Parallel()
	names := dnstest.New(t, "example. 60 IN TXT x")
	names.On("doctor.invalid", func(w dns.ResponseWriter, query, reply *dns.Msg) *dns.Msg {
		if dnstest.OverTCP(w) || query.Question[0].Name != "doctor.invalid." {
			return nil
		}
		return reply
	})
	for name, tt := range map[string]struct {
		env          []string
		result, says string
	}{
		"as it comes": {[]string{"TIMEOUT=200ms"}, checkFail, "over TCP: "},
		"as it is":    {[]string{"TIMEOUT=3s", "TCP_FIRST=false", "RANDOM_CASE=false"}, checkOK, "answered"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := []string{"ACMEBRIDGE_VALIDATION_RESOLVERS=" + names.Addr()}
			for _, e := range tt.env {
				env = append(env, "ACMEBRIDGE_VALIDATION_DNS_"+e)
			}
			cfg, err := config.Load("", env)
			if err != nil {
				t.Fatal(err)
			}
			d := doctor{cfg: cfg, now: time.Now}
			d.resolvers(t.Context())
			if len(d.all) != 1 || d.all[0].Result != tt.result || !strings.Contains(d.all[0].Found, tt.says) {
				t.Errorf("%+v; want %s, %q", d.all, tt.result, tt.says)
			}
		})
	}
}
