package upstream_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Where Pebble has what.
const (
	newOrderPath    = "/order-plz"
	orderPath       = "/my-order/"
	finalizePath    = "/finalize-order/"
	certificatePath = "/certZ/"
)

// middle stands in front of a Pebble: it keeps the books of what was bought, and
// makes of it the CA that one would rather not have.
type middle struct {
	directory string
	roots     *x509.CertPool
	ca        *x509.Certificate
	key       *ecdsa.PrivateKey

	mu       sync.Mutex
	finals   int
	lose     string // the path whose next reply gets lost
	slow     bool   // orders are being processed
	paths    string // what damaged is for
	damaged  func([]byte) []byte
	status   int    // of every POST, when not zero,
	posts    string // or of those to paths that begin with it
	problem  string
	bend     func(*x509.Certificate) // the next certificate that is fetched
	wrong    map[string][]byte       // certificates that were bent, by path
	requests map[string]int          // by path
	replaced []string                // what each newOrder that came through says that it replaces
	bare     bool                    // the directory has no renewalInfo,
	// and no profiles
	noProfiles bool
}

func newMiddle(t *testing.T, w *world) *middle {
	t.Helper()
	m := &middle{roots: w.roots.Clone(), wrong: map[string][]byte{}, requests: map[string]int{}}
	var err error
	if m.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "middle"}, SubjectKeyId: []byte("middle"),
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, m.key.Public(), m.key)
	if err != nil {
		t.Fatal(err)
	}
	if m.ca, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	target, err := url.Parse(w.pebble.DirectoryURL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.roots}},
		ErrorLog:  log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: target.Scheme, Host: target.Host})
			r.Out.Host = r.In.Host // Pebble mints its links from it
		},
		ModifyResponse: m.reply,
	}
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !m.refused(rw, r) {
			proxy.ServeHTTP(rw, r)
		}
	}))
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.StartTLS()
	t.Cleanup(front.Close)
	m.roots.AddCert(front.Certificate())
	m.directory = front.URL + target.Path
	return m
}

func (m *middle) refused(w http.ResponseWriter, r *http.Request) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests[r.URL.Path]++
	if r.URL.Path == newOrderPath {
		m.replaced = append(m.replaced, replacedBy(r))
	}
	if m.status == 0 || r.Method != http.MethodPost || !strings.HasPrefix(r.URL.Path, m.posts) {
		return false
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Replay-Nonce", "bm90aGluZw")
	if m.problem == "rateLimited" {
		w.Header().Set("Retry-After", "600")
	}
	w.WriteHeader(m.status)
	fmt.Fprintf(w, `{"type":"urn:ietf:params:acme:error:%s","detail":"not now, see https://middle.example"}`, m.problem)
	return true
}

// replacedBy is what a newOrder says that it replaces. It leaves the request whole.
func replacedBy(r *http.Request) string {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var jws struct{ Payload string }
	var order struct{ Replaces string }
	if err := json.Unmarshal(body, &jws); err != nil {
		panic(err)
	}
	payload, err := base64.RawURLEncoding.DecodeString(jws.Payload)
	if err == nil {
		err = json.Unmarshal(payload, &order)
	}
	if err != nil {
		panic(err)
	}
	return order.Replaces
}

// told is what the orders since the last call said that they replace.
func (m *middle) told() (all []string) {
	m.set(func() { all, m.replaced = m.replaced, nil })
	return all
}

// reply is what becomes of a reply of Pebble's.
func (m *middle) reply(resp *http.Response) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := resp.Request.URL.Path
	ok := resp.StatusCode < 300
	if ok && strings.HasPrefix(path, finalizePath) {
		m.finals++
	}
	if ok && m.lose != "" && strings.HasPrefix(path, m.lose) {
		m.lose = ""
		panic(http.ErrAbortHandler)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if ok {
		body = m.change(resp, path, body)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}

func (m *middle) change(resp *http.Response, path string, body []byte) []byte {
	if m.bare && resp.Request.Method == http.MethodGet {
		body = bytes.Replace(body, []byte(`"renewalInfo"`), []byte(`"renewalNothing"`), 1)
	}
	if m.noProfiles && resp.Request.Method == http.MethodGet {
		body = bytes.Replace(body, []byte(`"profiles"`), []byte(`"noProfiles"`), 1)
	}
	isOrder := strings.HasPrefix(path, orderPath) || strings.HasPrefix(path, finalizePath)
	if isOrder && m.slow {
		var o map[string]any
		if json.Unmarshal(body, &o) == nil && (o["status"] == "valid" || o["status"] == "processing") {
			o["status"] = "processing"
			delete(o, "certificate")
			body, _ = json.Marshal(o)
			resp.Header.Set("Retry-After", "3600")
		}
	}
	if strings.HasPrefix(path, certificatePath) && !strings.Contains(strings.TrimPrefix(path, certificatePath), "/") {
		if m.bend != nil {
			m.wrong[path], m.bend = m.reissue(body, m.bend), nil
		}
		if wrong, ok := m.wrong[path]; ok {
			body = wrong
		}
	}
	if m.damaged != nil && resp.Request.Method == http.MethodPost && strings.HasPrefix(path, m.paths) {
		body = m.damaged(body)
	}
	return body
}

// reissue makes another certificate for the same key.
func (m *middle) reissue(chain []byte, bend func(*x509.Certificate)) []byte {
	block, _ := pem.Decode(chain)
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		panic(err)
	}
	wrong := &x509.Certificate{
		SerialNumber: leaf.SerialNumber, DNSNames: leaf.DNSNames, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter,
		KeyUsage: leaf.KeyUsage, ExtKeyUsage: leaf.ExtKeyUsage, BasicConstraintsValid: true,
	}
	bend(wrong)
	der, err := x509.CreateCertificate(rand.Reader, wrong, m.ca, leaf.PublicKey, m.key)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func (m *middle) bought() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.finals
}

func (m *middle) asked(path string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.requests[path]
}

func (m *middle) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

func (m *middle) loseReply(path string)                 { m.set(func() { m.lose = path }) }
func (m *middle) misissue(bend func(*x509.Certificate)) { m.set(func() { m.bend = bend }) }
func (m *middle) damage(paths string, how func([]byte) []byte) {
	m.set(func() { m.paths, m.damaged = paths, how })
}
func (m *middle) refuse(status int, problem string) {
	m.set(func() { m.status, m.problem = status, problem })
}
func (m *middle) process(slow bool) { m.set(func() { m.slow = slow }) }
func (m *middle) mend() {
	m.set(func() { m.damaged, m.status, m.slow = nil, 0, false })
}

// elsewhere turns the links of an order to another host.
func elsewhere(body []byte) []byte {
	var o map[string]any
	if json.Unmarshal(body, &o) != nil {
		return body
	}
	for _, link := range []string{"finalize", "certificate"} {
		if u, ok := o[link].(string); ok {
			if p, err := url.Parse(u); err == nil {
				o[link] = "https://elsewhere.example" + p.Path
			}
		}
	}
	body, _ = json.Marshal(o)
	return body
}
