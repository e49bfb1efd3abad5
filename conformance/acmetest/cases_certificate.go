package acmetest

import (
	"bytes"
	"encoding/pem"
	"net/http"
	"regexp"
	"strconv"
	"strings"
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
			for _, link := range c.alternates() {
				if other := c.order.acct.read(link).must(200).chain(); !other[0].Equal(c.leaf()) {
					t.Errorf("the chain at %s starts with another leaf", link)
				}
			}
		}},
		{"R8555-7.4.2-2", "alternate-chains-are-chains-of-their-own", func(t *T) {
			c := t.sharedCertificate()
			links := c.alternates()
			seen := map[string]string{string(c.response.body): c.order.obj.Certificate}
			for _, link := range links {
				resp := c.order.acct.read(link).must(200)
				if got := resp.mediaType(); got != "application/pem-certificate-chain" {
					resp.fail("Content-Type is %q", got)
				}
				chain := resp.chain()
				for i := 1; i < len(chain); i++ {
					if err := chain[i-1].CheckSignatureFrom(chain[i]); err != nil {
						resp.fail("certificate %d is not signed by %d: %v (R8555-9.1-2)", i-1, i, err)
					}
				}
				if other, there := seen[string(resp.body)]; there {
					resp.fail("is the chain that %s is", other)
				}
				seen[string(resp.body)] = link
				if again := c.order.acct.read(link).must(200); !bytes.Equal(again.body, resp.body) {
					again.fail("the alternate chain changed (R8555-7.4.2-4)")
				}
			}
		}},
		{"R8555-7.4.2-6", "alternate-chain-of-another-account", func(t *T) {
			c := t.sharedCertificate()
			for _, link := range c.alternates() {
				t.newAccount().read(link).refused(404, "malformed")
			}
		}},
		{"R8555-7.4.2-7", "alternate-chain-that-is-none", func(t *T) {
			c := t.sharedCertificate()
			links := c.alternates()
			number := tail(links[len(links)-1])
			if _, err := strconv.Atoi(number); err != nil {
				t.NotApplicable("the chains have no numbers")
			}
			base := strings.TrimSuffix(links[len(links)-1], number)
			c.order.acct.read(base+"9999").refused(404, "malformed")
			c.order.acct.read(base+"x").refusedWith([]int{400, 404}, "malformed")
			c.order.acct.read(base+"-1").refusedWith([]int{400, 404}, "malformed")
		}},
		{"R8555-7.4.2-5", "no-shared-cache-keeps-a-private-answer", func(t *T) {
			c := t.sharedCertificate()
			got := c.response.header.Get("Cache-Control")
			if strings.Contains(got, "public") && !strings.Contains(got, "no-cache") && !strings.Contains(got, "no-store") {
				t.Errorf("Cache-Control is %q on an answer that only the account may read", got)
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

// alternates are the links to further chains.
func (c *certificate) alternates() []string {
	links := c.response.links("alternate")
	if len(links) == 0 {
		c.order.acct.t.NotApplicable("no alternate chains offered")
	}
	return links
}
