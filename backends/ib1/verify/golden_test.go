package verify_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"testing"
	"time"

	"acmebridge/backends/ib1/verify"
)

// The golden chain was made with other software, and so was the signature.
const (
	goldenStep   = "eyJpZCI6Ikpsa3RKZ25kZHE0NVBsZERzS01mIiwidHlwZSI6Im9yaWdpbiIsInRpbWVzdGFtcCI6IjIwMjYtMTItMDJUMDk6MDA6MDBaIiwic2NoZW1lIjoiaHR0cHM6Ly9yZWdpc3RyeS5jb3JlLnRydXN0LmliMS5vcmcvc2NoZW1lL2VuZXJneSJ9"
	goldenSerial = "110325923650148017451015986003268648963"
	goldenIssuer = "108996695654363101578112178942988300290"
	goldenTime   = "2026-12-02T09:00:05Z"
	goldenDER    = "MEUCIQDxCRIVeQdPu0IXbkPNoVXABfLQjKoiNULgwVNsI9Q53wIgeo75aDRe2MWtkGHIBeiQcEw0JO1GMYuyMVF13DPn_Bs="
	goldenRaw    = "8QkSFXkHT7tCF25DzaFVwAXy0IyqIjVC4MFTbCPUOd96jvloNF7Yxa2QYcgF6JBwTDQk7UYxi7IxUXXcM-f8Gw=="
)

func goldenFile(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/golden-" + name + ".pem")
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(text)
	if block == nil || len(rest) > 0 {
		t.Fatalf("%s is not one block of PEM", name)
	}
	return block.Bytes
}

func goldenCertificate(t testing.TB, name string) *x509.Certificate {
	t.Helper()
	c, err := x509.ParseCertificate(goldenFile(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func goldenRecord(t testing.TB, signature string) []byte {
	t.Helper()
	text := func(name string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: goldenFile(t, name)}))
	}
	record, err := json.Marshal(map[string]any{
		"ib1:provenance": framework, "origins": []string{"JlktJgnddq45PldDsKMf"},
		"steps":        []any{goldenStep, []any{0, goldenSerial, goldenTime, signature}},
		"certificates": map[string][]string{goldenSerial: {text("leaf"), goldenIssuer}, goldenIssuer: {text("issuer")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return record
}

// goldenTrust believes the golden root. There is no list of that root.
func goldenTrust(t testing.TB, now time.Time, lists ...string) verify.Trust {
	t.Helper()
	crls := verify.NewCRLs(verify.CRLConfig{})
	for _, l := range lists {
		if err := crls.Add(goldenFile(t, l)); err != nil {
			t.Fatal(err)
		}
	}
	return verify.Trust{Roots: []*x509.Certificate{goldenCertificate(t, "root")}, CRLs: crls, NoRootCRL: true, Now: func() time.Time { return now }}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	first, second := time.Date(2026, 12, 12, 0, 0, 0, 0, time.UTC), time.Date(2026, 12, 22, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name, signature string
		raw             bool
		now             time.Time
		lists           []string
		want            verify.Failure
	}{
		{"DER", goldenDER, false, first, []string{"crl-10"}, ""},
		{"raw", goldenRaw, true, first, []string{"crl-10"}, ""},
		{"DER where raw is allowed too", goldenDER, true, first, []string{"crl-10"}, ""},
		{"raw where it is not allowed", goldenRaw, false, first, []string{"crl-10"}, verify.SignatureEncoding},
		{"revoked later", goldenDER, false, second, []string{"crl-10", "crl-20"}, verify.Revoked},
		{"lists in another order", goldenDER, false, second, []string{"crl-20", "crl-10"}, verify.Revoked},
		{"the list before is over", goldenDER, false, second, []string{"crl-10"}, verify.CRLStale},
		{"the list after has not begun", goldenDER, false, first, []string{"crl-20"}, verify.CRLNotYetValid},
		{"no list", goldenDER, false, first, nil, verify.CRLUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, err := verify.NewProvenance(verify.ProvenanceConfig{Trust: goldenTrust(t, tt.now, tt.lists...), Framework: framework, RawSignatures: tt.raw})
			if err != nil {
				t.Fatal(err)
			}
			record, err := p.Verify(t.Context(), goldenRecord(t, tt.signature))
			if tt.want != "" {
				wantOnly(t, err, tt.want)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s := record.Steps[0]; s.ID != "JlktJgnddq45PldDsKMf" || s.Signed.Identity.Member != member || s.Signed.Identity.Application != application || len(s.Signed.Identity.Roles) != 2 {
				t.Errorf("%+v", record)
			}
		})
	}
}

// TestGoldenAsClient: a signing certificate is not let in, even where somebody
// configured the roots of both trees in their places.
func TestGoldenAsClient(t *testing.T) {
	t.Parallel()
	other, _ := otherCA(t)
	trust := goldenTrust(t, time.Date(2026, 12, 12, 0, 0, 0, 0, time.UTC), "crl-10")
	trust.OtherRoots, trust.Roots = trust.Roots, []*x509.Certificate{other}
	c, err := verify.NewClient(trust)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Verify(context.Background(), []*x509.Certificate{goldenCertificate(t, "leaf"), goldenCertificate(t, "issuer")})
	wantOnly(t, err, verify.WrongTree)
}

// TestNamesOnce: of a record with one name twice, two readers may see two
// records, also when both values would do.
func TestNamesOnce(t *testing.T) {
	t.Parallel()
	p, err := verify.NewProvenance(verify.ProvenanceConfig{Trust: goldenTrust(t, time.Date(2026, 12, 12, 0, 0, 0, 0, time.UTC), "crl-10"), Framework: framework})
	if err != nil {
		t.Fatal(err)
	}
	good := goldenRecord(t, goldenDER)
	if _, err := p.Verify(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	for _, more := range []string{`"steps":[],`, `"Steps":[],`, `"origins":[],`, `"x":1,"x":1,`, `"certificates":{},`} {
		text := append([]byte("{"+more), bytes.TrimPrefix(bytes.TrimSpace(good), []byte("{"))...)
		_, err := p.Verify(t.Context(), text)
		wantOnly(t, err, verify.RecordMalformed)
	}
}
