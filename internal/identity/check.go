package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"acmebridge/acme"
)

// Expect says what an identity is for.
type Expect struct {
	// Names, as Names returns them, have to be exactly those of the certificate;
	// none are any.
	Names []string
	// Server and Client say which sides of a connection it is shown at.
	Server, Client bool
	// Roots are what the counterparties trust. Without them the chain is only
	// checked link by link.
	Roots []*x509.Certificate
	// Remaining is how long it has to be valid yet.
	Remaining time.Duration
	Now       time.Time
}

// Finding is the result of one check.
type Finding struct {
	Check string `json:"check"`
	// Result is "ok", "warning" or "failed".
	Result string `json:"result"`
	// Detail says what is missing, and what to do.
	Detail string `json:"detail,omitempty"`
}

// The results.
const (
	OK      = "ok"
	Warning = "warning"
	Failed  = "failed"
)

// Passed reports whether nothing failed.
func Passed(findings []Finding) bool {
	return !slices.ContainsFunc(findings, func(f Finding) bool { return f.Result == Failed })
}

// Check looks at everything that makes counterparties refuse an identity.
func Check(id Identity, e Expect) []Finding {
	c := checker{id: id, e: e}
	c.judge("key", c.key())
	c.judge("certificate", c.certificate())
	c.judge("names", c.names())
	if e.Server {
		c.judge("server usage", c.usage(x509.ExtKeyUsageServerAuth, "serverAuth"))
	}
	if e.Client {
		c.judge("client usage", c.usage(x509.ExtKeyUsageClientAuth, "clientAuth"))
	}
	c.judge("key usage", c.keyUsage())
	c.judge("chain", c.links())
	if e.Server {
		c.judge("chain as server", c.chain(x509.ExtKeyUsageServerAuth))
	}
	if e.Client {
		c.judge("chain as client", c.chain(x509.ExtKeyUsageClientAuth))
	}
	c.judge("validity", c.validity())
	if Passed(c.findings) {
		c.judge("handshake", handshakes(id, e))
	}
	return c.findings
}

type checker struct {
	id       Identity
	e        Expect
	findings []Finding
}

// doubt is an error that spoils nothing.
type doubt struct{ error }

func (c *checker) judge(check string, err error) {
	f := Finding{Check: check, Result: OK}
	if err != nil {
		f.Result, f.Detail = Failed, err.Error()
		var d doubt
		if errors.As(err, &d) {
			f.Result = Warning
		}
	}
	c.findings = append(c.findings, f)
}

func (c *checker) key() error {
	if !sameKey(c.id.Key.Public(), c.id.Leaf.PublicKey) {
		return errors.New("the private key is not the one of the certificate")
	}
	return nil
}

func (c *checker) certificate() error {
	leaf := c.id.Leaf
	const version3 = 3
	switch {
	case leaf.Version != version3:
		return fmt.Errorf("it has version %d and not 3", leaf.Version)
	case leaf.IsCA:
		return errors.New("it is the certificate of a CA")
	case leaf.SerialNumber.Sign() <= 0:
		return errors.New("its serial number is not positive")
	}
	if !strong(leaf.SignatureAlgorithm) {
		return fmt.Errorf("it is signed with %s, which nobody accepts any more", leaf.SignatureAlgorithm)
	}
	if p := acme.CheckCertificateKey(leaf.PublicKey, acme.KeyPolicy{Types: []string{"rsa", "p256", "p384"}}); p != nil {
		return errors.New(p.Detail)
	}
	return nil
}

func strong(a x509.SignatureAlgorithm) bool {
	switch a {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA, x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS,
		x509.SHA512WithRSAPSS, x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512, x509.PureEd25519:
		return true
	default:
		return false
	}
}

func (c *checker) names() error {
	leaf := c.id.Leaf
	var has []string
	for _, name := range leaf.DNSNames {
		has = append(has, strings.ToLower(name))
	}
	for _, ip := range leaf.IPAddresses {
		if addr, ok := netip.AddrFromSlice(ip); ok {
			has = append(has, addr.Unmap().String())
		}
	}
	if len(has) == 0 {
		return errors.New("it has no name in its subject alternative names")
	}
	var missing, extra []string
	for _, name := range c.e.Names {
		if !slices.Contains(has, name) {
			missing = append(missing, name)
		}
	}
	if len(c.e.Names) > 0 {
		for _, name := range has {
			if !slices.Contains(c.e.Names, name) {
				extra = append(extra, name)
			}
		}
	}
	switch {
	case len(missing) > 0 && len(extra) > 0:
		return fmt.Errorf("%s is missing, and %s is too much", strings.Join(missing, ", "), strings.Join(extra, ", "))
	case len(missing) > 0:
		return fmt.Errorf("%s is missing; it is for %s", strings.Join(missing, ", "), strings.Join(has, ", "))
	case len(extra) > 0:
		return fmt.Errorf("%s is too much", strings.Join(extra, ", "))
	}
	if cn := leaf.Subject.CommonName; cn != "" && !slices.Contains(has, strings.ToLower(cn)) {
		return doubt{fmt.Errorf("the common name %q is none of its names", cn)}
	}
	return nil
}

// usage wants the usage itself: no extension at all means any to some software
// and none to the CAs of these networks.
func (c *checker) usage(want x509.ExtKeyUsage, name string) error {
	if slices.Contains(c.id.Leaf.ExtKeyUsage, want) {
		return nil
	}
	return fmt.Errorf("the extended key usage %s is missing: have the CA reissue the certificate with both usages, or use it on its other side only", name)
}

func (c *checker) keyUsage() error {
	usage := c.id.Leaf.KeyUsage
	if usage&x509.KeyUsageDigitalSignature == 0 {
		return errors.New("the key usage digitalSignature is missing, without which TLS 1.3 does not work")
	}
	if _, ok := c.id.Leaf.PublicKey.(*rsa.PublicKey); ok && usage&x509.KeyUsageKeyEncipherment == 0 {
		return doubt{errors.New("the key usage keyEncipherment is missing; old counterparties that use RSA key exchange refuse that")}
	}
	return nil
}

// links wants a chain at all: counterparties have the root only.
func (c *checker) links() error {
	chain := append([]*x509.Certificate{c.id.Leaf}, c.id.Intermediates...)
	top := chain[len(chain)-1]
	if c.id.Root != nil || certifiedByOne(c.e.Roots, top) {
		return nil
	}
	why := fmt.Errorf("the chain ends at %q, which was issued by %q", top.Subject, top.Issuer)
	if len(c.e.Roots) > 0 {
		return fmt.Errorf("%w, and that is none of the roots: add the missing intermediate", why)
	}
	if len(chain) == 1 {
		return fmt.Errorf("there is no intermediate: %w; give the chain of the CA too", why)
	}
	return doubt{fmt.Errorf("%w; whether that is a root is not known, --root says it", why)}
}

func certifiedByOne(roots []*x509.Certificate, c *x509.Certificate) bool {
	return slices.ContainsFunc(roots, func(r *x509.Certificate) bool { return certified(r, c) })
}

// chain verifies for one usage at a time: a list of usages means any of them.
func (c *checker) chain(usage x509.ExtKeyUsage) error {
	if len(c.e.Roots) == 0 {
		return doubt{errors.New("not verified: no root was given")}
	}
	_, err := c.id.Leaf.Verify(x509.VerifyOptions{
		Roots: pool(c.e.Roots), Intermediates: pool(c.id.Intermediates), CurrentTime: c.e.Now, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	return err
}

func pool(certs []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range certs {
		p.AddCert(c)
	}
	return p
}

func (c *checker) validity() error {
	for _, cert := range append([]*x509.Certificate{c.id.Leaf}, c.id.Intermediates...) {
		switch {
		case c.e.Now.Before(cert.NotBefore):
			return fmt.Errorf("%s is valid from %s only; is the clock right?", cert.Subject, cert.NotBefore.Format(time.RFC3339))
		case !c.e.Now.Before(cert.NotAfter):
			return fmt.Errorf("%s has expired on %s; renew it", cert.Subject, cert.NotAfter.Format(time.RFC3339))
		case cert.NotAfter.Before(c.id.Leaf.NotAfter):
			return fmt.Errorf("%s ends on %s, before the certificate it has to vouch for", cert.Subject, cert.NotAfter.Format(time.RFC3339))
		}
	}
	if left := c.id.Leaf.NotAfter.Sub(c.e.Now); left < c.e.Remaining {
		asked := c.e.Remaining.String()
		if day := 24 * time.Hour; c.e.Remaining%day == 0 {
			asked = fmt.Sprintf("%dd", c.e.Remaining/day)
		}
		return fmt.Errorf("it ends on %s, in less than the %s asked for; renew it", c.id.Leaf.NotAfter.Format(time.RFC3339), asked)
	}
	return nil
}

func describeKey(key crypto.PublicKey) string {
	switch k := key.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return k.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	default:
		return fmt.Sprintf("%T", key)
	}
}
