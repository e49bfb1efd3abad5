package ib1_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"slices"
	"testing"
	"time"

	"acmebridge/backends/ib1"
)

// The golden chain was made by another implementation. What it and we do not
// agree on, one of us has misread.
func goldenFramework() *ib1.Framework {
	s := settings()
	s.PublicURL = "http://crl.example.org"
	return must(ib1.New(s))
}

func TestGoldenChainFitsTheProfiles(t *testing.T) {
	t.Parallel()
	f := goldenFramework()
	root, issuer, leaf := goldenCertificate(t, "root.pem"), goldenCertificate(t, "issuer.pem"), goldenCertificate(t, "leaf.pem")
	for name, want := range map[string]string{
		"root.pem": "903e7a40989cb8dad7aef029ab94d9b45e05a7be3855eead2c0965c85e5f7236", "issuer.pem": "01762090dfdf46694a380d9745a2ef7d98ab386db1778d59f7468dc2d3249254",
		"leaf.pem": "bf498a13523b8c4826132d1ac985688b86555b4e794cbe15fad840409ce4f39c",
	} {
		if sum := sha256.Sum256(golden(t, name)); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s: SHA-256 %x", name, sum)
		}
	}
	if _, err := f.OpenRoot(ib1.Signing, root, nil); err != nil {
		t.Errorf("root: %v", err)
	}
	a, err := f.OpenIssuer(ib1.Signing, root, issuer, nil)
	if err != nil {
		t.Fatalf("issuer: %v", err)
	}
	if err := a.CheckMember(leaf, holder()); err != nil {
		t.Errorf("leaf: %v", err)
	}
	// It is of the Signing tree and of no other.
	if _, err := f.OpenRoot(ib1.Client, root, nil); err == nil {
		t.Error("the root of the Signing tree is one of the Client tree")
	}
}

// Ours have the same extensions as the golden ones, octet for octet, but for
// what depends on keys and URLs.
func TestOursAreLikeTheGoldenOnes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ib1.Signing)
	leaf := must(w.issuer.IssueMember(holder(), newKey(t, elliptic.P256()).Public(), at(birth)))
	for name, ours := range map[string]*x509.Certificate{"root.pem": w.root.Certificate(), "issuer.pem": w.issuer.Certificate(), "leaf.pem": leaf} {
		theirs := goldenCertificate(t, name)
		if !ours.NotBefore.Equal(theirs.NotBefore) || !ours.NotAfter.Equal(theirs.NotAfter) {
			t.Errorf("%s: valid from %s to %s, want %s to %s", name, ours.NotBefore, ours.NotAfter, theirs.NotBefore, theirs.NotAfter)
		}
		if ours.Subject.String() != theirs.Subject.String() || ours.SignatureAlgorithm != theirs.SignatureAlgorithm {
			t.Errorf("%s: %s, %s", name, ours.Subject, ours.SignatureAlgorithm)
		}
		if len(ours.Extensions) != len(theirs.Extensions) {
			t.Errorf("%s: %d extensions, want %d", name, len(ours.Extensions), len(theirs.Extensions))
		}
		for _, want := range theirs.Extensions {
			i := slices.IndexFunc(ours.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(want.Id) })
			if i < 0 {
				t.Errorf("%s: no extension %s", name, want.Id)
				continue
			}
			got := ours.Extensions[i]
			if got.Critical != want.Critical {
				t.Errorf("%s: %s critical: %v", name, want.Id, got.Critical)
			}
			switch want.Id.String() {
			case "2.5.29.14", "2.5.29.35": // depend on the keys
				if len(got.Value) != len(want.Value) || !bytes.Equal(got.Value[:2], want.Value[:2]) {
					t.Errorf("%s: %s is %x, want the form of %x", name, want.Id, got.Value, want.Value)
				}
			case "2.5.29.31", "1.3.6.1.5.5.7.1.1": // depend on the public URL; see TestPointers
			default:
				if !bytes.Equal(got.Value, want.Value) {
					t.Errorf("%s: %s is %x, want %x", name, want.Id, got.Value, want.Value)
				}
			}
		}
	}
}

// TestPointers: what certificates point at are URLs of their authority's key.
func TestPointers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ib1.Client)
	leaf := must(w.issuer.IssueMember(holder(), newKey(t, elliptic.P256()).Public(), at(birth)))
	for below, above := range map[*x509.Certificate]*ib1.Authority{leaf: w.issuer, w.issuer.Certificate(): w.root} {
		crl := "http://pki.example.org/" + ib1.CRLName(ib1.Client, above.Certificate())
		ca := "http://pki.example.org/" + ib1.CAName(ib1.Client, above.Certificate())
		if !slices.Equal(below.CRLDistributionPoints, []string{crl}) || !slices.Equal(below.IssuingCertificateURL, []string{ca}) {
			t.Errorf("%s points at %s and %s", below.Subject, below.CRLDistributionPoints, below.IssuingCertificateURL)
		}
		if !bytes.Equal(below.AuthorityKeyId, above.Certificate().SubjectKeyId) || !bytes.Equal(below.RawIssuer, above.Certificate().RawSubject) {
			t.Errorf("%s does not name its authority as that is named", below.Subject)
		}
	}
	other := must(w.root.CreateIssuer(newKey(t, elliptic.P256()).Public(), at(birth)))
	if ib1.CRLName(ib1.Client, other) == ib1.CRLName(ib1.Client, w.issuer.Certificate()) {
		t.Error("two generations have one list")
	}
}

// TestSubject holds names and the subjectAltName against the reference bytes.
func TestSubject(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ib1.Client)
	leaf := must(w.issuer.IssueMember(holder(), newKey(t, elliptic.P256()).Public(), at(birth)))
	url := hex.EncodeToString([]byte(holder().Application))
	if got, want := hex.EncodeToString(leaf.RawSubject),
		"3063310b3009060355040613024742311c301a060355040a13134578616d706c6520436f6d70616e79204c7464313630340603550403132d"+url; got != want {
		t.Errorf("subject %s, want %s", got, want)
	}
	for _, e := range leaf.Extensions {
		if e.Id.String() == "2.5.29.17" && hex.EncodeToString(e.Value) != "302f862d"+url {
			t.Errorf("subjectAltName %x", e.Value)
		}
	}
}

func TestGoldenListsVerify(t *testing.T) {
	t.Parallel()
	issuer := goldenCertificate(t, "issuer.pem")
	for name, want := range map[string]struct{ number, entries int }{"crl-10.pem": {10, 0}, "crl-20.pem": {20, 1}} {
		list, err := x509.ParseRevocationList(golden(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := list.CheckSignatureFrom(issuer); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if list.Number.Int64() != int64(want.number) || len(list.RevokedCertificateEntries) != want.entries {
			t.Errorf("%s: number %s, %d entries", name, list.Number, len(list.RevokedCertificateEntries))
		}
	}
}

// Ours parse to the golden lists when they say the same.
func TestListsAreLikeTheGoldenOnes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ib1.Signing)
	leaf := goldenCertificate(t, "leaf.pem")
	for name, request := range map[string]ib1.ListRequest{
		"crl-10.pem": {ThisUpdate: birth.Add(10 * day)},
		"crl-20.pem": {ThisUpdate: birth.Add(20 * day), Revoked: []ib1.Revocation{{Serial: leaf.SerialNumber, At: time.Date(2026, 12, 20, 12, 0, 0, 0, time.UTC), Reason: 1}}},
	} {
		theirs := must(x509.ParseRevocationList(golden(t, name)))
		request.Number = theirs.Number
		ours := must(x509.ParseRevocationList(must(w.issuer.SignList(request))))
		if ours.ThisUpdate != theirs.ThisUpdate || ours.NextUpdate != theirs.NextUpdate || ours.SignatureAlgorithm != theirs.SignatureAlgorithm {
			t.Errorf("%s: %s to %s", name, ours.ThisUpdate, ours.NextUpdate)
		}
		for i, want := range theirs.RevokedCertificateEntries {
			if got := ours.RevokedCertificateEntries[i]; !bytes.Equal(got.Raw, want.Raw) {
				t.Errorf("%s: entry %x, want %x", name, got.Raw, want.Raw)
			}
		}
		for _, want := range theirs.Extensions {
			if !slices.ContainsFunc(ours.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(want.Id) && e.Critical == want.Critical }) {
				t.Errorf("%s: extension %s is missing or critical", name, want.Id)
			}
		}
		// Both are as long: an empty list has no sequence of entries rather than an
		// empty one, and nothing is there besides.
		if len(ours.RawTBSRevocationList) != len(theirs.RawTBSRevocationList) {
			t.Errorf("%s: %d octets, want %d", name, len(ours.RawTBSRevocationList), len(theirs.RawTBSRevocationList))
		}
	}
}
