package ib1

import "crypto/x509"

// CheckMember lets tests hold certificates of others against the profile.
func (a *Authority) CheckMember(c *x509.Certificate, h Holder) error {
	// The number of the golden leaf was chosen, and fits all the same.
	return a.checkMember(c, h)
}
