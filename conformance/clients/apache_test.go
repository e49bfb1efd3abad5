//go:build clients

package clients

import (
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// apacheConfig is a web server whose certificates are managed by mod_md. The ports say
// which local ones stand for 80 and 443; the delays are short because mod_md looks
// after its certificates twice a day otherwise.
const apacheConfig = `
ServerRoot %[1]s
ServerName localhost
PidFile apache.pid
ErrorLog /dev/stderr
LogLevel warn md:info
%[2]s
Listen 127.0.0.1:%[3]d
Listen 127.0.0.1:%[4]d
Protocols http/1.1 acme-tls/1
SSLSessionCache none

MDStoreDir %[1]s/md
MDPortMap http:%[3]d https:%[4]d
MDCertificateAgreement accepted
MDContactEmail %[5]s
MDCACertificateFile %[6]s
MDInitialDelay 0
MDCheckInterval 1s
MDRetryDelay 1s
MDMessageCmd %[7]s
MDChallengeDns01 %[8]s
MDStapling off
`

const apacheSite = `
<MDomainSet %[1]s>
  MDCertificateAuthority %[2]s
  MDCAChallenges %[3]s
  %[4]s
</MDomainSet>
<VirtualHost *:%[5]d>
  ServerName %[6]s
  SSLEngine on
</VirtualHost>
`

// mod_md is Apache's own ACME client. It gets certificates in the background, and the
// next graceful restart puts them to use.
func TestApache(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	const bound, plain, wild, brief = "bound.apache.clients.test", "plain.apache.clients.test", "any.wild.apache.clients.test", "brief.apache.clients.test"
	bind := s.NewEAB(t)
	a := startApache(t, newSetup(t, s, s.WideURL, binding{}), []apacheDomain{
		{names: bound, directory: s.EABDirectoryURL, challenge: http01, more: "MDExternalAccountBinding " + bind.kid + " " + bind.hmac},
		{names: plain, directory: s.WideURL, challenge: tlsalpn01},
		{names: "wild.apache.clients.test *.wild.apache.clients.test", site: wild, directory: s.WideURL, challenge: dns01},
		// By itself mod_md would wait for the last twentieth.
		{names: brief, directory: s.WideURL, challenge: http01, more: "MDProfile " + briefProfile + "\n  MDRenewViaARI on\n  MDRenewWindow 5%"},
	})
	for _, c := range []struct{ name, domain, served string }{
		{"http-01 with a binding", bound, bound},
		{"tls-alpn-01", plain, plain},
		{"wildcard by dns-01", "wild.apache.clients.test", wild},
		{"http-01 and a profile", brief, brief},
	} {
		if !t.Run(c.name, func(t *testing.T) { a.activate(t, c.domain, c.served, nil) }) {
			return // the others would wait for as long
		}
	}
	t.Run("renewal when the server says so", func(t *testing.T) { // R9773-4.2-2
		first := a.st.shows(t, brief, nil)
		second := a.activate(t, brief, brief, first)
		life := first.NotAfter.Sub(first.NotBefore)
		if at := second.NotBefore.Sub(first.NotBefore); at > life*4/5 {
			t.Errorf("renewed %s into a life of %s, want in the window that the server names", at, life)
		}
		if s.Replaced != nil {
			s.Replaced(t, first)
		}
	})
}

type apacheDomain struct{ names, site, directory, challenge, more string }

type apache struct {
	st       setup
	control  func(t *testing.T, command string)
	messages string // file: what mod_md told the operator's script
}

func startApache(t *testing.T, st setup, domains []apacheDomain) apache {
	t.Helper()
	program := find(t, "apache2")
	a := apache{st: st, messages: st.path("told", "messages")}
	write(t, a.messages, "")
	user := ""
	if os.Geteuid() == 0 {
		// Apache's children are somebody else then, who must reach the challenges, its
		// scripts and what they write.
		user = "User nobody\nGroup nogroup\n"
		for path := range map[string]bool{filepath.Dir(st.dir): true, st.dir: true, filepath.Dir(a.messages): true} {
			openTo(t, path, 0o755)
		}
		openTo(t, a.messages, 0o666)
	}
	for _, module := range []string{"mpm_event", "authz_core", "socache_shmcb", "ssl", "md"} {
		user += fmt.Sprintf("LoadModule %s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", module)
	}
	// The server's own file lies in a folder that is nobody else's business.
	root := write(t, st.path("tls-root.pem"), string(read(t, st.server.TLSRootPEM)))
	openTo(t, root, 0o644)
	message := script(t, st.path("message"), `echo "$1 $2" >>`+a.messages+"\n")
	hook := script(t, st.path("dns01"), `case $1 in
setup) exec `+st.dnsHook(t)+` add "$2" "$3";;
teardown) exec `+st.dnsHook(t)+` delete "$2" "${3:-}";;
esac
`)
	config := fmt.Sprintf(apacheConfig, st.dir, user, st.server.HTTPPort, st.server.TLSPort, firstEmail, root, message, hook)
	for _, d := range domains {
		if d.site == "" {
			d.site = d.names
		}
		config += fmt.Sprintf(apacheSite, d.names, d.directory, d.challenge, d.more, st.server.TLSPort, d.site)
	}
	file := write(t, st.path("apache.conf"), config)
	a.control = func(t *testing.T, command string) { st.runner().run(t, program, "-f", file, "-k", command) }
	startProcess(t, st.dir, nil, program, "-f", file, "-D", "FOREGROUND")
	return a
}

// activate waits until mod_md says that it has a certificate, restarts Apache without
// interruption as an operator does then, and looks at what it shows.
func (a apache) activate(t *testing.T, domain, served string, before *x509.Certificate) *x509.Certificate {
	t.Helper()
	told := 1
	if before != nil {
		told = 2
	}
	eventually(t, 90*time.Second, "a certificate of mod_md for "+domain, func() bool {
		return strings.Count(string(read(t, a.messages)), "renewed "+domain+"\n") >= told
	})
	a.control(t, "graceful")
	return a.st.shows(t, served, before)
}
