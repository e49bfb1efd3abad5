// Package globalconftest is a configuration source of an X-Road instance: what a
// Central Server publishes, signed, over HTTP.
package globalconftest

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Config says what is published, and what is wrong with it.
type Config struct {
	Instance string
	// Shared is the document of the shared parameters.
	Shared string
	// RSA signs with a key of that kind, in place of an elliptic curve.
	RSA bool
	// Expires is in an hour when it is zero.
	Expires time.Time
	// Version is the only one that is there; 0 answers any and none.
	Version string
	// Newline ends lines; CRLF when it is empty.
	Newline string
	// SignsLineEnd includes the line end before the delimiter in what is signed.
	SignsLineEnd bool
	// Spoil may change the message after it was signed.
	Spoil func(message string) string
	// PartInstance is the instance of the part; that of the source when empty.
	PartInstance string
	// Swapped is what lies where the shared parameters should.
	Swapped string
	// AsFile publishes a whole MIME message, with its header in the file and the
	// instance in single quotes, as Central Servers do.
	AsFile bool
	// Status answers everything when it is not 0.
	Status int
}

// Source is a configuration source.
type Source struct {
	mu   sync.Mutex
	cfg  Config // guarded by mu
	key  crypto.Signer
	cert []byte
}

// New returns a source with a signing key of its own.
func New(cfg Config) (*Source, error) {
	s := &Source{cfg: cfg}
	var err error
	if cfg.RSA {
		const bits = 2048
		s.key, err = rsa.GenerateKey(rand.Reader, bits)
	} else {
		s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0)} // only the key of it counts
	s.cert, err = x509.CreateCertificate(rand.Reader, template, template, s.key.Public(), s.key)
	return s, err
}

// Set changes what is published.
func (s *Source) Set(change func(*Config)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.cfg)
}

// Anchor is the configuration anchor for a source at that URL.
func (s *Source) Anchor(url string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fmt.Sprintf(`<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<ns3:configurationAnchor xmlns:ns2="http://x-road.eu/xsd/identifiers" xmlns:ns3="http://x-road.eu/xsd/xroad.xsd">
    <generatedAt>2026-11-20T12:00:00Z</generatedAt>
    <instanceIdentifier>%s</instanceIdentifier>
    <source>
        <downloadURL>%s</downloadURL>
        <verificationCert>%s</verificationCert>
    </source>
</ns3:configurationAnchor>`, s.cfg.Instance, url, base64.StdEncoding.EncodeToString(s.cert))
}

// ServeHTTP answers at every path with the directory, except for the one of the
// shared parameters.
func (s *Source) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	version := r.URL.Query().Get("version")
	switch {
	case s.cfg.Status != 0:
		w.WriteHeader(s.cfg.Status)
	case r.URL.Path == "/V4/shared-params.xml":
		text := s.cfg.Shared
		if s.cfg.Swapped != "" {
			text = s.cfg.Swapped
		}
		_, _ = w.Write([]byte(text))
	case s.cfg.Version != "" && version != s.cfg.Version:
		http.NotFound(w, r)
	default:
		s.directory(w)
	}
}

func (s *Source) directory(w http.ResponseWriter) {
	newline := s.cfg.Newline
	if newline == "" {
		newline = "\r\n"
	}
	expires := s.cfg.Expires
	if expires.IsZero() {
		expires = time.Now().Add(time.Hour)
	}
	instance := s.cfg.PartInstance
	if instance == "" {
		instance = s.cfg.Instance
	}
	quote := `"`
	if s.cfg.AsFile {
		quote = "'"
	}
	digest := sha512.Sum512([]byte(s.cfg.Shared))
	directory := strings.Join([]string{
		"--inner",
		"Expire-date: " + expires.UTC().Format("2006-01-02T15:04:05Z"),
		"Version: 4",
		"",
		"--inner",
		"Content-type: application/octet-stream",
		"Content-transfer-encoding: base64",
		"Content-identifier: SHARED-PARAMETERS; instance=" + quote + instance + quote,
		"Content-location: /V4/shared-params.xml",
		"Hash-algorithm-id: http://www.w3.org/2001/04/xmlenc#sha512",
		"",
		base64.StdEncoding.EncodeToString(digest[:]),
		"--inner--",
	}, newline)
	signed := directory
	if s.cfg.SignsLineEnd {
		signed += newline
	}
	sum := sha512.Sum512([]byte(signed))
	signature, err := s.key.Sign(rand.Reader, sum[:], crypto.SHA512)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	kind := "ecdsa"
	if s.cfg.RSA {
		kind = "rsa"
	}
	if s.cfg.AsFile {
		directory += newline // as Central Servers do, signed or not
	}
	var out bytes.Buffer
	for _, line := range []string{
		"--outer",
		"Content-Type: multipart/mixed; charset=UTF-8; boundary=inner",
		"",
		directory,
		"--outer",
		"Content-type: application/octet-stream",
		"Content-transfer-encoding: base64",
		"Signature-algorithm-id: http://www.w3.org/2001/04/xmldsig-more#" + kind + "-sha512",
		`Verification-certificate-hash: AAAA; hash-algorithm-id="http://www.w3.org/2001/04/xmlenc#sha512"`,
		"",
		base64.StdEncoding.EncodeToString(signature),
		"--outer--",
	} {
		out.WriteString(line + newline)
	}
	message := out.String()
	if s.cfg.Spoil != nil {
		message = s.cfg.Spoil(message)
	}
	const kindOfAll = "multipart/related; charset=UTF-8; boundary=outer"
	if s.cfg.AsFile {
		message = "Content-Type: " + kindOfAll + newline + newline + message
		w.Header().Set("Content-Type", "application/octet-stream")
	} else {
		w.Header().Set("Content-Type", kindOfAll)
	}
	_, _ = w.Write([]byte(message))
}

// Entry is a member for Document.
type Entry struct {
	Class, Code, Name string
	// Owns are the addresses of its servers, by their code; Uses are codes of
	// servers that it is a client of, with a subsystem.
	Owns map[string]string
	Uses []string
}

// Document writes shared parameters.
func Document(instance string, members ...Entry) string {
	text := func(s string) string {
		var b bytes.Buffer
		_ = xml.EscapeText(&b, []byte(s)) // a buffer takes everything
		return b.String()
	}
	var b, servers strings.Builder
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8" standalone="yes"?><ns3:conf xmlns:ns2="http://x-road.eu/xsd/identifiers" xmlns:ns3="http://x-road.eu/xsd/xroad.xsd"><instanceIdentifier>%s</instanceIdentifier><approvedCA><name>Test CA</name></approvedCA>`, text(instance))
	for i, m := range members {
		fmt.Fprintf(&b, `<member id="id%d"><memberClass><code>%s</code><description>class</description></memberClass><memberCode>%s</memberCode><name>%s</name>`, i, text(m.Class), text(m.Code), text(m.Name))
		fmt.Fprintf(&b, `<subsystem id="id%d_sub"><subsystemCode>s</subsystemCode></subsystem></member>`, i)
		for code, address := range m.Owns {
			fmt.Fprintf(&servers, `<securityServer><owner>id%d</owner><serverCode>%s</serverCode><address>%s</address><authCertHash>AAAA</authCertHash>`, i, text(code), text(address))
			for j, other := range members {
				for _, used := range other.Uses {
					if used == code {
						fmt.Fprintf(&servers, `<client>id%d_sub</client>`, j)
					}
				}
			}
			servers.WriteString(`</securityServer>`)
		}
	}
	return b.String() + servers.String() + `<globalSettings></globalSettings></ns3:conf>`
}
