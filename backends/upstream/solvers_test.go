package upstream_test

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"acmebridge/backends/upstream"
	"acmebridge/conformance/pebbletest"
)

var (
	one = upstream.Proof{Name: "a.example.org", Record: "_acme-challenge.a.example.org.", Value: "first", Token: "token-1", Content: "token-1.print"}
	two = upstream.Proof{Name: "a.example.org", Record: "_acme-challenge.a.example.org.", Value: "second", Token: "token-2", Content: "token-2.print"}
)

// shows goes through the life of two proofs for one name: both are there, one is
// taken back twice, and the other stays.
func shows(t *testing.T, s upstream.Solver, values func() []string, first, second string) {
	t.Helper()
	step := func(err error, want ...string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if got := values(); !slices.Equal(got, want) {
			t.Fatalf("on show are %q, want %q", got, want)
		}
	}
	step(s.Present(t.Context(), one), first)
	step(s.Present(t.Context(), one), first)
	step(s.Present(t.Context(), two), first, second)
	step(s.CleanUp(t.Context(), one), second)
	step(s.CleanUp(t.Context(), one), second)
	step(s.CleanUp(t.Context(), two))
}

// zone is a name server with one zone, as far as updates of TXT records go.
type zone struct {
	mu     sync.Mutex
	name   string // whose values were changed last
	values []string
}

func (z *zone) sorted() []string {
	z.mu.Lock()
	defer z.mu.Unlock()
	return slices.Sorted(slices.Values(z.values))
}

func (z *zone) ServeDNS(w dns.ResponseWriter, m *dns.Msg) {
	z.mu.Lock()
	defer z.mu.Unlock()
	reply := new(dns.Msg).SetReply(m)
	switch {
	case (m.IsTsig() == nil || w.TsigStatus() != nil) && (m.Opcode != dns.OpcodeQuery || m.Question[0].Qtype == dns.TypeSOA):
		reply.Rcode = dns.RcodeRefused
	case m.Opcode == dns.OpcodeQuery && m.Question[0].Qtype != dns.TypeSOA: // by whoever verifies
		for _, v := range z.values {
			if m.Question[0].Qtype == dns.TypeTXT && strings.EqualFold(m.Question[0].Name, z.name) {
				reply.Answer = append(reply.Answer, &dns.TXT{Hdr: dns.RR_Header{Name: m.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET}, Txt: []string{v}})
			}
		}
	case m.Opcode == dns.OpcodeQuery:
		soa := &dns.SOA{Hdr: dns.RR_Header{Name: "example.org.", Rrtype: dns.TypeSOA, Class: dns.ClassINET}, Ns: "ns.", Mbox: "m."}
		if m.Question[0].Name == "example.org." {
			reply.Answer = append(reply.Answer, soa)
		}
	case m.Question[0].Name != "example.org.":
		reply.Rcode = dns.RcodeNotZone
	default:
		for _, rr := range m.Ns {
			txt, ok := rr.(*dns.TXT)
			if !ok {
				continue
			}
			z.name = txt.Hdr.Name
			z.values = slices.DeleteFunc(z.values, func(v string) bool { return v == txt.Txt[0] })
			if txt.Hdr.Class == dns.ClassINET {
				z.values = append(z.values, txt.Txt[0])
			}
		}
	}
	if sig := m.IsTsig(); sig != nil && w.TsigStatus() == nil {
		reply.SetTsig(sig.Hdr.Name, sig.Algorithm, 300, time.Now().Unix())
	}
	_ = w.WriteMsg(reply) // the asker is gone
}

const zoneSecret = "c2l4dGVlbiBieXRlcyBvZiBhIGtleQ=="

// serveZone answers for a zone, over TCP as updates want it, and over UDP at the
// same port for whoever asks.
func serveZone(t *testing.T, z *zone) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u, err := net.ListenPacket("udp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{Listener: l}, {PacketConn: u}} {
		s.Handler, s.TsigSecret = z, map[string]string{"key.": zoneSecret}
		s.MsgAcceptFunc = func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }
		ended := make(chan struct{})
		go func() { defer close(ended); _ = s.ActivateAndServe() }() // ends by closing
		t.Cleanup(func() { _ = l.Close(); _ = u.Close(); <-ended })
	}
	return l.Addr().String()
}

func TestDynamicUpdate(t *testing.T) {
	t.Parallel()
	const secret = zoneSecret
	z := &zone{}
	address := serveZone(t, z)

	d := upstream.DynamicUpdate{
		Server: address, KeyName: "key", Secret: func() (string, error) { return secret + "\n", nil }, Dial: (&net.Dialer{}).DialContext,
	}
	shows(t, d, z.sorted, "first", "second") // finds the zone by itself
	d.Zone = "example.org"
	if err := d.Check(t.Context()); err != nil {
		t.Error(err)
	}
	shows(t, d, z.sorted, "first", "second")
	d.Zone = "example.net"
	if err := d.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "example.net") {
		t.Errorf("a zone that the server does not have: %v", err)
	}
	if err := d.Present(t.Context(), one); err == nil || !strings.Contains(err.Error(), "not in the zone") {
		t.Errorf("a name outside of the zone: %v", err)
	}
	d.Zone, d.Secret = "example.org", func() (string, error) { return "b3RoZXI=", nil }
	if err := d.Check(t.Context()); err == nil {
		t.Error("another key passes the check")
	}
	if err := d.Present(t.Context(), one); err == nil {
		t.Error("another key will do")
	}
	if len(z.sorted()) != 0 {
		t.Errorf("left are %q", z.sorted())
	}
}

// TestDynamicUpdateVerified: a name and its wildcard are proved to a CA with records
// in one zone, which are gone afterwards.
func TestDynamicUpdateVerified(t *testing.T) {
	t.Parallel()
	z := &zone{}
	address := serveZone(t, z)
	w := newWorld(t, pebbletest.Config{Resolver: address, RejectNonces: 20, Strict: true})
	w.cfg.Profile = "default"
	w.cfg.Solvers = []upstream.Solver{upstream.DynamicUpdate{
		Server: address, Zone: "example.org", KeyName: "key", Secret: func() (string, error) { return zoneSecret, nil }, Dial: (&net.Dialer{}).DialContext,
	}}
	if _, _, err := obtain(t, open(t, w.cfg), requestFor(t, "a.example.org", "*.a.example.org")); err != nil {
		t.Error(err)
	}
	if left := z.sorted(); z.name != "_acme-challenge.a.example.org." || len(left) != 0 {
		t.Errorf("for %s, %q are left", z.name, left)
	}
}

func TestAcmeDNS(t *testing.T) {
	t.Parallel()
	var got []string
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var u struct{ Subdomain, Txt string }
		if r.URL.Path != "/update" || r.Header.Get("X-Api-User") != "user" || r.Header.Get("X-Api-Key") != "password" || json.NewDecoder(r.Body).Decode(&u) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		got = append(got, u.Subdomain+" "+u.Txt)
	}))
	t.Cleanup(service.Close)
	accounts := `{"a.example.org": {"username": "user", "password": "password", "subdomain": "sub", "fulldomain": "sub.auth.example", "allowfrom": []}}`
	a := upstream.AcmeDNS{
		URL: service.URL + "/", Accounts: func() ([]byte, error) { return []byte(accounts), nil },
		Client: upstream.NewDoer((&net.Dialer{}).DialContext, nil),
	}
	if err := a.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := a.Present(t.Context(), one); err != nil || !slices.Equal(got, []string{"sub first"}) {
		t.Errorf("%q, %v", got, err)
	}
	if err := a.Present(t.Context(), upstream.Proof{Name: "b.example.org"}); err == nil || !strings.Contains(err.Error(), "b.example.org") {
		t.Errorf("a name without an account: %v", err)
	}
	accounts = strings.Replace(accounts, `"password": "password"`, `"password": "other"`, 1)
	if err := a.Present(t.Context(), one); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("a wrong password: %v", err)
	}
}

func TestHTTPRequest(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var values []string
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var u struct{ FQDN, Value string }
		if r.Header.Get("Authorization") != "Bearer x" || json.NewDecoder(r.Body).Decode(&u) != nil || u.FQDN != one.Record {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		values = slices.DeleteFunc(values, func(v string) bool { return v == u.Value })
		if r.URL.Path == "/dns/present" {
			values = append(values, u.Value)
		}
	}))
	t.Cleanup(service.Close)
	h := upstream.HTTPRequest{
		URL: service.URL + "/dns", Authorization: func() (string, error) { return "Bearer x\n", nil },
		Client: upstream.NewDoer((&net.Dialer{}).DialContext, nil),
	}
	shows(t, h, func() []string { mu.Lock(); defer mu.Unlock(); return slices.Sorted(slices.Values(values)) }, "first", "second")
	h.Authorization = nil
	if err := h.Present(t.Context(), one); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("without authorization: %v", err)
	}
}

func TestCommand(t *testing.T) {
	t.Setenv("ACMEBRIDGE_BACKENDS_CA_PASSPHRASE", "hunter2")
	dir := t.TempDir()
	script := filepath.Join(dir, "hook")
	text := `dir=$1; verb=$2; name=$3; value=$4
[ -z "$ACMEBRIDGE_BACKENDS_CA_PASSPHRASE" ] || { echo leaked; exit 3; }
[ "$name" = _acme-challenge.a.example.org. ] || { echo "no $name here"; exit 2; }
case $verb in present) : >"$dir/v-$value";; cleanup) rm -f "$dir/v-$value";; *) exit 1;; esac
`
	if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := upstream.Command{Argv: []string{"sh", script, dir}}
	if err := c.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	values := func() (all []string) {
		found, err := filepath.Glob(filepath.Join(dir, "v-*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			all = append(all, strings.TrimPrefix(filepath.Base(f), "v-"))
		}
		return all
	}
	shows(t, c, values, "first", "second")
	if err := c.Present(t.Context(), upstream.Proof{Record: "_acme-challenge.other."}); err == nil || !strings.Contains(err.Error(), "no _acme-challenge.other. here") {
		t.Errorf("a hook that fails: %v", err)
	}
}

func TestWebroot(t *testing.T) {
	t.Parallel()
	w := upstream.Webroot{Dir: t.TempDir()}
	folder := filepath.Join(w.Dir, ".well-known", "acme-challenge")
	shows(t, w, func() (all []string) {
		found, err := os.ReadDir(folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			b, err := os.ReadFile(filepath.Join(folder, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(b))
		}
		return all
	}, "token-1.print", "token-2.print")
	if err := w.Present(t.Context(), upstream.Proof{Token: "../../../escaped", Content: "x"}); err == nil {
		t.Error("a token names a file outside of the folder")
	}
	// Whoever runs the web server may be somebody else than we are: a folder of
	// theirs that is a link leads us nowhere, whether we write or remove.
	elsewhere, linked := t.TempDir(), upstream.Webroot{Dir: t.TempDir()}
	theirs := filepath.Join(elsewhere, "acme-challenge", one.Token)
	if err := errors.Join(os.Mkdir(filepath.Dir(theirs), 0o700), os.WriteFile(theirs, []byte("theirs"), 0o600), os.Symlink(elsewhere, filepath.Join(linked.Dir, ".well-known"))); err != nil {
		t.Fatal(err)
	}
	if err := linked.Present(t.Context(), one); err == nil {
		t.Error("a proof was written behind a link")
	}
	if err := linked.CleanUp(t.Context(), one); err == nil {
		t.Error("a file behind a link was to be removed")
	}
	if content, err := os.ReadFile(theirs); string(content) != "theirs" {
		t.Errorf("the file behind the link is %q, %v", content, err)
	}
	// A link in place of the file itself is replaced, and what it leads to stays.
	if err := os.Symlink(theirs, filepath.Join(folder, one.Token)); err != nil {
		t.Fatal(err)
	}
	if err := w.Present(t.Context(), one); err != nil {
		t.Error(err)
	}
	if content, err := os.ReadFile(theirs); string(content) != "theirs" {
		t.Errorf("the file behind the link is %q, %v", content, err)
	}
	if info, err := os.Lstat(filepath.Join(folder, one.Token)); err != nil || info.Mode().Perm() != 0o644 || !info.Mode().IsRegular() {
		t.Errorf("the web server cannot read the proof: %v, %v", info, err)
	}
}

// TestServicesThatRepeat: a service that repeats what it was sent, as some do in
// their errors, does not bring our secrets into a log; nor does a URL.
func TestServicesThatRepeat(t *testing.T) {
	t.Parallel()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_ = r.Header.Write(w)
	}))
	t.Cleanup(service.Close)
	doer := upstream.NewDoer((&net.Dialer{}).DialContext, nil)
	address := strings.Replace(service.URL, "http://", "http://user:hunter2@", 1)
	for name, s := range map[string]upstream.Solver{
		"http request": upstream.HTTPRequest{URL: address, Client: doer, Authorization: func() (string, error) { return "Bearer hunter2", nil }},
		"acme-dns": upstream.AcmeDNS{URL: address, Client: doer, Accounts: func() ([]byte, error) {
			return []byte(`{"a.example.org":{"username":"u","password":"hunter2","subdomain":"s"}}`), nil
		}},
	} {
		err := s.Present(t.Context(), one)
		if err == nil || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "dXNlcjpodW50ZXIy") || !strings.Contains(err.Error(), "400") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestResponder(t *testing.T) {
	t.Parallel()
	r := &upstream.Responder{}
	shows(t, r, func() (all []string) {
		for _, token := range []string{"token-1", "token-2"} {
			w := httptest.NewRecorder()
			r.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/.well-known/acme-challenge/"+token, nil))
			if w.Code == http.StatusOK {
				all = append(all, w.Body.String())
			}
		}
		return all
	}, "token-1.print", "token-2.print")
}
