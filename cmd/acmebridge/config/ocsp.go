package config

import (
	"maps"
	"os"
	"slices"
	"time"
)

// OCSP says how questions about certificates are answered at pki_listen.
type OCSP struct {
	Freshness  time.Duration `key:"freshness" default:"1h" min:"1m" max:"30d" doc:"How old an answer may be for those who ask; X-Road wants 1h. Answers are signed anew after half of that at the latest."`
	Nonce      string        `key:"nonce" default:"echo" enum:"echo,ignore" doc:"echo: a request with a nonce has an answer of its own signed, as long as signatures lasts. ignore: it gets the one that everybody gets."`
	Unknown    string        `key:"unknown" default:"unknown" enum:"unknown,unauthorized" doc:"What is said of certificates that were never issued: unknown is signed, unauthorized is an error."`
	CacheFor   time.Duration `key:"cache_for" default:"5m" min:"0s" max:"1d" doc:"How long HTTP caches may keep the answer to a GET. They do not hear of a revocation for so long; whoever asks here directly does at once."`
	Signatures int           `key:"signatures" default:"200" min:"1" max:"100000" doc:"Signatures in a second for one request each: nonces, several certificates at once, certificates that were never issued. Beyond that, answers come without the nonce, or ask to come back."`
	Shared     int           `key:"shared_signatures" default:"500" min:"1" max:"100000" doc:"Signatures in a second, and for each CA, for answers that everybody gets and that are not kept at the moment; up to ten times as many at once. Beyond that clients get one that is older and still fresh, or are asked to come back. Certificates that were issued or revoked within freshness have as many again to themselves."`
	Entries    int           `key:"entries" default:"20000" min:"100" max:"10000000" doc:"Signed answers that are kept, of about 1.5 KB each."`
}

// Where OCSP answers come from.
const (
	OCSPOff      = "off"
	OCSPDatabase = "database"
	OCSPList     = "crl"
)

// BackendOCSP says whether there is OCSP for the certificates of a backend.
type BackendOCSP struct {
	Source         string        `key:"source" enum:"off,database,crl" doc:"What answers are made from: the records of this server, or with crl a revocation list too. off: there is no OCSP here. Absent: database for localca, unless pki_listen is empty; off for other types."`
	SignerValidity time.Duration `key:"signer_validity" default:"30d" min:"1h" max:"365d" doc:"For localca: how long a key that signs answers is good. Another follows after half of that, so this must be at least twice ocsp.freshness."`
	Issuer         string        `key:"issuer" doc:"For other types: PEM file with the certificate of the CA that answers are given for."`
	SignerCert     string        `key:"signer_cert" doc:"For other types: PEM file with a certificate of that CA with the usage OCSPSigning. It is read again when it is renewed."`
	SignerKey      string        `key:"signer_key" doc:"For other types: PEM file, readable by its owner only, with the key of signer_cert. It is not encrypted."`
	CRL            string        `key:"crl" doc:"For source crl: file with the revocation list of the CA, DER or PEM. It is read again when it changes; have something fetch it in time."`
}

// On says that there is OCSP.
func (o BackendOCSP) On() bool { return o.Source == OCSPDatabase || o.Source == OCSPList }

// deriveOCSP lets a CA that signs here answer for itself wherever it can.
func deriveOCSP(c *Config) {
	for name, b := range c.Backends {
		if b.OCSP.Source != "" {
			continue
		}
		b.OCSP.Source = OCSPOff
		if b.Type == TypeLocalCA && c.PKIListen != "" {
			b.OCSP.Source = OCSPDatabase
		}
		c.Backends[name] = b
	}
}

func checkOCSP(c *Config, r *report) {
	for _, name := range slices.Sorted(maps.Keys(c.Backends)) {
		b, key := c.Backends[name], "backends."+name+".ocsp"
		o := b.OCSP
		if o.On() && c.PKIListen == "" {
			r.add(key+".source", "needs pki_listen, where answers are given; set that, or set this to off")
		}
		files := []struct{ key, path string }{{"issuer", o.Issuer}, {"signer_cert", o.SignerCert}, {"signer_key", o.SignerKey}}
		if b.Type == TypeLocalCA {
			// Before another follows, a signer has to be good for as long as the
			// last answers that it signs.
			if least := 2 * c.OCSP.Freshness; o.On() && o.SignerValidity < least {
				r.add(key+".signer_validity", "is %s, and must be at least %s: an answer is to be believed for ocsp.freshness (%s), and the next key follows after half of this",
					FormatDuration(o.SignerValidity), FormatDuration(least), FormatDuration(c.OCSP.Freshness))
			}
			if o.Source == OCSPList {
				r.add(key+".source", "must be database or off: this server makes the revocation list of a localca itself")
			}
			for _, f := range append(files, struct{ key, path string }{"crl", o.CRL}) {
				if f.path != "" {
					r.add(key+"."+f.key, "is for CAs elsewhere; a localca certifies its own signers")
				}
			}
			continue
		}
		for _, f := range files {
			if f.path == "" && o.On() {
				r.add(key+"."+f.key, "is missing; without issuer, signer_cert and signer_key nobody believes an answer")
			}
		}
		if o.CRL == "" && o.Source == OCSPList {
			r.add(key+".crl", "is missing; it names the file with the revocation list")
		}
	}
}

// lookAtOCSP looks whether the files are there; the server knows whether they
// fit together.
func lookAtOCSP(name string, o BackendOCSP, r *report) {
	if !o.On() {
		return
	}
	for _, f := range []struct{ key, path string }{{"issuer", o.Issuer}, {"signer_cert", o.SignerCert}, {"signer_key", o.SignerKey}, {"crl", o.CRL}} {
		if f.path == "" {
			continue
		}
		if _, err := os.ReadFile(Absolute(f.path)); err != nil {
			r.add("backends."+name+".ocsp."+f.key, "%s", trouble(f.path, err))
		}
	}
}

// ocspWarnings are about what no Security Server of X-Road would activate.
func (c *Config) ocspWarnings() []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(c.Profiles)) {
		p := c.Profiles[name]
		b := c.Backends[p.Backend]
		switch {
		case !p.XRoad.asked():
		case b.Type == TypeLocalCA && !b.OCSP.On():
			all = append(all, "profiles."+name+" is for X-Road, where certificates without OCSP are not used, and backends."+p.Backend+".ocsp.source is off")
		case b.OCSP.On() && c.OCSP.Freshness > xroadFreshness:
			all = append(all, "ocsp.freshness is longer than the hour that X-Road accepts, unless the instance has set ocspFreshnessSeconds; profiles."+name+" is for X-Road")
		}
	}
	return all
}

// xroadFreshness is how old an answer may be in X-Road.
const xroadFreshness = time.Hour
