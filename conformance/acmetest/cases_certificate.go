package acmetest

import (
	"bytes"
	"encoding/pem"
	"net/http"
	"regexp"
	"time"
)

// certificateCases is R8555-7.4.2 and R8555-9.1, all on one issued certificate.
func certificateCases() []Case {
	return []Case{
		{"R8555-9.1-1", "media-type", func(t *T) {
			c := t.sharedCertificate()
			if got := c.response.mediaType(); got != "application/pem-certificate-chain" {
				c.response.fail("Content-Type is %q", got)
			}
		}},
		{"R8555-9.1-1", "nothing-but-certificates", func(t *T) {
			c := t.sharedCertificate()
			form := regexp.MustCompile(`^(-----BEGIN CERTIFICATE-----\r?\n(?:[A-Za-z0-9+/=]{1,64}\r?\n)+-----END CERTIFICATE-----\r?\n(?:\r?\n)?)+$`)
			if !form.Match(c.response.body) {
				c.response.fail("the body is not strict RFC 7468 text of certificates only")
			}
		}},
		{"R8555-7.4.2-8", "leaf-is-what-was-ordered", func(t *T) {
			c := t.sharedCertificate()
			leaf := c.leaf()
			if !samePublicKey(leaf.PublicKey, c.key.signer.Public()) {
				t.Errorf("the leaf holds another key than the CSR")
			}
			if !sameSet(leaf.DNSNames, c.order.names()) || len(leaf.EmailAddresses)+len(leaf.IPAddresses)+len(leaf.URIs) > 0 {
				t.Errorf("the leaf names %q %q %v %v, ordered was %q", leaf.DNSNames, leaf.EmailAddresses, leaf.IPAddresses, leaf.URIs, c.order.names())
			}
			if now := time.Now(); leaf.IsCA || now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
				t.Errorf("the leaf is valid from %s to %s, CA %v", leaf.NotBefore, leaf.NotAfter, leaf.IsCA)
			}
		}},
		{"R8555-9.1-2", "each-certificate-signs-the-one-before", func(t *T) {
			chain := t.sharedCertificate().chain
			for i := 1; i < len(chain); i++ {
				if err := chain[i-1].CheckSignatureFrom(chain[i]); err != nil {
					t.Errorf("certificate %d is not signed by %d: %v", i-1, i, err)
				}
			}
		}},
		{"R8555-7.4.2-4", "reads-the-same-again", func(t *T) {
			c := t.sharedCertificate()
			if again := c.order.acct.read(c.order.obj.Certificate).must(200); !bytes.Equal(again.body, c.response.body) {
				again.fail("the certificate resource changed")
			}
		}},
		{"R8555-7.4.2-3", "accept-header-changes-nothing", func(t *T) {
			c := t.sharedCertificate()
			m := c.order.acct.message(c.order.obj.Certificate, nil)
			m.http = func(r *http.Request) { r.Header.Set("Accept", "application/pem-certificate-chain, */*;q=0.1") }
			if got := t.send(c.order.acct.ep, m).must(200).mediaType(); got != "application/pem-certificate-chain" {
				t.Errorf("Content-Type is %q", got)
			}
		}},
		{"R8555-7.4.2-2", "alternate-chains-start-with-the-same-leaf", func(t *T) {
			c := t.sharedCertificate()
			links := c.response.links("alternate")
			if len(links) == 0 {
				t.NotApplicable("no alternate chains offered")
			}
			for _, link := range links {
				if other := c.order.acct.read(link).must(200).chain(); !other[0].Equal(c.leaf()) {
					t.Errorf("the chain at %s starts with another leaf", link)
				}
			}
		}},
		{"R8555-7.4.2-4", "two-orders-two-serials", func(t *T) {
			first := t.sharedCertificate()
			second := t.issued()
			if first.leaf().SerialNumber.Cmp(second.leaf().SerialNumber) == 0 || first.order.obj.Certificate == second.order.obj.Certificate {
				t.Errorf("two certificates share serial %s or URL %s", first.leaf().SerialNumber, first.order.obj.Certificate)
			}
		}},
		{"R8555-11.4-1", "no-private-key-in-the-answer", func(t *T) {
			for rest := t.sharedCertificate().response.body; ; {
				var block *pem.Block
				if block, rest = pem.Decode(rest); block == nil {
					return
				}
				if block.Type != "CERTIFICATE" {
					t.Errorf("the chain holds a %s", block.Type)
				}
			}
		}},
	}
}
