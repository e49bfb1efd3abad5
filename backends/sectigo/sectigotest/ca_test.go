package sectigotest_test

import (
	"archive/zip"
	"bytes"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"acmebridge/backends/sectigo/sectigotest"
)

// TestLife follows a batch through its times (F-4).
func TestLife(t *testing.T) {
	t.Parallel()
	ca, c := start(t, sectigotest.Config{Created: time.Minute, Processing: 5 * time.Minute, TTL: time.Hour, AccessLifetime: 24 * time.Hour})
	_, b, _ := c.upload(upload(423, csr(t, "a.example.org")))
	path := fmt.Sprintf("/api/v1/batches/%d", b.BatchID)
	check := func(status, sentence string, active bool, counts string) {
		t.Helper()
		var got batch
		c.get(path, &got)
		_, text := c.do("GET", path+"/status", "", "")
		_, progress := c.do("GET", path+"/processing_info", "", "")
		if got.Status != status || string(text) != sentence || got.Active != active || strings.TrimSpace(string(progress)) != counts {
			t.Errorf("%q %q %v %s; want %q %q %v %s", got.Status, text, got.Active, progress, status, sentence, active, counts)
		}
	}
	check("CREATED", "Processing", false, `{"active":0,"failed":0,"success":0}`)
	if status, _ := c.do("GET", path+"/download", "", ""); status != 400 {
		t.Errorf("an early download: %d", status)
	}
	ca.Advance(time.Minute)
	check("PROCESSING", "Processing", true, `{"active":1,"failed":0,"success":0}`)
	ca.Hold()
	ca.Advance(10 * time.Minute)
	check("PROCESSING", "Processing", true, `{"active":1,"failed":0,"success":0}`)
	ca.Release()
	check("READY_FOR_DOWNLOAD", "Ready for download", false, `{"active":0,"failed":0,"success":1}`)
	if status, body := c.do("GET", path+"/download", "", ""); status != 200 || !bytes.HasPrefix(body, []byte("PK")) {
		t.Errorf("download: %d", status)
	}
	check("COLLECTED", "Ready for download", false, `{"active":0,"failed":0,"success":1}`)
	if status, _ := c.do("GET", path+"/download", "", ""); status != 200 {
		t.Errorf("a second download: %d", status)
	}
	ca.Advance(time.Hour)
	check("REMOVED_AFTER_EXPIRATION", "Not Acceptable. Status: REMOVED_AFTER_EXPIRATION", false, `{"active":0,"failed":0,"success":1}`)
	if status, _ := c.do("GET", path+"/download", "", ""); status != 400 {
		t.Errorf("a late download: %d", status)
	}
}

// TestOutcomes sees each outcome by script and by pattern (F-5).
func TestOutcomes(t *testing.T) {
	t.Parallel()
	want := map[sectigotest.Kind]struct{ status, sentence string }{
		sectigotest.Ready: {"READY_FOR_DOWNLOAD", "Ready for download"}, sectigotest.Partial: {"PARTIAL", "Not Acceptable. Status: PARTIAL"},
		sectigotest.Rejected: {"REJECTED", "Not Acceptable. Status: REJECTED"}, sectigotest.Broken: {"BROKEN", "Not Acceptable. Status: BROKEN"},
		sectigotest.Failed: {"FAILED", "Failed"}, sectigotest.Stuck: {"PROCESSING", "Processing"},
		sectigotest.Strange: {"AWAITING_MOONRISE", "Not Acceptable. Status: AWAITING_MOONRISE"}, sectigotest.Wordless: {"", "Ready for download"},
		sectigotest.Expired: {"REMOVED_AFTER_EXPIRATION", "Not Acceptable. Status: REMOVED_AFTER_EXPIRATION"}, sectigotest.Revoked: {"REVOKED", "Not Acceptable. Status: REVOKED"},
		sectigotest.DropName: {"READY_FOR_DOWNLOAD", "Ready for download"}, sectigotest.AddName: {"READY_FOR_DOWNLOAD", "Ready for download"},
		sectigotest.WrongKey: {"READY_FOR_DOWNLOAD", "Ready for download"}, sectigotest.WrongSubject: {"READY_FOR_DOWNLOAD", "Ready for download"},
		sectigotest.Another: {"READY_FOR_DOWNLOAD", "Ready for download"},
	}
	ca, c := start(t, sectigotest.Config{})
	for _, kind := range sectigotest.Kinds() {
		ca.Next(sectigotest.Outcome{Kind: kind, Reason: "because"})
		_, byScript, _ := c.upload(upload(423, csr(t, "a.example.org"), csr(t, "b.example.org")))
		if err := ca.Plan(string(kind)+".*", sectigotest.Outcome{Kind: kind, Reason: "because"}); err != nil {
			t.Fatal(err)
		}
		_, byName, _ := c.upload(upload(423, csr(t, string(kind)+".example.org"), csr(t, "b.example.org")))
		for _, b := range []batch{byScript, byName} {
			path := fmt.Sprintf("/api/v1/batches/%d", b.BatchID)
			var got batch
			c.get(path, &got)
			_, text := c.do("GET", path+"/status", "", "")
			if got.Status != want[kind].status || string(text) != want[kind].sentence {
				t.Errorf("%s: %q %q", kind, got.Status, text)
			}
			if got.RejectReason != "because" && kind != sectigotest.Stuck {
				t.Errorf("%s: reason %q", kind, got.RejectReason)
			}
		}
	}
	_, b, _ := c.upload(upload(423, csr(t)))
	var got batch
	c.get(fmt.Sprintf("/api/v1/batches/%d", b.BatchID), &got)
	if got.Status != "BROKEN" || !strings.Contains(got.RejectReason, "dNSName") {
		t.Errorf("a CSR without names: %+v", got)
	}
}

// TestUploads: the form is checked as the real service does (F-10).
func TestUploads(t *testing.T) {
	t.Parallel()
	one := csr(t, "a.example.org")
	without := func(i int) []part { all := upload(423, one); return append(all[:i:i], all[i+1:]...) }
	with := func(i int, p part) []part { all := upload(423, one); all[i] = p; return all }
	for name, test := range map[string]struct {
		parts []part
		want  int
		says  string
	}{
		"good":                 {upload(423, one), 201, ""},
		"another label":        {upload(423, strings.ReplaceAll(one, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST")), 201, ""},
		"no profile":           {without(0), 400, "profileId"},
		"no request":           {without(1), 400, "csrBatchRequest"},
		"no files":             {without(2), 400, "files"},
		"files twice":          {append(upload(423, one), part{"files", "b.pem", "text/plain", one}), 400, "twice"},
		"no file name":         {with(2, part{"files", "", "text/plain", one}), 400, "file name"},
		"another content type": {with(2, part{"files", "a", "image/png", one}), 400, "not allowed"},
		"a mislabelled zip":    {with(2, part{"files", "a.zip", "application/octet-stream", "PK\x03\x04"}), 400, "application/zip"},
		"no CSR":               {with(2, part{"files", "a", "text/plain", "hello"}), 400, "no CSR"},
		"two profiles":         {append(upload(489, one)[:1:1], upload(423, one)[1:]...), 400, "differ"},
		"unknown profile":      {upload(17, one), 404, "Profile"},
	} {
		ca, c := start(t, sectigotest.Config{})
		status, _, body := c.upload(test.parts)
		if status != test.want || !strings.Contains(body, test.says) {
			t.Errorf("%s: %d %s", name, status, body)
		}
		if bought := len(ca.Purchases()); bought != 0 == (status != 201) {
			t.Errorf("%s: %d purchases", name, bought)
		}
		var shape struct {
			Status    int
			Message   string
			ErrorCode int
			Timestamp int64
		}
		if status != 201 && (json.Unmarshal([]byte(body), &shape) != nil || shape.Status != status || shape.Message == "" || shape.Timestamp == 0) {
			t.Errorf("%s: the error is %s", name, body)
		}
	}
}

// TestIssuance looks at the certificates: shaped like those that were seen,
// with whatever the profile fixes (F-6, F-7).
func TestIssuance(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"ec", "rsa"} {
		ca, c := start(t, sectigotest.Config{Key: key, Layout: sectigotest.LayoutPEMRoot})
		if err := ca.EditProfile(423, func(p *sectigotest.Profile) {
			p.Subject = map[string]string{"O": "Fixed Inc", "L": "Menlo Park", "ST": "California", "C": "US"}
		}); err != nil {
			t.Fatal(err)
		}
		_, b, _ := c.upload(upload(423, csr(t, "a.example.org", "b.example.org")))
		status, body := c.do("GET", fmt.Sprintf("/api/v1/batches/%d/download", b.BatchID), "", "")
		if status != 200 {
			t.Fatalf("download: %d", status)
		}
		z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
		if err != nil || len(z.File) != 1 || z.File[0].Name != "a.example.org.pem" {
			t.Fatalf("the archive: %v", err)
		}
		f, err := z.File[0].Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		var chain []*x509.Certificate
		for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				t.Fatal(err)
			}
			chain = append(chain, cert)
		}
		if len(chain) != 3 {
			t.Fatalf("a chain of %d", len(chain))
		}
		roots, between := x509.NewCertPool(), x509.NewCertPool()
		roots.AddCert(chain[2])
		between.AddCert(chain[1])
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			if _, err := chain[0].Verify(x509.VerifyOptions{
				Roots: roots, Intermediates: between, DNSName: "b.example.org", CurrentTime: begin, KeyUsages: []x509.ExtKeyUsage{usage},
			}); err != nil {
				t.Errorf("%s: %v", key, err)
			}
		}
		if got := chain[0].Subject.String(); got != "CN=a.example.org,O=Fixed Inc,L=Menlo Park,ST=California,C=US" {
			t.Errorf("%s: the subject is %s", key, got)
		}
		if life := chain[0].NotAfter.Sub(chain[0].NotBefore); life != 396*24*time.Hour || chain[0].SerialNumber.BitLen() != 128 {
			t.Errorf("%s: it lives %s with a serial number of %d bits", key, life, chain[0].SerialNumber.BitLen())
		}
	}
}
