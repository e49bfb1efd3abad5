package config_test

import (
	"strings"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/cmd/acmebridge/config"
)

func TestRenewal(t *testing.T) { // R9773-4.2-2
	t.Parallel()
	for _, tt := range []struct {
		renewal string
		want    acme.RenewalPolicy
		says    string // of what is refused
	}{
		{"{}", acme.RenewalPolicy{}, ""},
		{"{explanation_url: 'https://ca.example/'}", acme.RenewalPolicy{Explanation: "https://ca.example/"}, ""},
		{"{window_start: 2/3, window_end: 5/6}", acme.RenewalPolicy{Start: acme.RenewalPoint{Part: 2, Whole: 3}, End: acme.RenewalPoint{Part: 5, Whole: 6}}, ""},
		{"{window_start: 30d, window_end: 20d12h}", acme.RenewalPolicy{
			Start: acme.RenewalPoint{Left: 30 * 24 * time.Hour}, End: acme.RenewalPoint{Left: 492 * time.Hour},
		}, ""},
		{"{window_start: 2/3}", acme.RenewalPolicy{}, "renewal: needs both"},
		{"{window_end: 2/3}", acme.RenewalPolicy{}, "renewal: needs both"},
		{"{window_start: half, window_end: 0s}", acme.RenewalPolicy{}, "window_end: must be a part of the life"},
		{"{window_start: 3/2, window_end: 5/6}", acme.RenewalPolicy{}, "window_start: must be a part of the life"},
		{"{window_start: 90d, window_end: 5/6}", acme.RenewalPolicy{}, "window_start: is before the certificate begins; its validity is 60d"},
		{"{window_start: 30d, window_end: 1/2}", acme.RenewalPolicy{}, "window_end: is not after window_start"},
		{"{window_start: 10d, window_end: 20d}", acme.RenewalPolicy{}, "window_end: is not after window_start"},
		{"{explanation_url: 'ca.example'}", acme.RenewalPolicy{}, "explanation_url: must be an absolute http or https URL"},
	} {
		c, err := config.Parse("f", []byte("profiles: {tls: {backend: local, validity: 60d, renewal: "+tt.renewal+"}}\n"), nil)
		if tt.says != "" {
			if err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("%s: %v, want %q", tt.renewal, err, tt.says)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.renewal, err)
		} else if got := c.AcmeProfiles()["tls"].Renewal; got != tt.want {
			t.Errorf("%s: %+v", tt.renewal, got)
		}
	}
}

// TestUnreachableProfiles: a rule that asks the registry, where no account can
// have a member, refuses everybody.
func TestUnreachableProfiles(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rule, binding string
		want          bool
	}{
		{"challenge", "off", false}, {"registry", "off", true}, {"both", "off", true},
		{"registry", "optional", false}, {"both", "required", false},
	} {
		c := parse(t, "directories: {d: {external_account: "+tt.binding+", profiles: [other, tls]}}\nprofiles: {other: {backend: local}, tls: {backend: local, authorization: "+tt.rule+"}}\n")
		if got := strings.Contains(strings.Join(c.Warnings(), "\n"), "directories.d: no new account can order profile tls"); got != tt.want {
			t.Errorf("%s, %s: %q", tt.rule, tt.binding, c.Warnings())
		}
	}
}
