package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"acmebridge/acme"
)

// maxFile is far above any configuration that a person writes.
const maxFile = 256 << 10

// Load reads the file at path and the variables in env, which has the form of
// os.Environ. Without a path it takes that of ACMEBRIDGE_CONFIG, and without
// that the defaults of Default instead of a file. Whatever is wrong comes back
// as one Errors.
func Load(path string, env []string) (*Config, error) { return load(path, env, check) }

func load(path string, env []string, judge judge) (*Config, error) {
	if path == "" {
		path = fileVariable(env)
	}
	if path == "" {
		c := firstTry()
		return complete(c, newReport(""), env, judge)
	}
	f, err := os.Open(path)
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) {
			err = at.Err
		}
		return nil, fmt.Errorf("read the configuration %s: %w", Absolute(path), err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration %s: %w", path, err)
	}
	return parse(path, data, env, judge)
}

// Absolute is a path as it looks from anywhere, for errors: a relative one
// means another file wherever the program is started.
func Absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// Parse is Load for the contents of a file; name is what errors call it.
func Parse(name string, data []byte, env []string) (*Config, error) {
	return parse(name, data, env, check)
}

// judge adds to the report what is wrong with a configuration whose values are
// well-formed.
type judge func(*Config, *report)

func parse(name string, data []byte, env []string, judge judge) (*Config, error) {
	c := &Config{}
	fill(reflect.ValueOf(c).Elem())
	r := newReport(name)
	decode(data, c, r)
	if err := r.err(); err != nil {
		return nil, err
	}
	return complete(c, r, env, judge)
}

// Default is the configuration without a file: a first try on one machine,
// without root. Challenges are looked for on high ports and on loopback, which
// no server that others can reach should do; therefore a file does not inherit
// this.
func Default() *Config {
	c, err := complete(firstTry(), newReport(""), nil, check)
	if err != nil {
		// It depends on nothing; a test loads it.
		panic("config: the defaults: " + err.Error())
	}
	return c
}

func firstTry() *Config {
	c := &Config{}
	fill(reflect.ValueOf(c).Elem())
	c.Validation.HTTPPort = 5002
	c.Validation.TLSALPNPort = 5001
	c.Validation.Allow = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	// On one machine all targets are one, and being asked by its own server
	// harms nobody.
	c.Limits.ValidationsPerTarget = 64
	return c
}

// complete adds what the file left out, then what the environment says, and
// has the result judged.
func complete(c *Config, r *report, env []string, judge judge) (*Config, error) {
	standardTables(c)
	override(c, env, r)
	derive(c)
	if len(r.errors) == 0 {
		judge(c, r)
	}
	if err := r.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// standardTables stands in for each table that the file does not have. A table
// in the file replaces ours: a profile that nobody asked for must not be there.
func standardTables(c *Config) {
	if c.Directories == nil {
		d := filled[Directory]()
		d.Profiles = []acme.ProfileName{"tls"}
		c.Directories = map[string]Directory{"default": d}
	}
	if c.Profiles == nil {
		p := filled[Profile]()
		p.Backend = "local"
		c.Profiles = map[string]Profile{"tls": p}
	}
	if c.Backends == nil {
		b := Backend{Type: TypeLocalCA}
		fill(reflect.ValueOf(&b).Elem())
		c.Backends = map[string]Backend{"local": b}
	}
}

func filled[T any]() T {
	var v T
	fill(reflect.ValueOf(&v).Elem())
	return v
}

// derive fills in the defaults that depend on other settings.
func derive(c *Config) {
	if c.BaseURL == "" {
		c.BaseURL = "https://localhost"
		if i := strings.LastIndexByte(c.Listen, ':'); i >= 0 && c.Listen[i:] != ":443" {
			c.BaseURL += c.Listen[i:]
		}
	}
	deriveRates(&c.Limits)
	deriveOCSP(c)
	for name, d := range c.Directories {
		deriveXRoadDirectory(c, &d)
		c.Directories[name] = d
		if d.Path == "" {
			d.Path = "/directory"
			if name != "default" && d.Host == "" {
				d.Path = "/" + name + "/directory"
			}
			c.Directories[name] = d
		}
	}
	for name, p := range c.Profiles {
		deriveIB1(&p)
		deriveDates(&p)
		c.Profiles[name] = p
		if p.Identifiers.SingleLabel == nil {
			// A private CA serves private names; a public one may not certify a
			// name that has no owner.
			private := c.Backends[p.Backend].Type == TypeLocalCA
			p.Identifiers.SingleLabel = &private
			c.Profiles[name] = p
		}
	}
}

// AsErrors returns the single errors of a refused configuration.
func AsErrors(err error) (Errors, bool) {
	var all Errors
	ok := errors.As(err, &all)
	return all, ok
}
