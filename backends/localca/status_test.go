package localca

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestNames(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t)
	cfg.Organization, cfg.Country, cfg.RootName, cfg.IssuerName = "Example Energy", "EE", "Example Root", "Example Issuing"
	ca := open(t, cfg)
	if err := ca.Rotate(); err != nil {
		t.Fatal(err)
	}
	all, err := ca.Status()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range all {
		got = append(got, s.File+" "+s.Role+" "+s.Subject+" "+s.Key+" "+s.RevocationList)
	}
	want := []string{
		"root.pem root CN=Example Root,O=Example Energy,C=EE file ",
		"issuer-1.pem retired CN=Example Issuing,O=Example Energy,C=EE file crl/local.crl",
		"issuer-2.pem issuing CN=Example Issuing 2,O=Example Energy,C=EE file crl/local.2.crl",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// Without names, two CAs are not mistaken for each other.
	a, b := open(t, testConfig(t)).state.Load(), open(t, testConfig(t)).state.Load()
	if bytes.Equal(a.root.RawSubject, b.root.RawSubject) || bytes.Equal(a.current().cert.RawSubject, b.current().cert.RawSubject) {
		t.Errorf("two CAs are both called %s", a.root.Subject)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	cfg, now := movable(t)
	ca := open(t, cfg)
	for name, c := range map[string]struct {
		at   time.Time
		want string
	}{
		"new":                          {birth, ""},
		"a day before the alarm":       {birth.Add(5*year - 90*day - 31*day), ""},
		"a month before it is late":    {birth.Add(5*year - 90*day - 29*day), "rotate the CA before that"},
		"certificates are refused now": {birth.Add(5*year - 80*day), "rotate the CA before that"},
		"the clock went back":          {birth.Add(-day), "correct the clock"},
	} {
		*now = c.at
		err := ca.Check(t.Context())
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", name, err, c.want)
		}
	}
	*now = birth.Add(6 * year)
	if err := ca.Rotate(); err != nil {
		t.Fatal(err)
	}
	if err := ca.Check(t.Context()); err != nil {
		t.Errorf("after the rotation: %v", err)
	}
	*now = birth.Add(10*year - 100*day)
	if err := ca.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "its root ends with it") {
		t.Errorf("got %v, want that the root ends", err)
	}
	*now = birth.Add(6 * year)
	for _, name := range []string{"issuer-1.key", "issuer-2.key", "root.key"} {
		path := filepath.Join(cfg.Dir, name)
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := ca.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "chmod 600 "+path) {
			t.Errorf("got %v, want an alarm about the mode of %s", err, name)
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
