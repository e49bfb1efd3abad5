package config_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"acmebridge/cmd/acmebridge/config"
)

// TestPresets: the preset says what the file leaves out, and each rate can be
// set beside it, in the file or by a variable (security requirements, section 9).
func TestPresets(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text string
		env  []string
		want map[string]string
	}{
		"without anything": {"{}", nil, map[string]string{"new_orders": "off", "new_accounts": "off", "failed_validations": "5/1h", "requests": "off", "external_key_failures": "off"}},
		"private":          {"limits: {preset: private}", nil, map[string]string{"revocations": "off", "certificates_per_names": "off", "polls": "50/10s"}},
		"public": {"limits: {preset: public}", nil, map[string]string{
			"new_orders": "300/3h", "new_accounts": "10/3h", "network_accounts": "100/3h", "certificates_per_names": "5/7d",
			"failed_validations": "5/1h", "revocations": "60/1h", "external_key_failures": "10/10m", "requests": "off",
		}},
		"one of its own": {"limits: {preset: public, rates: {new_orders: 7/1d12h, revocations: off}}", nil, map[string]string{
			"new_orders": "7/1d12h", "revocations": "off", "new_accounts": "10/3h",
		}},
		"a rate beside private": {"limits: {rates: {requests: 100/1s}}", nil, map[string]string{"requests": "100/1s", "new_orders": "off"}},
		"variables":             {"{}", []string{"ACMEBRIDGE_LIMITS_PRESET=public", "ACMEBRIDGE_LIMITS_RATES_NEW_ORDERS=1/2s"}, map[string]string{"new_orders": "1/2s", "revocations": "60/1h"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			if err := parse(t, tt.text, tt.env...).Print(&b); err != nil {
				t.Fatal(err)
			}
			printed := b.String()
			_, rates, _ := strings.Cut(printed, "\n  rates:\n")
			for key, want := range tt.want {
				if line := "    " + key + ": " + want + "\n"; !strings.Contains(rates, line) && !strings.Contains(rates, strings.Replace(line, want, `"`+want+`"`, 1)) {
					t.Errorf("no line %q in:\n%s", line, printed)
				}
			}
		})
	}
}

func TestRateLimit(t *testing.T) {
	t.Parallel()
	r := parse(t, "limits: {rates: {new_orders: 300/3h}}").Limits.Rates
	if l := r.NewOrders.Limit(); l.Count != 300 || l.Per != 3*time.Hour {
		t.Errorf("%+v", l)
	}
	if l := r.Revocations.Limit(); l.Bounded() {
		t.Errorf("off is %v", l)
	}
}

// TestBadRates: what is no rate is refused, and nothing is taken for off.
func TestBadRates(t *testing.T) {
	t.Parallel()
	for _, rate := range []string{"300", "300/", "/3h", "0/3h", "-1/3h", "+1/3h", "03/3h", "1.5/3h", "300/3", "300 / 3h", "5/0s", "5/1ms", "5/401d", "1000000/1h", "none", "Off", "''", "5/1h/1h"} {
		_, err := config.Parse("f", []byte("limits: {rates: {polls: "+rate+"}}"), nil)
		if err == nil || !strings.Contains(err.Error(), "limits.rates.polls: ") || strings.Count(err.Error(), "\n") > 0 {
			t.Errorf("%q: %v", rate, err)
		}
	}
	for _, text := range []string{"limits: {preset: open}", "limits: {rates: {order: 1/1h}}", "limits: {rates: {requests: [1/1h]}}", "limits: {help_url: here}"} {
		if _, err := config.Parse("f", []byte(text), nil); err == nil {
			t.Errorf("%s was accepted", text)
		}
	}
}
