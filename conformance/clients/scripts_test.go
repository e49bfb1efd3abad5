//go:build clients

package clients

import (
	"crypto"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"acmebridge/conformance/testport"
)

// newDehydrated is the shell script; it signs with openssl and talks with curl. For
// tls-alpn-01 it writes certificates, which a TLS server of somebody else's shows.
func newDehydrated(t *testing.T, st setup) client {
	program := find(t, "dehydrated")
	r := st.runner("CURL_CA_BUNDLE=" + st.server.TLSRootPEM)
	webroot := st.serveWebroot(t)
	hook := ""
	switch st.challenge {
	case dns01:
		hook = script(t, st.path("hook"), `case $1 in
deploy_challenge) exec `+st.dnsHook(t)+` add "$2" "$4";;
clean_challenge) exec `+st.dnsHook(t)+` delete "$2" "$4";;
esac
`)
	case tlsalpn01:
		st.serveChallengeCertificates(t, st.path("alpn"))
	}
	dehydrated := func(t *testing.T, args ...string) {
		t.Helper()
		r.run(t, program, append(args, "--config", st.path("config"))...)
	}
	configure := func(t *testing.T, email string) {
		t.Helper()
		config := fmt.Sprintf("CA=%q\nBASEDIR=%q\nWELLKNOWN=%q\nCONTACT_EMAIL=%q\nCHALLENGETYPE=%q\nALPNCERTDIR=%q\nHOOK=%q\n",
			st.directory, st.dir, webroot, email, st.challenge, st.path("alpn"), hook)
		if st.binding.kid != "" {
			config += fmt.Sprintf("EAB_KID=%q\nEAB_HMAC_KEY=%q\n", st.binding.kid, st.binding.hmac)
		}
		write(t, st.path("config"), config)
	}
	return client{
		issue: func(t *testing.T, names []string) {
			configure(t, firstEmail)
			dehydrated(t, "--register", "--accept-terms")
			dehydrated(t, append(domainFlags("--domain", names), "--cron", "--alias", "test")...)
		},
		renew: func(t *testing.T, names []string) {
			dehydrated(t, append(domainFlags("--domain", names), "--cron", "--alias", "test", "--force")...)
		},
		files: func(t *testing.T, _ []string) (string, string) {
			return st.path("certs", "test", "fullchain.pem"), st.path("certs", "test", "privkey.pem")
		},
		revoke: func(t *testing.T, _ []string) { dehydrated(t, "--revoke", st.path("certs", "test", "cert.pem")) },
		accountKey: func(t *testing.T) crypto.Signer {
			return keyFromPEM(t, glob(t, st.path("accounts", "*", "account_key.pem")))
		},
		updateContact: func(t *testing.T, email string) {
			configure(t, email)
			dehydrated(t, "--account")
		},
		deactivate: func(t *testing.T) { dehydrated(t, "--deactivate") },
	}
}

// systemBundle is what programs of Debian trust.
const systemBundle = "/etc/ssl/certs/ca-certificates.crt"

// newUacme is the client in C. Debian builds it on libcurl with GnuTLS, which reads no
// environment variable for its trust and for which uacme has no option. So that it
// stays unmodified, and the machine too, it runs in a mount namespace where the
// system's bundle is the server's root.
func newUacme(t *testing.T, st setup) client {
	program, unshare := find(t, "uacme"), find(t, "unshare")
	var env []string
	hook := "/usr/share/uacme/uacme.sh"
	switch st.challenge {
	case http01:
		env = []string{"UACME_CHALLENGE_PATH=" + st.serveWebroot(t)}
	case dns01:
		hook = script(t, st.path("hook"), `[ "$2" = dns-01 ] || exit 1
case $1 in
begin) exec `+st.dnsHook(t)+` add "$3" "$5";;
*) exec `+st.dnsHook(t)+` delete "$3" "$5";;
esac
`)
	case tlsalpn01:
		hook, env = "/usr/share/uacme/ualpn.sh", []string{"PATH=" + st.startUalpn(t) + ":" + os.Getenv("PATH")}
	}
	r := st.runner(env...)
	isolate := []string{"--mount"}
	if os.Geteuid() != 0 {
		isolate = append(isolate, "--map-root-user")
	}
	isolate = append(isolate, "sh", "-c", `mount --bind "$0" `+systemBundle+` && exec "$@"`, st.server.TLSRootPEM, program,
		"--acme-url", st.directory, "--confdir", st.path("uacme"), "--hook", hook, "--verbose", "--yes")
	if st.binding.kid != "" {
		isolate = append(isolate, "--eab", st.binding.kid+":"+st.binding.hmac)
	}
	uacme := func(t *testing.T, args ...string) {
		t.Helper()
		r.run(t, unshare, append(isolate[:len(isolate):len(isolate)], args...)...)
	}
	return client{
		issue: func(t *testing.T, names []string) {
			uacme(t, "new", firstEmail)
			uacme(t, append([]string{"issue"}, names...)...)
		},
		renew: func(t *testing.T, names []string) { uacme(t, append([]string{"--force", "issue"}, names...)...) },
		files: func(t *testing.T, names []string) (string, string) {
			return st.path("uacme", names[0], "cert.pem"), st.path("uacme", "private", names[0], "key.pem")
		},
		revoke: func(t *testing.T, names []string) { uacme(t, "revoke", st.path("uacme", names[0], "cert.pem")) },
		accountKey: func(t *testing.T) crypto.Signer {
			return keyFromPEM(t, st.path("uacme", "private", "key.pem"))
		},
		updateContact: func(t *testing.T, email string) { uacme(t, "update", email) },
		rollover:      func(t *testing.T) { uacme(t, "newkey") },
		deactivate:    func(t *testing.T) { uacme(t, "deactivate") },
	}
}

// startUalpn runs uacme's own responder for tls-alpn-01. It returns a folder with a
// command ualpn that reaches it: uacme's hook uses the socket that ualpn has by default.
func (st setup) startUalpn(t *testing.T) (folder string) {
	t.Helper()
	program := find(t, "ualpn")
	socket := st.path("ualpn.sock")
	behind := testport.Address(t) // what is not a challenge goes there; nobody listens
	startProcess(t, st.dir, nil, program, "--bind", strings.ReplaceAll(st.tlsAddress(), ":", "@"), "--connect", strings.ReplaceAll(behind, ":", "@"),
		"--sock", socket, "--pidfile", st.path("ualpn.pid"), "--num-workers", "1", "--verbose")
	eventually(t, 30*time.Second, "the socket of ualpn", func() bool {
		_, err := os.Stat(socket)
		return err == nil
	})
	script(t, st.path("bin", "ualpn"), "exec "+program+" --sock "+socket+"\n")
	return st.path("bin")
}

// acmeTiny is the two hundred lines of Python. It brings one order to its end, can set
// the contact on the way, and knows neither revocation, nor deactivation, nor bindings.
type acmeTiny struct {
	st      setup
	program string
	webroot string
	run     runner
}

func newAcmeTiny(t *testing.T, st setup) acmeTiny {
	a := acmeTiny{
		st: st, program: find(t, "acme-tiny"), webroot: st.serveWebroot(t),
		run: st.runner("SSL_CERT_FILE=" + st.server.TLSRootPEM),
	}
	openssl := find(t, "openssl")
	for _, key := range []string{"account.key", "test.key"} {
		a.run.run(t, openssl, "genrsa", "-out", st.path(key), "2048")
	}
	return a
}

// arguments leave out acme-tiny's look at its own challenge: it would go to port 80 of
// names that the machine's resolver does not know.
func (a acmeTiny) arguments(t *testing.T, email string, names []string) []string {
	t.Helper()
	a.run.run(t, find(t, "openssl"), "req", "-new", "-key", a.st.path("test.key"), "-subj", "/",
		"-addext", "subjectAltName=DNS:"+strings.Join(names, ",DNS:"), "-out", a.st.path("test.csr"))
	return []string{"--account-key", a.st.path("account.key"), "--csr", a.st.path("test.csr"), "--acme-dir", a.webroot,
		"--disable-check", "--directory-url", a.st.directory, "--contact", "mailto:" + email}
}

// order writes the chain where the client function files expects it.
func (a acmeTiny) order(t *testing.T, email string, names []string) {
	t.Helper()
	out := a.run.run(t, a.program, a.arguments(t, email, names)...)
	_, chain, found := strings.Cut(out, "-----BEGIN CERTIFICATE-----")
	if !found {
		t.Fatalf("no certificate in the output:\n%s", out)
	}
	write(t, a.st.path("test.crt"), "-----BEGIN CERTIFICATE-----"+chain)
}

func (a acmeTiny) client() client {
	var last []string
	order := func(t *testing.T, email string, names []string) {
		t.Helper()
		last = names
		a.order(t, email, names)
	}
	return client{
		issue: func(t *testing.T, names []string) { order(t, firstEmail, names) },
		renew: func(t *testing.T, names []string) { order(t, firstEmail, names) },
		files: func(*testing.T, []string) (string, string) { return a.st.path("test.crt"), a.st.path("test.key") },
		accountKey: func(t *testing.T) crypto.Signer {
			return keyFromPEM(t, a.st.path("account.key"))
		},
		updateContact: func(t *testing.T, email string) { order(t, email, last) },
	}
}

func (a acmeTiny) wantRefusal(t *testing.T, problem string, names ...string) {
	t.Helper()
	out, err := a.run.try(t, a.program, a.arguments(t, firstEmail, names)...)
	if err == nil || !strings.Contains(out, problem) {
		t.Errorf("acme-tiny ended with %v, want %s:\n%s", err, problem, out)
	}
}
