package online

import (
	"bytes"
	"encoding/pem"
	"fmt"

	"acmebridge/backends"
	"acmebridge/backends/ib1"
)

// Roots implements backends.Rooted.
func (c *CA) Roots() [][]byte {
	var ders [][]byte
	for _, t := range c.state.Load().trees {
		ders = append(ders, t.root.Certificate().Raw)
	}
	return ders
}

// Intermediates implements backends.Rooted.
func (c *CA) Intermediates() [][]byte {
	var ders [][]byte
	for _, t := range c.current().trees {
		for _, a := range t.issuers {
			ders = append(ders, a.Certificate().Raw)
		}
	}
	return ders
}

// Publications implements backends.Publisher: every CA certificate there ever
// was, the trust bundle of each tree, and the lists that were signed elsewhere.
func (c *CA) Publications() []backends.Publication {
	now := c.cfg.Now()
	var all []backends.Publication
	for _, t := range c.current().trees {
		root := t.root.Certificate()
		all = append(all, backends.Publication{Name: ib1.CAName(t.name, root), DER: root.Raw})
		bundle := [][]byte{root.Raw}
		for _, a := range t.issuers {
			all = append(all, backends.Publication{Name: ib1.CAName(t.name, a.Certificate()), DER: a.Certificate().Raw})
			// Who trusts issuers by name needs all that are alive (section 8, 8),
			// and who verifies old signatures the others too.
			if t.name == ib1.Signing || !now.After(a.Certificate().NotAfter) {
				bundle = append(bundle, a.Certificate().Raw)
			}
		}
		all = append(all, backends.Publication{Name: fmt.Sprintf("ca/ib1-%s.pem", t.name), DER: certificates(bundle), ContentType: "application/pem-certificate-chain"})
		if l := t.rootList; l != nil {
			all = append(all, backends.Publication{Name: ib1.CRLName(t.name, root), DER: l.der, ContentType: "application/pkix-crl", At: l.at, Next: l.next})
		}
		for _, l := range t.imported {
			all = append(all, backends.Publication{Name: l.name, DER: l.der, ContentType: "application/pkix-crl", At: l.at, Next: l.next})
		}
	}
	return all
}

func certificates(ders [][]byte) []byte {
	var b bytes.Buffer
	for _, der := range ders {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der}) // a buffer takes everything
	}
	return b.Bytes()
}
