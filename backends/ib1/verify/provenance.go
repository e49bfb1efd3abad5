package verify

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// ProvenanceConfig says what signed records are held against.
type ProvenanceConfig struct {
	// Trust has the roots of the signing tree. For records that were signed by
	// issuers of former times, keep their last lists.
	Trust
	// Framework is the URL of the trust framework.
	Framework string
	// Lookup gets the certificate of a serial number (decimal), and its issuers
	// after it, from the directory of the framework, for records that do not
	// bring theirs. No certificate and no error means that there is none.
	Lookup func(ctx context.Context, framework, serial string) ([]*x509.Certificate, error)
	// Skew is how far a signer's clock may be ahead; a minute without it.
	Skew time.Duration
	// RawSignatures accepts signatures in the form of JWS besides those in DER.
	RawSignatures bool
	// RoleRequired returns the roles of which one is needed to sign a step.
	// Without it, or when it returns none, any member may.
	RoleRequired func(Step) []string
	// Proven returns by when a signature existed, if somebody other than the
	// signer vouches for that (a time stamp, a log of receipts). Without it a
	// revoked certificate refuses whatever it signed: whoever has a stolen key
	// writes the time that suits.
	Proven func(ctx context.Context, signature Signature) (by time.Time, ok bool)
}

// Provenance verifies signed records. It is safe for concurrent use.
type Provenance struct {
	cfg  ProvenanceConfig
	tree *tree
	now  func() time.Time
}

// Record is a record of which everything was verified.
type Record struct {
	Framework string   `json:"framework"`
	Origins   []string `json:"origins"`
	// Steps are in the order of the record.
	Steps []Step `json:"steps"`
}

// Step is one step and who stands for it.
type Step struct {
	ID   string `json:"id"`
	Type string `json:"type"`
	// Content is the step as it was signed.
	Content json.RawMessage `json:"content"`
	Signed  Signature       `json:"signed"`
	// IncludedBy are those who took the step over, the outermost first.
	IncludedBy []Signature `json:"included_by,omitempty"`
}

// Signature is one verified signature.
type Signature struct {
	Serial string    `json:"serial"`
	Time   time.Time `json:"time"` // as the signer says
	// Value is the signature itself.
	Value    []byte   `json:"value"`
	Identity Identity `json:"identity"`
}

// NewProvenance returns a Provenance for the signing tree.
func NewProvenance(cfg ProvenanceConfig) (*Provenance, error) {
	t, err := cfg.tree()
	if err == nil && cfg.Framework == "" {
		err = errors.New("give the URL of the trust framework")
	}
	if err != nil {
		return nil, fmt.Errorf("verify signed records: %w", err)
	}
	if cfg.Skew <= 0 {
		cfg.Skew = time.Minute
	}
	return &Provenance{cfg: cfg, tree: t, now: cfg.clock()}, nil
}

// Verify holds a record, in JSON, against all rules. Certificates must have been
// valid when they signed; that they ended since does no harm. Revocations are
// those that are known now.
func (p *Provenance) Verify(ctx context.Context, record []byte) (Record, error) {
	read, err := parseRecord(record, p.cfg.Framework)
	if err != nil {
		return Record{}, err
	}
	v := verification{Provenance: p, parsed: read, now: second(p.now())}
	if err := v.container(ctx, read.steps, nil); err != nil {
		return Record{}, err
	}
	var origins []string
	for _, s := range v.steps {
		if s.Type == "origin" {
			origins = append(origins, s.ID)
		}
	}
	if !slices.Equal(origins, read.origins) {
		return Record{}, OriginsMismatch.becausef("the record names origins %q, and its origin steps are %q", read.origins, origins)
	}
	return Record{Framework: p.cfg.Framework, Origins: origins, Steps: v.steps}, nil
}

type verification struct {
	*Provenance
	*parsed
	now   time.Time
	steps []Step
}

// container verifies a list from the outside in.
func (v *verification) container(ctx context.Context, c *container, includedBy []Signature) error {
	signature, err := v.signature(ctx, c)
	if err != nil {
		return fmt.Errorf("signature of serial %s at %s: %w", c.serial, c.time, err)
	}
	for _, e := range c.elements {
		if e.inner != nil {
			if err := v.container(ctx, e.inner, append(slices.Clip(includedBy), signature)); err != nil {
				return err
			}
			continue
		}
		step, err := readStep(e.step)
		if err != nil {
			return err
		}
		step.Signed, step.IncludedBy = signature, includedBy
		if v.cfg.RoleRequired != nil {
			if roles := v.cfg.RoleRequired(step); len(roles) > 0 {
				if err := signature.Identity.RequireRole(roles...); err != nil {
					return fmt.Errorf("step %q: %w", step.ID, err)
				}
			}
		}
		v.steps = append(v.steps, step)
	}
	return nil
}

func readStep(encoded string) (Step, error) {
	content, err := base64.URLEncoding.Strict().DecodeString(encoded)
	var fields map[string]json.RawMessage
	s := Step{Content: content}
	if err == nil {
		err = json.Unmarshal(content, &fields)
	}
	if err == nil {
		// The role that is needed hangs on what a step says it is.
		err = namedOnce(content, "id", "type")
	}
	if err == nil {
		err = errors.Join(json.Unmarshal(fields["id"], &s.ID), json.Unmarshal(fields["type"], &s.Type))
	}
	if err != nil || s.ID == "" || s.Type == "" {
		return Step{}, RecordMalformed.becausef("a step is not a JSON object with one id and one type")
	}
	return s, nil
}

func (v *verification) signature(ctx context.Context, c *container) (Signature, error) {
	leaf, others, err := v.found(ctx, c.serial)
	if err != nil {
		return Signature{}, err
	}
	if c.at.After(v.now.Add(v.cfg.Skew)) {
		return Signature{}, SignTimeInFuture.becausef("it is %s now", stamp(v.now))
	}
	if leaf.Version != 3 {
		return Signature{}, CertificateVersion.becausef("the certificate is of version %d", leaf.Version)
	}
	if c.at.Before(leaf.NotBefore) || c.at.After(leaf.NotAfter) {
		return Signature{}, NotValidAtSignatureTime.becausef("the certificate is for %s to %s", stamp(leaf.NotBefore), stamp(leaf.NotAfter))
	}
	path, err := v.tree.path(leaf, others, c.at)
	if err != nil {
		if f := FailureOf(err); f == NotYetValid || f == IssuerExpired {
			err = fmt.Errorf("%w: %s", IssuerNotValidAtSignatureTime, err.Error())
		}
		return Signature{}, err
	}
	if err := endEntity(leaf, false); err != nil {
		return Signature{}, err
	}
	s := Signature{Serial: c.serial, Time: c.at}
	if s.Value, err = base64.URLEncoding.Strict().DecodeString(c.encoded); err != nil {
		return Signature{}, SignatureEncoding.becausef("%w", err)
	}
	excused := func(r revocation) bool { return v.excused(ctx, s, r) }
	if err := unrevoked(ctx, v.cfg.CRLs, path, v.now, v.cfg.NoRootCRL, excused); err != nil {
		return Signature{}, err
	}
	if err := checkSignature(leaf, c.signed(v.cfg.Framework), s.Value, v.cfg.RawSignatures); err != nil {
		return Signature{}, err
	}
	s.Identity, err = identify(path)
	return s, err
}

// found returns the certificate of a serial and what belongs above it.
func (v *verification) found(ctx context.Context, serial string) (leaf *x509.Certificate, others []*x509.Certificate, err error) {
	leaf, err = v.certificate(serial, CertificateNotFound)
	if err != nil {
		return nil, nil, err
	}
	if leaf == nil {
		leaf, others, err = v.lookup(ctx, serial)
		if err != nil {
			return nil, nil, err
		}
	} else {
		issuers := v.certificates[serial][1:]
		if len(issuers) > headerCertificates {
			return nil, nil, RecordMalformed.becausef("serial %s has %d issuers", serial, len(issuers))
		}
		for _, above := range issuers {
			if !canonicalSerial(above) {
				return nil, nil, SerialMalformed.becausef("issuer serial %.60q", above)
			}
			c, err := v.certificate(above, ChainIncomplete)
			if err != nil {
				return nil, nil, err
			}
			if c != nil {
				others = append(others, c)
			} else if !v.known(func(k *x509.Certificate) bool { return k.SerialNumber.String() == above }) {
				return nil, nil, ChainIncomplete.becausef("the record has no certificate for serial %s, an issuer of serial %s", above, serial)
			}
		}
	}
	issuer := func(k *x509.Certificate) bool { return named(leaf, k) }
	if !slices.ContainsFunc(others, issuer) && !v.known(issuer) {
		return nil, nil, ChainIncomplete.becausef("the issuer %q of serial %s is not there", leaf.Issuer, serial)
	}
	return leaf, others, nil
}

func (v *verification) known(is func(*x509.Certificate) bool) bool {
	return slices.ContainsFunc(v.tree.roots, is) || slices.ContainsFunc(v.tree.others, is) || slices.ContainsFunc(v.tree.issuers, is)
}

func (v *verification) lookup(ctx context.Context, serial string) (*x509.Certificate, []*x509.Certificate, error) {
	if v.cfg.Lookup == nil {
		return nil, nil, CertificateNotFound.becausef("the record does not bring it, and there is no directory to ask")
	}
	all, err := v.cfg.Lookup(ctx, v.cfg.Framework, serial)
	switch {
	case err != nil:
		return nil, nil, CertificateNotFound.becausef("ask the directory: %w", err)
	case len(all) == 0:
		return nil, nil, CertificateNotFound.becausef("the directory has none")
	case all[0].SerialNumber.String() != serial:
		return nil, nil, SerialMismatch.becausef("the directory gave the certificate with serial %s", all[0].SerialNumber)
	}
	return all[0], all[1:], nil
}

// excused says whether a signature is older than the revocation of its
// certificate by the word of somebody other than the signer.
func (v *verification) excused(ctx context.Context, s Signature, r revocation) bool {
	if v.cfg.Proven == nil {
		return false
	}
	by, ok := v.cfg.Proven(ctx, s)
	const keyCompromise = 1
	stolen := r.reason == keyCompromise && !r.invalid.IsZero() && !by.Before(r.invalid)
	return ok && by.Before(r.at) && !stolen
}

// checkSignature verifies ECDSA with P-256 and SHA-256. The value is DER; raw
// allows the two numbers of 32 octets each, too.
func checkSignature(leaf *x509.Certificate, text string, value []byte, raw bool) error {
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok || algorithm(key) != x509.ECDSAWithSHA256 {
		return WeakSignature.becausef("records are signed with P-256 and SHA-256, and the key is another")
	}
	const half = 32
	if !isDER(value) {
		if !raw || len(value) != 2*half {
			return SignatureEncoding.becausef("the signature is not an ECDSA signature in DER")
		}
		der, err := asn1.Marshal(ecdsaSignature{new(big.Int).SetBytes(value[:half]), new(big.Int).SetBytes(value[half:])})
		if err != nil {
			return SignatureEncoding.becausef("%w", err)
		}
		value = der
	}
	sum := sha256.Sum256([]byte(text))
	if !ecdsa.VerifyASN1(key, sum[:], value) {
		return SignatureInvalid.becausef("it is not the signature of what is there")
	}
	return nil
}

type ecdsaSignature struct{ R, S *big.Int }

func isDER(value []byte) bool {
	var s ecdsaSignature
	rest, err := asn1.Unmarshal(value, &s)
	return err == nil && len(rest) == 0 && s.R.Sign() > 0 && s.S.Sign() > 0
}
