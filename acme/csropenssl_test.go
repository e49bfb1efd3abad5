package acme

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// openssl runs the program and returns everything that it said.
func openssl(t *testing.T, input []byte, arguments ...string) (said string, ok bool) {
	t.Helper()
	program, err := exec.LookPath("openssl")
	if err != nil {
		t.Fatalf("this test compares us with OpenSSL, so install it: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), program, arguments...)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.CombinedOutput()
	return string(out), err == nil
}

// opensslTakes asks OpenSSL to verify a request. Its exit status differs from
// version to version where the signature is bad, its words do not.
func opensslTakes(t *testing.T, der []byte) bool {
	t.Helper()
	said, ok := openssl(t, der, "req", "-inform", "DER", "-verify", "-noout")
	return ok && !strings.Contains(said, "failure")
}

// TestParseCSRLikeOpenSSL: what we accept, OpenSSL accepts (PX-2).
func TestParseCSRLikeOpenSSL(t *testing.T) {
	t.Parallel()
	good := newCSR(t, testKey(), x509.CertificateRequest{Subject: cn("a.net"), DNSNames: []string{"a.net"}})
	bad := slices.Clone(good)
	bad[len(bad)-1] ^= 1
	a := extensionRequest(rawSAN(dnsName("a.net")))
	sample := map[string][]byte{
		"P-256":             good,
		"P-384":             newCSR(t, newECKey(elliptic.P384()), x509.CertificateRequest{DNSNames: []string{"a.net"}}),
		"P-521":             newCSR(t, newECKey(elliptic.P521()), x509.CertificateRequest{DNSNames: []string{"a.net"}}),
		"RSA":               newCSR(t, testRSAKey(), x509.CertificateRequest{DNSNames: []string{"a.net"}}),
		"RSA PSS":           newCSR(t, testRSAKey(), x509.CertificateRequest{DNSNames: []string{"a.net"}, SignatureAlgorithm: x509.SHA256WithRSAPSS}),
		"addresses":         newCSR(t, testKey(), x509.CertificateRequest{IPAddresses: []net.IP{net.ParseIP("192.0.2.1")}}),
		"wildcard":          newCSR(t, testKey(), x509.CertificateRequest{DNSNames: []string{"*.a.net"}}),
		"everything":        newCSR(t, testKey(), x509.CertificateRequest{DNSNames: []string{"a.net"}, ExtraExtensions: []pkix.Extension{constraints(true), keyUsageBits(t, 0, 5)}}),
		"no attributes":     rawCSR(t, 0, rdn(oidCommonName, "a.net"), nil, nil),
		"NUL in the name":   newCSR(t, testKey(), x509.CertificateRequest{DNSNames: []string{"a.net\x00.b.net"}}),
		"empty name":        rawCSR(t, 0, nil, nil, extensionRequest(rawSAN(dnsName("")))),
		"empty SAN":         rawCSR(t, 0, nil, nil, extensionRequest(rawSAN())),
		"otherName":         rawCSR(t, 0, nil, nil, extensionRequest(rawSAN(generalName(cbasn1.Tag(0).Constructed().ContextSpecific(), "\x06\x01\x2a\xa0\x02\x05\x00")))),
		"bad signature":     bad,
		"tampered":          bytes.Replace(good, []byte("a.net"), []byte("b.net"), 2),
		"cut":               good[:len(good)-4],
		"trailing data":     append(slices.Clone(good), 0),
		"version 2":         rawCSR(t, 1, nil, nil, a),
		"two common names":  rawCSR(t, 0, append(rdn(oidCommonName, "a"), rdn(oidCommonName, "b")...), nil, a),
		"key not readable":  rawCSR(t, 0, nil, []byte{0x30, 0}, a),
		"key off the curve": rawCSR(t, 0, nil, offCurve(t), a),
	}
	accepted, refused := 0, 0
	for name, der := range sample {
		_, p := ParseCSR(der)
		theirs := opensslTakes(t, der)
		switch {
		case p == nil && !theirs:
			t.Errorf("%s: accepted, but OpenSSL refuses it", name)
		case p == nil:
			accepted++
		case !theirs:
			refused++
		}
	}
	// The comparison means something only while both verdicts occur.
	if accepted < 8 || refused < 4 {
		t.Errorf("both accepted %d and both refused %d", accepted, refused)
	}
}

func offCurve(t *testing.T) []byte {
	t.Helper()
	spki, err := x509.MarshalPKIXPublicKey(testKey().Public())
	if err != nil {
		t.Fatal(err)
	}
	spki[len(spki)-1] ^= 1
	return spki
}

// TestCSROfOpenSSL: what people make with OpenSSL, by hand or in the scripts
// of shell clients, passes.
func TestCSROfOpenSSL(t *testing.T) {
	t.Parallel()
	const header = "[req]\ndistinguished_name = dn\nreq_extensions = v3\nprompt = no\n"
	tests := []struct {
		name, config string
		key          []string
		why          string
	}{
		{"acme.sh", header + "[dn]\nCN = a.net\n[v3]\nextendedKeyUsage = serverAuth,clientAuth\nsubjectAltName = DNS:a.net,DNS:b.net\n", nil, ""},
		{"the v3_req of the manual", header + "[dn]\nCN = a.net\n[v3]\nbasicConstraints = CA:FALSE\nkeyUsage = nonRepudiation, digitalSignature, keyEncipherment\nsubjectAltName = DNS:a.net,DNS:b.net\n", []string{"-newkey", "rsa:2048"}, ""},
		{"challenge password", "[req]\ndistinguished_name = dn\nreq_extensions = v3\nattributes = at\nprompt = no\n[dn]\nCN = b.net\n[at]\nchallengePassword = secret\n[v3]\nsubjectAltName = DNS:a.net,DNS:b.net\n", nil, ""},
		{"must-staple", header + "[dn]\nCN = a.net\n[v3]\ntlsfeature = status_request\nsubjectAltName = DNS:a.net,DNS:b.net\n", nil, "must-staple"},
		{"organization", header + "[dn]\nC = NL\nO = Bank\nCN = a.net\n[v3]\nsubjectAltName = DNS:a.net,DNS:b.net\n", nil, "has C, O"},
		{"CA", header + "[dn]\nCN = a.net\n[v3]\nbasicConstraints = CA:TRUE\nsubjectAltName = DNS:a.net,DNS:b.net\n", nil, "CA:TRUE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			config := filepath.Join(t.TempDir(), "req.cnf")
			if err := os.WriteFile(config, []byte(tt.config), 0o600); err != nil {
				t.Fatal(err)
			}
			request := filepath.Join(t.TempDir(), "req.der")
			key := tt.key
			if key == nil {
				key = []string{"-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"}
			}
			arguments := append([]string{"req", "-new", "-nodes", "-config", config, "-outform", "DER", "-out", request, "-keyout", filepath.Join(t.TempDir(), "key.pem")}, key...)
			if said, ok := openssl(t, nil, arguments...); !ok {
				t.Fatal(said)
			}
			der, err := os.ReadFile(request)
			if err != nil {
				t.Fatal(err)
			}
			csr, p := ParseCSR(der)
			if p != nil {
				t.Fatal(p)
			}
			_, p = CheckCSR(Order{Identifiers: names("a.net", "b.net")}, Profile{Usages: []Usage{ServerAuth, ClientAuth}}, csr)
			checkProblem(t, p, BadCSR, tt.why)
		})
	}
}

// TestCSRIsStrictDER: a length in more octets than it needs is BER, and two
// encodings of one request would have two hashes (SP-11).
func TestCSRIsStrictDER(t *testing.T) {
	t.Parallel()
	good := newCSR(t, testKey(), x509.CertificateRequest{DNSNames: []string{"a.net"}})
	ber := append([]byte{0x30, 0x83, 0x00, good[2], good[3]}, good[4:]...)
	if good[1] == 0x81 {
		ber = append([]byte{0x30, 0x82, 0x00, good[2]}, good[3:]...)
	}
	_, p := ParseCSR(ber)
	checkProblem(t, p, BadCSR, "not DER")
}
