//go:build clients

package clients

import (
	"os"
	"strings"
	"testing"
	"time"
)

// way is one more manner in which a client can get a certificate, besides http-01 for
// ordinary names of the default profile, which live goes through.
type way struct {
	name      string
	names     []string
	challenge string
	profile   string // that the client asks for
	directory func(server) string
	validity  time.Duration // of the certificate, when the profile is what matters
}

// shortProfile is the one to choose in the wide directory, with this validity.
const (
	shortProfile  = "short"
	shortValidity = 6 * 24 * time.Hour
	briefProfile  = "brief" // a minute: to see web servers renew
)

func wide(s server) string { return s.WideURL }

var (
	wildcard = way{
		name: "wildcard by dns-01", challenge: dns01, directory: wide,
		names: []string{"wild.clients.test", "*.wild.clients.test"},
	}
	byTLS = way{
		name: "two names by tls-alpn-01", challenge: tlsalpn01, directory: wide,
		names: []string{"alpn.clients.test", "www.alpn.clients.test"},
	}
	addressByHTTP = way{
		name: "address by http-01", challenge: http01, directory: wide, names: []string{"127.0.0.1"},
	}
	addressByTLS = way{
		name: "address by tls-alpn-01", challenge: tlsalpn01, directory: wide, names: []string{"127.0.0.1"},
	}
	addressBesideName = way{
		name: "address beside a name by http-01", challenge: http01, directory: wide, names: []string{"both.clients.test", "127.0.0.1"},
	}
	profileChosen = way{
		name: "profile that the client chose", challenge: http01, directory: wide,
		names: []string{"chosen.clients.test"}, profile: shortProfile, validity: shortValidity,
	}
	// RPROF-8: clients that know no profiles are told apart by a directory of their own.
	profileOfDirectory = way{
		name: "profile of the directory", challenge: http01, directory: func(s server) string { return s.ShortURL },
		names: []string{"given.clients.test"}, validity: shortValidity,
	}
)

// goThrough has the client get a certificate in this way, in a new folder. All
// challenges are offered and only the one is answered, so a certificate says that it
// was that one.
func (w way) goThrough(t *testing.T, s server, newClient func(*testing.T, setup) client) {
	t.Helper()
	st := newSetup(t, s, w.directory(s), binding{})
	st.challenge, st.profile = w.challenge, w.profile
	changes, _ := s.Names.updated()
	c := newClient(t, st)
	c.issue(t, w.names)
	got := load(t, c, w.names)
	got.check(t, s.IssuingRootPEM, w.names)
	if life := got.leaf.NotAfter.Sub(got.leaf.NotBefore); w.validity != 0 && (life < w.validity-time.Minute || life > w.validity+time.Minute) {
		t.Errorf("the certificate is valid for %s, want %s", life, w.validity)
	}
	if w.challenge == dns01 {
		after, left := s.Names.updated()
		if after == changes || len(left) > 0 {
			t.Errorf("the client changed %d records of the name server and left %v", after-changes, left)
		}
	}
}

// tsigKey writes the key of the name server in the form of Debian's nsupdate.
func (st setup) tsigKey(t *testing.T) (file string) {
	t.Helper()
	file = write(t, st.path("tsig.key"), `key "`+tsigName+`" { algorithm hmac-sha256; secret "`+tsigSecret+`"; };`+"\n")
	openTo(t, file, 0o644)
	return file
}

// dnsHook writes a script that changes the name server with nsupdate, for clients that
// leave this to a script: hook add|delete NAME VALUE.
func (st setup) dnsHook(t *testing.T) (program string) {
	t.Helper()
	host, port, _ := strings.Cut(st.server.Names.address, ":")
	return script(t, st.path("nsupdate-hook"), find(t, "nsupdate")+` -k `+st.tsigKey(t)+` <<END
server `+host+` `+port+`
zone `+zone+`
update $1 _acme-challenge.${2#\*.}. 1 IN TXT "$3"
send
END
`)
}

// openTo is for clients that run as more than one user.
func openTo(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// script writes a shell script that everybody can run.
func script(t *testing.T, path, body string) string {
	t.Helper()
	write(t, path, "#!/bin/sh\nset -eu\n"+body)
	openTo(t, path, 0o755)
	return path
}
