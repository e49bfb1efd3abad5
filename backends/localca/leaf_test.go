package localca

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
)

// TestLeafIsWhatTheStandardLibraryMakes holds our encoding against that of
// crypto/x509, signature included, for every shape that a leaf can have.
func TestLeafIsWhatTheStandardLibraryMakes(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edKey, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	withKey := func(r *backends.Request, key any) {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		r.PublicKey, r.Contract.KeyHash = der, sha256.Sum256(der)
	}
	dns := func(names ...string) (ids []acme.Identifier) {
		for _, n := range names {
			ids = append(ids, acme.Identifier{Type: acme.DNSIdentifier, Value: n})
		}
		return ids
	}
	ips := func(addrs ...string) (ids []acme.Identifier) {
		for _, a := range addrs {
			ids = append(ids, acme.Identifier{Type: acme.IPIdentifier, Value: a})
		}
		return ids
	}
	cases := map[string]struct {
		config func(*Config)
		change func(*backends.Request)
	}{
		"plain":         {},
		"p384 issuer":   {config: func(c *Config) { c.KeyType = P384 }},
		"with OCSP":     {config: func(c *Config) { c.OCSP = true }},
		"OCSP nowhere":  {config: func(c *Config) { c.OCSP, c.PublicURL = true, "" }},
		"no public URL": {config: func(c *Config) { c.PublicURL = "" }},
		"rsa key":       {change: func(r *backends.Request) { withKey(r, &rsaKey.PublicKey) }},
		"rsa code signing": {change: func(r *backends.Request) {
			withKey(r, &rsaKey.PublicKey)
			r.Contract.Usages = []acme.Usage{acme.CodeSigning}
		}},
		"p384 key":      {change: func(r *backends.Request) { withKey(r, &p384.PublicKey) }},
		"ed25519 key":   {change: func(r *backends.Request) { withKey(r, edKey) }},
		"empty subject": {change: func(r *backends.Request) { r.Contract.Subject = acme.SubjectEmpty }},
		"no common name": {change: func(r *backends.Request) {
			r.Contract.CommonName, r.Contract.Identifiers = "", ips("192.0.2.7", "2001:db8::1")
		}},
		"names and addresses": {change: func(r *backends.Request) {
			r.Contract.Identifiers = append(dns("localhost", "*.example.org", "xn--bcher-kva.example"), ips("2001:db8::1", "10.0.0.1")...)
			r.Contract.CommonName = "*.example.org" // no PrintableString has an asterisk
		}},
		"all usages": {change: func(r *backends.Request) {
			r.Contract.Usages = []acme.Usage{acme.EmailProtection, acme.CodeSigning, acme.ClientAuth, acme.ServerAuth}
		}},
		"no usage":    {change: func(r *backends.Request) { r.Contract.Usages = nil }},
		"other words": {change: func(r *backends.Request) { r.Contract.CommonName = "überall gmbh & co" }},
		"beyond 2049": {
			config: func(c *Config) { c.RootValidity, c.IssuerValidity = 40*year, 40*year },
			change: func(r *backends.Request) {
				r.Contract.NotAfter = time.Date(2060, 1, 2, 3, 4, 5, 0, time.UTC)
			},
		},
		"a hundred names": {change: func(r *backends.Request) {
			r.Contract.Identifiers = nil
			for i := range 100 {
				r.Contract.Identifiers = append(r.Contract.Identifiers, dns(strings.Repeat("n", 1+i%60)+".example.org")...)
			}
		}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(t)
			if c.config != nil {
				c.config(&cfg)
			}
			ca := open(t, cfg)
			r := newRequest(birth)
			if c.change != nil {
				c.change(&r)
			}
			chain, err := ca.Issue(r)
			if err != nil {
				t.Fatal(err)
			}
			if want := standardLeaf(t, ca, r, leafOf(t, chain).SerialNumber); !bytes.Equal(chain[0], want) {
				t.Errorf("the certificate differs from that of crypto/x509:\n got %x\nwant %x", chain[0], want)
			}
			if _, err := acme.CheckChain(r.Contract, chain, ca.Roots(), birth); err != nil {
				t.Errorf("the engine would not deliver it: %v", err)
			}
		})
	}
}

// standardLeaf makes the certificate for r with crypto/x509 alone.
func standardLeaf(t testing.TB, ca *CA, r backends.Request, serial *big.Int) []byte {
	t.Helper()
	is := ca.state.Load().current()
	key, err := x509.ParsePKIXPublicKey(r.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, BasicConstraintsValid: true,
		NotBefore: r.At.Add(-time.Minute), NotAfter: r.Contract.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if _, ok := key.(*rsa.PublicKey); ok && !slices.Contains(r.Contract.Usages, acme.CodeSigning) {
		template.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	if r.Contract.CommonName != "" && r.Contract.Subject != acme.SubjectEmpty {
		template.Subject = pkix.Name{CommonName: r.Contract.CommonName}
	}
	for _, id := range r.Contract.Identifiers {
		if id.Type == acme.IPIdentifier {
			template.IPAddresses = append(template.IPAddresses, net.IP(netip.MustParseAddr(id.Value).AsSlice()))
		} else {
			template.DNSNames = append(template.DNSNames, id.Value)
		}
	}
	for _, u := range r.Contract.Usages {
		template.ExtKeyUsage = append(template.ExtKeyUsage, map[acme.Usage]x509.ExtKeyUsage{
			acme.ServerAuth: x509.ExtKeyUsageServerAuth, acme.ClientAuth: x509.ExtKeyUsageClientAuth,
			acme.CodeSigning: x509.ExtKeyUsageCodeSigning, acme.EmailProtection: x509.ExtKeyUsageEmailProtection,
		}[u])
	}
	if ca.cfg.PublicURL != "" {
		template.CRLDistributionPoints = []string{"http://pki.example.org/crl/local.crl"}
		if ca.cfg.OCSP {
			template.OCSPServer = []string{"http://pki.example.org/ocsp"}
		}
		template.IssuingCertificateURL = []string{"http://pki.example.org/ca/local.cer"}
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1BitString
	}
	unmarshal(t, r.PublicKey, &info)
	id := sha256.Sum256(info.Key.Bytes)
	template.SubjectKeyId = id[:20]
	der, err := x509.CreateCertificate(nil, template, is.cert, key, is.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestSerialNumbers(t *testing.T) {
	t.Parallel()
	ca := open(t, testConfig(t))
	seen := map[string]string{}
	serial := func(what string, r backends.Request) *big.Int {
		chain, err := ca.Issue(r)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		n := leafOf(t, chain).SerialNumber
		if n.Sign() <= 0 || n.BitLen() > 127 {
			t.Errorf("%s: the serial number %x is not positive in 127 bits", what, n)
		}
		if before, ok := seen[n.String()]; ok {
			t.Errorf("%s and %s share a serial number", before, what)
		}
		seen[n.String()] = what
		return n
	}
	r := newRequest(birth)
	serial("the first", r)
	// The key of a request stays when its CSR is exchanged or its contract
	// changes; the certificate does not, so neither may the number.
	later := r
	later.At = r.At.Add(time.Second)
	serial("another time", later)
	exchanged := newRequest(birth)
	exchanged.Key = r.Key
	serial("another CSR", exchanged)
	// Every bit is used: over many numbers each is seen as 0 and as 1.
	zeros, ones := new(big.Int), new(big.Int)
	for range 200 {
		r := r
		r.Key = newKey(t)
		n := serial("one of many", r)
		ones.Or(ones, n)
		zeros.Or(zeros, new(big.Int).Not(n))
	}
	for bit := range 127 {
		if ones.Bit(bit) == 0 || zeros.Bit(bit) == 0 {
			t.Errorf("bit %d of the serial numbers never changes", bit)
		}
	}
	// Another CA gives another number to the same request.
	chain, err := open(t, testConfig(t)).Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := seen[leafOf(t, chain).SerialNumber.String()]; ok {
		t.Error("two CAs give the same serial number, so it does not depend on a secret")
	}
}

func TestValidity(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Backdate = 5 * time.Minute
	ca := open(t, cfg)
	end := ca.state.Load().current().cert.NotAfter
	for name, c := range map[string]struct {
		at, notBefore, notAfter, begin time.Time
		refused                        bool
	}{
		"no begin asked for":    {at: birth.Add(time.Hour), notAfter: birth.Add(90 * day), begin: birth.Add(55 * time.Minute)},
		"now":                   {at: birth.Add(time.Hour), notBefore: birth.Add(time.Hour), notAfter: birth.Add(90 * day), begin: birth.Add(55 * time.Minute)},
		"later":                 {at: birth, notBefore: birth.Add(day), notAfter: birth.Add(90 * day), begin: birth.Add(day)},
		"earlier":               {at: birth.Add(day), notBefore: birth.Add(time.Hour), notAfter: birth.Add(90 * day), begin: birth.Add(time.Hour)},
		"before the issuer":     {at: birth, notBefore: birth.Add(-day), notAfter: birth.Add(90 * day), begin: birth.Add(-5 * time.Minute)},
		"parts of a second":     {at: birth.Add(1500 * time.Millisecond), notAfter: birth.Add(time.Hour + 900*time.Millisecond), begin: birth.Add(time.Second - 5*time.Minute)},
		"to the issuer's end":   {at: birth, notAfter: end, begin: birth.Add(-5 * time.Minute)},
		"past the issuer's end": {at: birth, notAfter: end.Add(time.Second), refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRequest(c.at)
			r.At, r.Contract.NotBefore, r.Contract.NotAfter = c.at, c.notBefore, c.notAfter
			chain, err := ca.Issue(r)
			if c.refused {
				if detail, ok := backends.RefusalDetail(err); !ok || !strings.Contains(detail, "after the CA's own") {
					t.Errorf("got %v, want a refusal that tells of the CA's end", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			leaf := leafOf(t, chain)
			if !leaf.NotBefore.Equal(c.begin) || !leaf.NotAfter.Equal(c.notAfter.Truncate(time.Second)) {
				t.Errorf("valid from %s until %s, want %s until %s", leaf.NotBefore, leaf.NotAfter, c.begin, c.notAfter)
			}
		})
	}
}

func TestWhatIsNotIssued(t *testing.T) {
	t.Parallel()
	ca := open(t, testConfig(t))
	for name, c := range map[string]struct {
		change  func(*backends.Request)
		refused bool // or else an error that is none
	}{
		"usage":              {func(r *backends.Request) { r.Contract.Usages = []acme.Usage{"ocsp"} }, true},
		"subject rule":       {func(r *backends.Request) { r.Contract.Subject = "organization" }, true},
		"identifier type":    {func(r *backends.Request) { r.Contract.Identifiers[0].Type = "email" }, true},
		"name not in ASCII":  {func(r *backends.Request) { r.Contract.Identifiers[0].Value = "bücher.example" }, true},
		"name with a zero":   {func(r *backends.Request) { r.Contract.Identifiers[0].Value = "a\x00.example" }, true},
		"empty name":         {func(r *backends.Request) { r.Contract.Identifiers[0].Value = "" }, true},
		"long name":          {func(r *backends.Request) { r.Contract.Identifiers[0].Value = strings.Repeat("a.", 127) }, true},
		"address with zone":  {func(r *backends.Request) { r.Contract.Identifiers = ipID("fe80::1%eth0") }, true},
		"no address":         {func(r *backends.Request) { r.Contract.Identifiers = ipID("example.org") }, true},
		"long common name":   {func(r *backends.Request) { r.Contract.CommonName = strings.Repeat("c", 65) }, true},
		"broken common name": {func(r *backends.Request) { r.Contract.CommonName = "a\xffb" }, true},
		"no names":           {func(r *backends.Request) { r.Contract.Identifiers = nil }, false},
		"no time":            {func(r *backends.Request) { r.At = time.Time{} }, false},
		"no end":             {func(r *backends.Request) { r.Contract.NotAfter = time.Time{} }, false},
		"another's key":      {func(r *backends.Request) { r.PublicKey = newRequest(birth).PublicKey }, false},
		"short request key":  {func(r *backends.Request) { r.Key = r.Key[:30] }, false},
		"not a key": {func(r *backends.Request) {
			r.PublicKey = []byte("key")
			r.Contract.KeyHash = sha256.Sum256(r.PublicKey)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRequest(birth)
			c.change(&r)
			_, err := ca.Issue(r)
			_, submitErr := ca.Submit(t.Context(), r)
			for _, err := range []error{err, submitErr} {
				if _, refused := backends.RefusalDetail(err); err == nil || refused != c.refused {
					t.Errorf("got %v, want an error, refusal %v", err, c.refused)
				}
			}
		})
	}
}
