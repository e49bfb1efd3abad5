package ocsp_test

import (
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"acmebridge/internal/ocsp"
)

// list makes a revocation list that ends in a while.
func (c *ca) list(number int64, end time.Time, change func(*x509.RevocationList), serials ...int64) []byte {
	c.t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(number), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: end}
	for _, s := range serials {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: big.NewInt(s), RevocationTime: time.Now().Add(-time.Hour), ReasonCode: 4,
		})
	}
	if change != nil {
		change(template)
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, c.cert, c.key)
	if err != nil {
		c.t.Fatal(err)
	}
	return der
}

func TestList(t *testing.T) {
	t.Parallel()
	c, other := newCA(t, "one"), newCA(t, "other")
	path := filepath.Join(t.TempDir(), "list.crl")
	now := time.Now()
	written := now.Add(-time.Hour)
	put := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		// A file's time is coarse; a test's files follow faster.
		if written = written.Add(time.Second); os.Chtimes(path, written, written) != nil {
			t.Fatal("no time was set")
		}
		now = now.Add(2 * time.Second)
	}
	end := now.Add(time.Hour)
	put(c.list(1, end, nil, 0x80, 7))
	l, err := ocsp.NewList(path, c.cert, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	want := func(step string, serial []byte, state ocsp.State) {
		t.Helper()
		if s, err := l.Status(t.Context(), serial); err != nil || s.State != state || state == ocsp.Revoked && (s.Reason != 4 || s.At.IsZero()) {
			t.Errorf("%s: %x is %v: %v", step, serial, s, err)
		}
	}
	want("first", []byte{7}, ocsp.Revoked)
	want("first", []byte{0, 0x80}, ocsp.Revoked)
	want("first", []byte{8}, ocsp.Good)
	put(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: c.list(2, end, nil, 8)}))
	want("next", []byte{8}, ocsp.Revoked)
	want("next", []byte{7}, ocsp.Good)

	at := func(age time.Duration) func(*x509.RevocationList) {
		return func(l *x509.RevocationList) { l.ThisUpdate = time.Now().Add(-age) }
	}
	delta := pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 27}, Critical: true, Value: []byte{2, 1, 1}}
	for name, bad := range map[string][]byte{
		"another CA's": other.list(9, end, nil, 7), "nothing": {}, "cut off": c.list(9, end, nil, 7)[:90],
		"changes only": c.list(9, end, func(l *x509.RevocationList) { l.ExtraExtensions = []pkix.Extension{delta} }, 7),
		"other CAs' entries": c.list(9, end, func(l *x509.RevocationList) {
			l.RevokedCertificateEntries[0].ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: []byte{0x30, 0}}}
		}, 7),
		// Genuine lists, from before something was revoked.
		"an older number": c.list(1, end, at(time.Minute), 7),
		"an older time":   c.list(9, end, at(2*time.Hour), 7),
		"in future":       c.list(9, end, at(-10*time.Minute), 7),
	} {
		put(bad)
		want(name, []byte{8}, ocsp.Revoked) // the one before still stands
		want(name, []byte{7}, ocsp.Good)
		if err := l.Trouble(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: nobody hears of it: %v", name, err)
		}
		if strings.HasPrefix(name, "an older") {
			continue // after a start there is none in hand
		}
		if _, err := ocsp.NewList(path, c.cert, func() time.Time { return now }); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: starts with it: %v", name, err)
		}
	}
	put(c.list(2, end, nil, 8)) // the same one again
	if want("the same", []byte{8}, ocsp.Revoked); l.Trouble() != nil {
		t.Errorf("the same list again: %v", l.Trouble())
	}
	now = end
	if s, err := l.Status(t.Context(), []byte{7}); err == nil {
		t.Errorf("a list that has ended says %v", s)
	}
	put(c.list(1, now.Add(time.Hour), nil, 7))
	if s, err := l.Status(t.Context(), []byte{7}); err == nil || !strings.Contains(err.Error(), "older than the one in hand") {
		t.Errorf("an older list after the end: %v, %v", s, err)
	}
	put(c.list(3, now.Add(time.Hour), nil, 7))
	want("after the end", []byte{7}, ocsp.Revoked)
}

// TestListLater: a list that could not be used when it came is used once it can be,
// though its file has not changed.
func TestListLater(t *testing.T) {
	t.Parallel()
	c := newCA(t, "one")
	path := filepath.Join(t.TempDir(), "list.crl")
	now := time.Now()
	put := func(data []byte) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(c.list(1, now.Add(time.Hour), nil))
	l, err := ocsp.NewList(path, c.cert, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	put(c.list(2, now.Add(time.Hour), func(l *x509.RevocationList) { l.ThisUpdate = now.Add(10 * time.Minute) }, 7))
	for _, step := range []struct {
		after time.Duration
		want  ocsp.State
	}{{2 * time.Second, ocsp.Good}, {4 * time.Minute, ocsp.Good}, {2 * time.Minute, ocsp.Revoked}} {
		now = now.Add(step.after)
		if s, err := l.Status(t.Context(), []byte{7}); err != nil || s.State != step.want || (l.Trouble() == nil) != (step.want == ocsp.Revoked) {
			t.Errorf("after %s: %v, %v; trouble: %v", step.after, s, err, l.Trouble())
		}
	}
}
