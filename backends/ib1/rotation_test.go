package ib1_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"acmebridge/backends/ib1"
)

func TestPhases(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ib1.Client)
	c := w.issuer.Certificate()
	for _, tt := range []struct {
		after time.Duration
		want  ib1.Phase
	}{
		{-time.Second, ib1.NotYet}, {0, ib1.Active}, {90*day + time.Second - 1, ib1.Active}, {90*day + time.Second, ib1.Retired},
		{455*day - time.Second, ib1.Retired}, {455 * day, ib1.Expired},
	} {
		if got := w.framework.Phase(ib1.Client, c, birth.Add(tt.after)); got != tt.want {
			t.Errorf("after %s: %s, want %s", tt.after, got, tt.want)
		}
	}
}

// TestAlarms walks through the life of a tree: quiet, then a notice, then
// urgent, quiet again after a rotation, and loud before the end of the root.
func TestAlarms(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ib1.Client)
	f, root := w.framework, w.root.Certificate()
	first := w.issuer.Certificate()
	successor := func(now time.Time) *x509.Certificate {
		return must(w.root.CreateIssuer(newKey(t, elliptic.P256()).Public(), at(now)))
	}
	next := successor(birth.Add(80 * day))
	late := successor(birth.Add(100 * day))
	lastChance := root.NotAfter.Add(time.Second - 455*day)
	old := successor(lastChance)
	for _, tt := range []struct {
		name    string
		issuers []*x509.Certificate
		now     time.Time
		want    []string // the beginnings of what is said; ! before what is urgent
	}{
		{"new", []*x509.Certificate{first}, birth, nil},
		{"a second before the notice", []*x509.Certificate{first}, birth.Add(60*day - time.Second), nil},
		{"a month before", []*x509.Certificate{first}, birth.Add(60 * day), []string{"from 2027-03-01T00:00:00Z on"}},
		{"a day before", []*x509.Certificate{first}, birth.Add(89 * day), []string{"!from 2027-03-01T00:00:00Z on"}},
		{"too late", []*x509.Certificate{first}, birth.Add(90*day + time.Second), []string{"!no issuer of the client tree covers 365 days"}},
		{"rotated", []*x509.Certificate{first, next}, birth.Add(89 * day), nil},
		{"the second one ends", []*x509.Certificate{next, first}, birth.Add(150 * day), []string{"from 2027-05-20T00:00:00Z on"}},
		{"a gap before the next", []*x509.Certificate{first, late}, birth.Add(89 * day), []string{"!from 2027-03-01T00:00:00Z on"}},
		{"none", nil, birth, []string{"!no issuer of the client tree"}},
		{"none yet", []*x509.Certificate{next}, birth, []string{"!no issuer of the client tree"}},
		{"the root goes to its end", []*x509.Certificate{old}, lastChance, []string{"after 2050-09-03T00:00:00Z no issuer fits"}},
		{"the root is at its end", []*x509.Certificate{old}, lastChance.Add(time.Second), []string{"!after 2050-09-03T00:00:00Z no issuer fits"}},
	} {
		alarms := f.Alarms(ib1.Client, root, tt.issuers, tt.now)
		if len(alarms) != len(tt.want) {
			t.Errorf("%s: %+v", tt.name, alarms)
			continue
		}
		for i, want := range tt.want {
			text, urgent := strings.CutPrefix(want, "!")
			if !strings.HasPrefix(alarms[i].Text, text) || alarms[i].Urgent != urgent {
				t.Errorf("%s: %+v, want %q", tt.name, alarms[i], want)
			}
		}
	}
}

func TestCurrent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ib1.Signing)
	first := w.issuer.Certificate()
	next := must(w.root.CreateIssuer(newKey(t, elliptic.P256()).Public(), at(birth.Add(80*day))))
	all := []*x509.Certificate{next, first}
	for after, want := range map[time.Duration]*x509.Certificate{-time.Second: nil, 0: first, 79 * day: first, 80 * day: next, 170 * day: next, 171 * day: nil} {
		if got := w.framework.Current(ib1.Signing, all, birth.Add(after)); got != want {
			t.Errorf("after %s: not the right issuer", after)
		}
	}
}
