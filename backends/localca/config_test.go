package localca

import (
	"os"
	"strings"
	"testing"
)

func TestConfigs(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no folder":            {func(c *Config) { c.Dir = "" }, "no folder"},
		"no name":              {func(c *Config) { c.Name = "" }, "does not fit"},
		"name with a dot":      {func(c *Config) { c.Name = "local.2" }, "does not fit"},
		"name with a slash":    {func(c *Config) { c.Name = "../x" }, "does not fit"},
		"key type":             {func(c *Config) { c.KeyType = "rsa2048" }, "use p256 or p384"},
		"root key type":        {func(c *Config) { c.RootKeyType = "p521" }, "use p256 or p384"},
		"long organization":    {func(c *Config) { c.Organization = strings.Repeat("o", 61) }, "organization"},
		"name with a new line": {func(c *Config) { c.RootName = "a\nb" }, "root name"},
		"country":              {func(c *Config) { c.Country = "Estonia" }, "two capital letters"},
		"backdate":             {func(c *Config) { c.Backdate = day }, "use a second to an hour"},
		"leaf outlives issuer": {func(c *Config) { c.LeafValidity = 6 * year }, "each must outlive the next"},
		"issuer outlives root": {func(c *Config) { c.IssuerValidity = 11 * year }, "each must outlive the next"},
		"list interval":        {func(c *Config) { c.CRLInterval = 8 * day }, "before the last one ends"},
		"URL without a scheme": {func(c *Config) { c.PublicURL = "pki.example.org" }, "use a form such as"},
		"URL of a file":        {func(c *Config) { c.PublicURL = "file:///x" }, "use a form such as"},
		"URL with a query":     {func(c *Config) { c.PublicURL = "http://x/?a=b" }, "use a form such as"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(t)
			c.change(&cfg)
			if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
			if cfg.Dir != "" {
				if _, err := os.Stat(cfg.Dir); err == nil {
					t.Error("the folder was made all the same")
				}
			}
		})
	}
}
