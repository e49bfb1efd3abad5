package verify_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"acmebridge/backends/ib1/verify"
)

const iso = "2006-01-02T15:04:05Z"

// signer signs lists of steps as a member would. The string is put together
// here once more, from the description and not from the code under test.
type signer struct {
	key    *ecdsa.PrivateKey
	serial string
	at     string
}

func (s signer) sign(t testing.TB, elements ...any) []any {
	t.Helper()
	text := strings.Join(append(append([]string{framework}, words(elements)...), "0", s.serial, s.at), ".")
	sum := sha256.Sum256([]byte(text))
	der, err := ecdsa.SignASN1(rand.Reader, s.key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return append(slices.Clone(elements), []any{0, s.serial, s.at, base64.URLEncoding.EncodeToString(der)})
}

func words(elements []any) (all []string) {
	for _, e := range elements {
		switch e := e.(type) {
		case string:
			all = append(all, e)
		case int:
			all = append(all, "0")
		case []any:
			all = append(append(append(all, "%"), words(e)...), "&")
		}
	}
	return all
}

// TestSignedString is the value that was computed by hand: two lists, one in
// the other.
func TestSignedString(t *testing.T) {
	t.Parallel()
	elements := []any{[]any{"QQ==", []any{0, "123456", "2026-11-20T12:00:05Z", "U0lH"}}, "Qg=="}
	got := strings.Join(append(append([]string{framework}, words(elements)...), "0", "98765", "2026-11-20T12:01:00Z"), ".")
	const want = "https://registry.core.trust.ib1.org/trust-framework.%.QQ==.%.0.123456.2026-11-20T12:00:05Z.U0lH.&.&.Qg==.0.98765.2026-11-20T12:01:00Z"
	if got != want {
		t.Errorf("%s", got)
	}
}

func step(kind, id string) string {
	content, _ := json.Marshal(map[string]string{"id": id, "type": kind})
	return base64.URLEncoding.EncodeToString(content)
}

// record is a record that verifies, and its parts to be changed.
type record struct {
	*built
	w      *world
	signer signer
	cfg    verify.ProvenanceConfig
	fields map[string]any
	certs  map[string][]string
}

func pemOf(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func newRecord(t testing.TB, change func(*world)) *record {
	t.Helper()
	w := newWorld(t)
	w.leafT.ExtKeyUsage = nil
	if change != nil {
		change(w)
	}
	r := &record{built: w.build(t), w: w, signer: signer{w.leafKey, "83", begin().AddDate(0, 0, 1).Format(iso)}}
	r.certs = map[string][]string{"83": {pemOf(r.leaf), "82"}, "82": {pemOf(r.issuer)}}
	r.fields = map[string]any{"ib1:provenance": framework, "origins": []string{"a", "b"}, "certificates": r.certs}
	r.fields["steps"] = r.signer.sign(t, r.signer.sign(t, step("origin", "a")), step("transfer", "c"), step("origin", "b"))
	r.cfg = verify.ProvenanceConfig{Trust: r.trust, Framework: framework}
	return r
}

func (r *record) verify(t testing.TB) (verify.Record, error) {
	t.Helper()
	p, err := verify.NewProvenance(r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(r.fields)
	if err != nil {
		t.Fatal(err)
	}
	return p.Verify(t.Context(), text)
}

func TestProvenanceAccepts(t *testing.T) {
	t.Parallel()
	later := func(w *world) { w.at(begin().AddDate(3, 0, 0)) }
	for name, tt := range map[string]struct {
		world  func(*world)
		record func(*record)
	}{
		"as signed": {},
		"long after, all over": {world: func(w *world) {
			later(w)
			w.leafListT.NextUpdate = w.issuerT.NotAfter.Add(time.Hour)
			w.leafListT.ThisUpdate = w.issuerT.NotAfter.Add(-time.Hour)
		}},
		"certificates from the directory": {record: func(r *record) {
			delete(r.fields, "certificates")
			r.cfg.Lookup = func(_ context.Context, of, serial string) ([]*x509.Certificate, error) {
				if of != framework || serial != "83" {
					return nil, nil
				}
				return []*x509.Certificate{r.leaf, r.issuer}, nil
			}
		}},
		"issuer known": {record: func(r *record) { delete(r.certs, "82"); r.cfg.Issuers = []*x509.Certificate{r.issuer} }},
		"root brought": {record: func(r *record) { r.certs["83"] = append(r.certs["83"], "81"); r.certs["81"] = []string{pemOf(r.root)} }},
		"proven before the revocation": {
			world: func(w *world) { w.revoked(4, time.Time{}) },
			record: func(r *record) {
				r.cfg.Proven = func(_ context.Context, s verify.Signature) (time.Time, bool) { return s.Time, len(s.Value) > 0 }
			},
		},
		"role": {record: func(r *record) {
			r.cfg.RoleRequired = func(s verify.Step) []string {
				if s.Type == "origin" {
					return []string{provider}
				}
				return nil
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecord(t, tt.world)
			if tt.record != nil {
				tt.record(r)
			}
			got, err := r.verify(t)
			if err != nil {
				t.Fatal(err)
			}
			var ids string
			for _, s := range got.Steps {
				ids += s.ID
				if s.Signed.Identity.Application != application {
					t.Errorf("%+v", s)
				}
			}
			if ids != "acb" || len(got.Steps[0].IncludedBy) != 1 || len(got.Steps[1].IncludedBy) != 0 || !slices.Equal(got.Origins, []string{"a", "b"}) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// revoked revokes the leaf on the fifth day, for a reason and with an
// invalidity date if that is not zero.
func (w *world) revoked(reason int, invalid time.Time) {
	e := x509.RevocationListEntry{SerialNumber: big.NewInt(0x53), RevocationTime: begin().AddDate(0, 0, 5), ReasonCode: reason}
	if !invalid.IsZero() {
		value, _ := asn1.MarshalWithParams(invalid, "generalized")
		e.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 24}, Value: value}}
	}
	w.leafListT.RevokedCertificateEntries = []x509.RevocationListEntry{e}
}

// TestProvenanceFailures breaks one thing in each row.
func TestProvenanceFailures(t *testing.T) {
	t.Parallel()
	resign := func(t *testing.T, r *record, at string) {
		r.signer.at = at
		r.fields["origins"], r.fields["steps"] = []string{"a"}, r.signer.sign(t, step("origin", "a"))
	}
	signature := func(r *record) []any { // the outermost
		steps := r.fields["steps"].([]any)
		return steps[len(steps)-1].([]any)
	}
	for _, tt := range []struct {
		want   verify.Failure
		name   string
		world  func(*testing.T, *world)
		record func(*testing.T, *record)
	}{
		{verify.TrustFrameworkMismatch, "another", nil, func(_ *testing.T, r *record) { r.fields["ib1:provenance"] = framework + "/" }},
		{verify.TrustFrameworkMismatch, "none", nil, func(_ *testing.T, r *record) { delete(r.fields, "ib1:provenance") }},
		{verify.ContainerVersion, "1", nil, func(_ *testing.T, r *record) { signature(r)[0] = 1 }},
		{verify.ContainerVersion, "text", nil, func(_ *testing.T, r *record) { signature(r)[0] = "0" }},
		{verify.SerialMalformed, "leading zero", nil, func(_ *testing.T, r *record) { signature(r)[1] = "083" }},
		{verify.SerialMalformed, "hex", nil, func(_ *testing.T, r *record) { signature(r)[1] = "0x53" }},
		{verify.SerialMalformed, "number", nil, func(_ *testing.T, r *record) { signature(r)[1] = 83 }},
		{verify.SerialMalformed, "negative", nil, func(_ *testing.T, r *record) { signature(r)[1] = "-83" }},
		{verify.CertificateNotFound, "not in the record", nil, func(_ *testing.T, r *record) { delete(r.certs, "83") }},
		{verify.CertificateNotFound, "not in the directory", nil, func(_ *testing.T, r *record) {
			delete(r.certs, "83")
			r.cfg.Lookup = func(context.Context, string, string) ([]*x509.Certificate, error) { return nil, nil }
		}},
		{verify.ChainIncomplete, "issuer not in the record", nil, func(_ *testing.T, r *record) { delete(r.certs, "82") }},
		{verify.ChainIncomplete, "issuer not named", nil, func(_ *testing.T, r *record) { r.certs["83"] = r.certs["83"][:1] }},
		{verify.SerialMismatch, "of the certificate", nil, func(_ *testing.T, r *record) { r.certs["83"][0] = pemOf(r.issuer) }},
		{verify.SerialMismatch, "of the issuer", nil, func(_ *testing.T, r *record) { r.certs["82"][0] = pemOf(r.root) }},
		{verify.SignTimeMalformed, "zone", nil, func(_ *testing.T, r *record) { signature(r)[2] = "2026-12-02T00:00:00+00:00" }},
		{verify.SignTimeMalformed, "fraction", nil, func(_ *testing.T, r *record) { signature(r)[2] = "2026-12-02T00:00:00.5Z" }},
		{verify.SignTimeInFuture, "beyond the skew", nil, func(t *testing.T, r *record) { resign(t, r, r.w.now.Add(61*time.Second).Format(iso)) }},
		{verify.NotValidAtSignatureTime, "before", nil, func(t *testing.T, r *record) { resign(t, r, begin().Add(-time.Second).Format(iso)) }},
		{verify.NotValidAtSignatureTime, "after", func(_ *testing.T, w *world) { w.leafT.NotAfter = begin().AddDate(0, 0, 2) }, func(t *testing.T, r *record) {
			resign(t, r, begin().AddDate(0, 0, 3).Format(iso))
		}},
		{verify.IssuerNotValidAtSignatureTime, "before", func(_ *testing.T, w *world) { w.issuerT.NotBefore = begin().AddDate(0, 0, 2) }, nil},
		{verify.IssuerNotValidAtSignatureTime, "after", func(_ *testing.T, w *world) { w.issuerT.NotAfter = begin().Add(time.Hour) }, nil},
		{verify.UntrustedIssuer, "another root", nil, func(t *testing.T, r *record) {
			other, _ := otherCA(t)
			r.cfg.Roots = []*x509.Certificate{other}
		}},
		{verify.WrongTree, "client tree", nil, func(t *testing.T, r *record) {
			other, _ := otherCA(t)
			r.cfg.OtherRoots, r.cfg.Roots = r.cfg.Roots, []*x509.Certificate{other}
		}},
		{verify.LeafIsCA, "as a leaf", func(_ *testing.T, w *world) {
			w.leafT.IsCA, w.leafT.KeyUsage = true, x509.KeyUsageDigitalSignature
		}, nil},
		{verify.KeyUsage, "no digitalSignature", func(_ *testing.T, w *world) { w.leafT.KeyUsage = x509.KeyUsageKeyAgreement }, nil},
		{verify.Revoked, "after it signed", func(_ *testing.T, w *world) { w.revoked(4, time.Time{}) }, nil},
		{verify.Revoked, "proven too late", func(_ *testing.T, w *world) { w.revoked(4, time.Time{}) }, func(_ *testing.T, r *record) {
			r.cfg.Proven = func(context.Context, verify.Signature) (time.Time, bool) { return begin().AddDate(0, 0, 5), true }
		}},
		{verify.Revoked, "the key was stolen before", func(_ *testing.T, w *world) { w.revoked(1, begin()) }, func(_ *testing.T, r *record) {
			r.cfg.Proven = func(_ context.Context, s verify.Signature) (time.Time, bool) { return s.Time, true }
		}},
		{verify.Revoked, "the key was stolen nobody can read when", func(_ *testing.T, w *world) {
			w.revoked(1, begin())
			w.leafListT.RevokedCertificateEntries[0].ExtraExtensions[0].Value = []byte("\x18\x042026")
		}, func(_ *testing.T, r *record) {
			r.cfg.Proven = func(_ context.Context, s verify.Signature) (time.Time, bool) { return s.Time, true }
		}},
		{verify.Revoked, "the key was stolen then or then", func(_ *testing.T, w *world) {
			w.revoked(1, begin().AddDate(0, 0, 4))
			w.leafListT.RevokedCertificateEntries[0].ExtraExtensions[0].Value = append(w.leafListT.RevokedCertificateEntries[0].ExtraExtensions[0].Value, 5, 0)
		}, func(_ *testing.T, r *record) {
			r.cfg.Proven = func(_ context.Context, s verify.Signature) (time.Time, bool) { return s.Time, true }
		}},
		{verify.RecordMalformed, "a step has two types", nil, func(t *testing.T, r *record) {
			two := base64.URLEncoding.EncodeToString([]byte(`{"id":"a","type":"transfer","type":"origin"}`))
			r.fields["origins"], r.fields["steps"] = []string{"a"}, r.signer.sign(t, two)
		}},
		{verify.RecordMalformed, "a step has a type in capitals too", nil, func(t *testing.T, r *record) {
			two := base64.URLEncoding.EncodeToString([]byte(`{"id":"a","type":"origin","Type":"transfer"}`))
			r.fields["origins"], r.fields["steps"] = []string{"a"}, r.signer.sign(t, two)
		}},
		{verify.IssuerRevoked, "by the root", func(_ *testing.T, w *world) {
			w.rootListT.RevokedCertificateEntries = []x509.RevocationListEntry{{SerialNumber: big.NewInt(0x52), RevocationTime: begin()}}
		}, nil},
		{verify.CRLUnavailable, "none", func(_ *testing.T, w *world) { w.leafListT = nil }, nil},
		{verify.CRLStale, "made before the issuer ended", func(_ *testing.T, w *world) {
			l := w.leafListT
			w.at(begin().AddDate(3, 0, 0))
			w.leafListT = l
		}, nil},
		{verify.WeakSignature, "P-384", func(t *testing.T, w *world) { w.leafKey = key(t, elliptic.P384()) }, nil},
		{verify.SignatureInvalid, "a step more", nil, func(_ *testing.T, r *record) {
			steps := r.fields["steps"].([]any)
			r.fields["steps"] = slices.Insert(steps, 1, any(step("transfer", "d")))
		}},
		{verify.SignatureInvalid, "of another key", nil, func(t *testing.T, r *record) {
			r.signer.key = key(t, elliptic.P256())
			resign(t, r, r.signer.at)
		}},
		{verify.SignatureInvalid, "another time", nil, func(_ *testing.T, r *record) { signature(r)[2] = "2026-12-02T00:00:01Z" }},
		{verify.SignatureEncoding, "no padding", nil, func(_ *testing.T, r *record) { signature(r)[3] = "QQ" }},
		{verify.SignatureEncoding, "two numbers", nil, func(_ *testing.T, r *record) {
			signature(r)[3] = base64.URLEncoding.EncodeToString(make([]byte, 64))
		}},
		{verify.ApplicationCNMismatch, "slash", func(_ *testing.T, w *world) { w.leafT.Subject.CommonName += "/" }, nil},
		{verify.RolesEmpty, "none", func(_ *testing.T, w *world) {
			for i := range w.leafT.ExtraExtensions {
				if w.leafT.ExtraExtensions[i].Id.String() == "1.3.6.1.4.1.62329.1.1" {
					w.leafT.ExtraExtensions[i].Value = []byte{0x30, 0}
				}
			}
		}, nil},
		{verify.RoleNotHeld, "of a step", nil, func(_ *testing.T, r *record) {
			r.cfg.RoleRequired = func(verify.Step) []string { return []string{provider + "/"} }
		}},
		{verify.OriginsMismatch, "order", nil, func(_ *testing.T, r *record) { r.fields["origins"] = []string{"b", "a"} }},
		{verify.OriginsMismatch, "one more", nil, func(_ *testing.T, r *record) { r.fields["origins"] = []string{"a", "b", "c"} }},
		{verify.RecordMalformed, "no steps", nil, func(_ *testing.T, r *record) { delete(r.fields, "steps") }},
		{verify.RecordMalformed, "name of a field in capitals", nil, func(_ *testing.T, r *record) {
			r.fields["Steps"] = r.fields["steps"]
			delete(r.fields, "steps")
		}},
		{verify.RecordMalformed, "a dot in a step", nil, func(t *testing.T, r *record) { r.fields["steps"] = r.signer.sign(t, "QQ==.Qg==") }},
	} {
		t.Run(string(tt.want)+"/"+tt.name, func(t *testing.T) {
			t.Parallel()
			r := newRecord(t, func(w *world) {
				if tt.world != nil {
					tt.world(t, w)
				}
			})
			if tt.record != nil {
				tt.record(t, r)
			}
			got, err := r.verify(t)
			wantOnly(t, err, tt.want)
			if got.Steps != nil {
				t.Errorf("steps come with the failure: %+v", got)
			}
		})
	}
}

// FuzzProvenance: whatever is written into a record, an error has a name and
// brings no steps, and what verifies are the steps that were signed.
func FuzzProvenance(f *testing.F) {
	golden := goldenRecord(f, goldenDER)
	f.Add(golden)
	f.Add([]byte(`{"ib1:provenance":"` + framework + `","steps":[[["QQ==",[0,"1","2026-12-02T09:00:05Z","QQ=="]],[0,"1","x","y"]],[0]],"origins":[]}`))
	p, err := verify.NewProvenance(verify.ProvenanceConfig{Trust: goldenTrust(f, time.Date(2026, 12, 12, 0, 0, 0, 0, time.UTC), "crl-10"), Framework: framework})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := p.Verify(t.Context(), text)
		switch {
		case err != nil && (verify.FailureOf(err) == "" || r.Steps != nil):
			t.Fatalf("%+v, %v", r, err)
		case err == nil && (len(r.Steps) != 1 || base64.URLEncoding.EncodeToString(r.Steps[0].Content) != goldenStep):
			t.Fatalf("%+v", r)
		}
	})
}
