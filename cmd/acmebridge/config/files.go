package config

import (
	"crypto/tls"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"acmebridge/internal/secret"
)

// LoadAndLook is Load that also looks at the files that the configuration
// names, as the server will when it starts. Whatever is wrong with one is
// reported at the line that names it.
func LoadAndLook(path string, env []string) (*Config, error) {
	return load(path, env, func(c *Config, r *report) {
		check(c, r)
		look(c, r)
	})
}

func look(c *Config, r *report) {
	readable := true
	for _, f := range []struct{ key, path string }{{"tls.cert", c.TLS.Cert}, {"tls.key", c.TLS.Key}} {
		if f.path == "" {
			readable = false // check has complained if it is one of the two
			continue
		}
		if _, err := os.ReadFile(f.path); err != nil {
			r.add(f.key, "%s", trouble(f.path, err))
			readable = false
		}
	}
	if readable {
		if _, err := tls.LoadX509KeyPair(c.TLS.Cert, c.TLS.Key); err != nil {
			r.add("tls", "cert and key cannot be used together: %s", strings.TrimPrefix(err.Error(), "tls: "))
		}
	}
	lookAtSealingKey(c.EABKeyFile, r)
	for _, name := range slices.Sorted(maps.Keys(c.Backends)) {
		b := c.Backends[name]
		lookAtOCSP(name, b.OCSP, r)
		if b.Type == TypeSectigo {
			lookAtSectigo(name, b.Sectigo, r)
		}
		if b.Type == TypeDigiCert {
			lookAtDigiCert(name, b.DigiCert, r)
		}
		if b.Type == TypeGoDaddy {
			lookAtGoDaddy(name, b.GoDaddy, r)
		}
		if b.Type == TypeGlobalSign {
			lookAtGlobalSign(name, b.GlobalSign, r)
		}
		if b.Type == TypeUpstream {
			lookAtUpstream(name, b.Upstream, r)
		}
		if b.Type == TypeIB1 {
			lookAtIB1(name, b.IB1, r)
		}
		if b.Type != TypeLocalCA {
			continue
		}
		for i, path := range b.LocalCA.AlternateChains {
			if _, err := os.ReadFile(path); err != nil {
				r.add(at("backends."+name+".alternate_chains", i), "%s", trouble(path, err))
			}
		}
		if b.LocalCA.PassphraseFile == "" {
			continue
		}
		if _, err := secret.FromFile(b.LocalCA.PassphraseFile); err != nil && !othersUser(err) {
			r.add("backends."+name+".passphrase_file", "%s", trouble(b.LocalCA.PassphraseFile, err))
		}
	}
}

// lookAtSealingKey makes no key: that is for the server, on first use.
func lookAtSealingKey(path string, r *report) {
	const key = "eab_key_file"
	if path == "" {
		return
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
			r.add(key, "its folder does not exist; the key is made there on first use")
		}
		return
	}
	if _, err := secret.OpenKeyFile(path); err != nil && !othersUser(err) {
		r.add(key, "%s", trouble(path, err))
	}
}

// othersUser reports whether root looks at a file that has to belong to the
// user that the server will run as, whom we do not know. A mode that lets
// others in is wrong for every user.
func othersUser(err error) bool { return os.Geteuid() == 0 && errors.Is(err, secret.ErrForeign) }

// trouble tells what is wrong with a file without its name, which may be a
// password in the wrong place (SK-10).
func trouble(path string, err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if folder, err := os.Getwd(); err == nil && !filepath.IsAbs(path) {
			return "the file does not exist; a relative path begins at the working directory, " + folder
		}
		return "the file does not exist"
	case errors.Is(err, fs.ErrPermission):
		return "the file cannot be read by the user who runs this"
	}
	var at *fs.PathError
	if errors.As(err, &at) {
		return "the file cannot be read: " + at.Err.Error()
	}
	text := err.Error()
	if _, cause, ok := strings.Cut(text, path+": "); ok {
		text = cause
	}
	return "the file cannot be used: " + text
}
