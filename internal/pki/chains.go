package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
)

// Chains puts each root together with the intermediates that it certified,
// directly or through one of the others. All are DER; what cannot be parsed
// is left out.
func Chains(roots, intermediates [][]byte) [][][]byte {
	var below []*x509.Certificate
	for _, der := range intermediates {
		if c, err := x509.ParseCertificate(der); err == nil {
			below = append(below, c)
		}
	}
	var chains [][][]byte
	for _, der := range roots {
		root, err := x509.ParseCertificate(der)
		if err != nil {
			continue
		}
		chain := []*x509.Certificate{root}
		for i := 0; i < len(chain); i++ {
			for _, c := range below {
				if bytes.Equal(c.RawIssuer, chain[i].RawSubject) && !contains(chain, c) && c.CheckSignatureFrom(chain[i]) == nil {
					chain = append(chain, c)
				}
			}
		}
		var raw [][]byte
		for _, c := range chain {
			raw = append(raw, c.Raw)
		}
		chains = append(chains, raw)
	}
	return chains
}

func contains(chain []*x509.Certificate, c *x509.Certificate) bool {
	for _, have := range chain {
		if have.Equal(c) {
			return true
		}
	}
	return false
}

// encode writes certificates as PEM, without the blank lines that
// application/pem-certificate-chain does not have.
func encode(chain [][]byte) []byte {
	var b bytes.Buffer
	for _, der := range chain {
		_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: der}) // a buffer takes everything
	}
	return b.Bytes()
}
