package localca

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
)

// CRLNames implements backends.CRLSigner. An issuer that has ended needs no
// list any more: all that it signed has ended too.
func (c *CA) CRLNames() []string {
	now := c.cfg.Now()
	var names []string
	for _, is := range c.state.Load().issuers {
		if !now.After(is.cert.NotAfter) {
			names = append(names, is.crlName)
		}
	}
	return names
}

// SignCRL implements backends.CRLSigner. The same arguments give the same
// bytes.
func (c *CA) SignCRL(name string, number int64, thisUpdate time.Time, revoked []backends.Revoked) ([]byte, time.Time, error) {
	for _, is := range c.state.Load().issuers {
		if is.crlName != name {
			continue
		}
		der, err := is.signCRL(number, thisUpdate, thisUpdate.Add(c.cfg.CRLValidity), revoked)
		if err != nil {
			return nil, time.Time{}, fmt.Errorf("localca: sign %s: %w", name, err)
		}
		return der, thisUpdate.Add(c.cfg.CRLInterval), nil
	}
	return nil, time.Time{}, fmt.Errorf("localca: sign %s: there is no list of that name", name)
}

func (is *issuer) signCRL(number int64, thisUpdate, nextUpdate time.Time, revoked []backends.Revoked) ([]byte, error) {
	if number < 1 {
		return nil, fmt.Errorf("a list cannot have the number %d", number)
	}
	if nextUpdate.After(is.cert.NotAfter) {
		nextUpdate = is.cert.NotAfter
	}
	template := &x509.RevocationList{
		Number:     big.NewInt(number),
		ThisUpdate: thisUpdate.UTC().Truncate(time.Second),
		NextUpdate: nextUpdate.UTC().Truncate(time.Second),
	}
	for _, r := range revoked {
		if !bytes.Equal(r.AuthorityKeyID, is.cert.SubjectKeyId) {
			continue
		}
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber:   new(big.Int).SetBytes(r.Serial),
			RevocationTime: r.At.UTC().Truncate(time.Second),
			ReasonCode:     listedReason(r.Reason),
		})
	}
	// Sorted, a list can be searched by halves and two lists compared; one
	// serial number has one entry, the earliest.
	slices.SortFunc(template.RevokedCertificateEntries, func(a, b x509.RevocationListEntry) int {
		if d := a.SerialNumber.Cmp(b.SerialNumber); d != 0 {
			return d
		}
		return a.RevocationTime.Compare(b.RevocationTime)
	})
	template.RevokedCertificateEntries = slices.CompactFunc(template.RevokedCertificateEntries, func(a, b x509.RevocationListEntry) bool {
		return a.SerialNumber.Cmp(b.SerialNumber) == 0
	})
	return x509.CreateRevocationList(nil, template, is.cert, is.key)
}

// listedReason is the reason code of an entry; 0 has none (R8555-7.6-5). What
// has no meaning in a complete list is left out rather than its entry: the
// certificate stays revoked.
func listedReason(r acme.RevocationReason) int {
	if r < acme.Unspecified || r > acme.AACompromise || r == 7 || r == acme.RemoveFromCRL {
		return int(acme.Unspecified)
	}
	return int(r)
}
