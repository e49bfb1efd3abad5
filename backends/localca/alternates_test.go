package localca

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/backends/localca/localcatest"
)

func writeFile(t *testing.T, name string, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestAlternateChains: a root that another authority has certified gives every
// issuer, of before and after a rotation, a second chain, and that is one for
// those who trust the other root only.
func TestAlternateChains(t *testing.T) {
	t.Parallel()
	cfg, now := movable(t)
	ca := open(t, cfg)
	other := localcatest.NewAuthority(t, "other root", birth)
	crossed := other.CrossSign(t, ca.Roots()[0], birth.AddDate(3, 0, 0), birth)
	cfg.Alternates = []string{writeFile(t, "other.pem", localcatest.PEM(crossed, other.Root))}
	for _, queued := range []bool{false, true} {
		cfg.Queued = queued
		if _, ok := open(t, cfg).Backend().(interface{ AlternateChains() [][][]byte }); !ok {
			t.Errorf("queued %t: the ability is hidden", queued)
		}
	}
	ca = open(t, cfg)
	if roots := ca.Roots(); len(roots) != 2 || string(roots[1]) != string(other.Root.Raw) {
		t.Fatalf("%d roots", len(roots))
	}
	for issuers := 1; issuers <= 2; issuers++ {
		if issuers == 2 {
			*now = now.Add(time.Hour)
			if err := ca.Rotate(); err != nil {
				t.Fatal(err)
			}
			*now = now.Add(time.Hour)
		}
		chains := ca.AlternateChains()
		if len(chains) != issuers {
			t.Fatalf("%d alternate chains, want one for each of %d issuers", len(chains), issuers)
		}
		r := newRequest(*now)
		chain, err := ca.Issue(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := acme.CheckChain(r.Contract, append(chain[:1:1], chains[issuers-1]...), [][]byte{other.Root.Raw}, *now); err != nil {
			t.Errorf("under the other root: %v", err)
		}
		if _, err := acme.CheckChain(r.Contract, chain, [][]byte{other.Root.Raw}, *now); err == nil {
			t.Error("the usual chain leads to the other root")
		}
	}
	// An end that nobody has noticed costs the chain, and not the CA.
	if err := ca.Check(t.Context()); err != nil {
		t.Error(err)
	}
	*now = birth.AddDate(3, 0, -20)
	if err := ca.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "alternate chain") {
		t.Errorf("weeks before its end: %v", err)
	}
	*now = birth.AddDate(3, 0, 1)
	if n := len(open(t, cfg).AlternateChains()); n != 0 {
		t.Errorf("%d chains after their end", n)
	}
}

// TestAlternateOfAnIssuer: a chain may begin with an issuer instead.
func TestAlternateOfAnIssuer(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	ca := open(t, cfg)
	other := localcatest.NewAuthority(t, "other root", birth)
	crossed := other.CrossSign(t, ca.Intermediates()[0], birth.AddDate(3, 0, 0), birth)
	cfg.Alternates = []string{writeFile(t, "other.pem", localcatest.PEM(crossed, other.Root))}
	ca = open(t, cfg)
	r := newRequest(birth)
	chain, err := ca.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	chains := ca.AlternateChains()
	if len(chains) != 1 || len(chains[0]) != 1 {
		t.Fatalf("%d chains", len(chains))
	}
	if _, err := acme.CheckChain(r.Contract, append(chain[:1:1], chains[0]...), [][]byte{other.Root.Raw}, birth); err != nil {
		t.Error(err)
	}
}

// TestBadAlternates: a file that leads nowhere is refused with what to do.
func TestBadAlternates(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	ca := open(t, cfg)
	end := birth.AddDate(3, 0, 0)
	other, third := localcatest.NewAuthority(t, "other root", birth), localcatest.NewAuthority(t, "third root", birth)
	crossed := other.CrossSign(t, ca.Roots()[0], end, birth)
	chain, err := ca.Issue(newRequest(birth))
	if err != nil {
		t.Fatal(err)
	}
	own, err := ca.dir.readCertificate(rootCertFile)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		data []byte
		want string
	}{
		{"nothing", nil, "no certificate"},
		{"no PEM", []byte("hello"), "not PEM"},
		{"a key", []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), "PRIVATE KEY"},
		{"no certificate inside", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), "read certificate 1"},
		{"the root is missing", localcatest.PEM(crossed), "is no root"},
		{"the wrong root", localcatest.PEM(crossed, third.Root), "not signed by the next one"},
		{"the root first", localcatest.PEM(other.Root, crossed), "neither the name and key"},
		{"another CA's", localcatest.PEM(other.CrossSign(t, third.Root.Raw, end, birth), other.Root), "neither the name and key"},
		{"our own root", localcatest.PEM(own), "as the usual chain does"},
		{"a leaf", localcatest.PEM(leafOf(t, chain)), "neither the name and key"},
		{"too much", append(localcatest.PEM(crossed, other.Root), make([]byte, maxAlternateFile)...), "larger than"},
	} {
		cfg.Alternates = []string{writeFile(t, "chain.pem", test.data)}
		if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "chain.pem") {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
	cfg.Alternates = []string{"absent.pem"}
	if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), "absent.pem") {
		t.Errorf("absent: %v", err)
	}
}
