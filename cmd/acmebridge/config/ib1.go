package config

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"acmebridge/internal/secret"
)

// TypeIB1 is the type of a backend that signs here for an IB1 trust framework.
const TypeIB1 = "ib1"

// IB1 is the folder of a framework, as 'acmebridge ib1' makes it.
type IB1 struct {
	Dir             string        `key:"dir" doc:"Folder of the framework, as 'acmebridge ib1' makes and keeps it. Required."`
	Trees           []string      `key:"trees" enum:"client,signing,server" doc:"Trees that are served. Empty: those that have an issuer in the folder."`
	Hosts           []string      `key:"hosts" doc:"Hosts of the registry and the directory of the framework, for example registry.core.trust.ib1.org. URLs of roles, members and applications at other hosts are refused when they are entered, and get no certificates. Empty: at any host."`
	PassphraseFile  string        `key:"passphrase_file" doc:"File, readable by its owner only, with the passphrase of the issuers' keys that are in files. One passphrase is for all of them."`
	PassphraseValue secret.Secret `key:"passphrase" source:"env" doc:"The passphrase itself, in place of passphrase_file."`
	PKCS11Module    string        `key:"pkcs11_module" doc:"Library of a hardware security module that has keys of issuers, for example /usr/lib/softhsm/libsofthsm2.so. Needs a program built with -tags pkcs11. Empty: all keys are in files."`
	PKCS11Token     string        `key:"pkcs11_token" doc:"Label of the token that has them. Required with pkcs11_module."`
	PKCS11Prefix    string        `key:"pkcs11_prefix" default:"ib1" doc:"What the labels of the keys in the token begin with."`
	PKCS11PINFile   string        `key:"pkcs11_pin_file" doc:"File, readable by its owner only, with the PIN of the token."`
	PKCS11PINValue  secret.Secret `key:"pkcs11_pin" source:"env" doc:"The PIN itself, in place of pkcs11_pin_file."`
}

// Passphrase gets the passphrase of keys in files.
func (b IB1) Passphrase() ([]byte, error) { return reveal(b.PassphraseValue, b.PassphraseFile) }

// PKCS11PIN gets the PIN of the token.
func (b IB1) PKCS11PIN() ([]byte, error) { return reveal(b.PKCS11PINValue, b.PKCS11PINFile) }

func reveal(value secret.Secret, file string) ([]byte, error) {
	if !value.Empty() {
		return value.Reveal(), nil
	}
	s, err := secret.FromFile(Absolute(file))
	return s.Reveal(), err
}

func checkIB1(name string, b IB1, r *report) {
	key := "backends." + name
	if b.Dir == "" {
		r.add(key+".dir", "is missing; it names the folder that 'acmebridge ib1 root create' has made")
	}
	for i, t := range b.Trees {
		if slices.Contains(b.Trees[:i], t) {
			r.add(at(key+".trees", i), "is listed twice")
		}
	}
	for i, h := range b.Hosts {
		if u, err := url.Parse("https://" + h + "/"); err != nil || h == "" || u.Host != h || h != strings.ToLower(h) {
			r.add(at(key+".hosts", i), "is not a host in lower case, such as registry.core.trust.ib1.org")
		}
	}
	hardware := b.PKCS11Module != ""
	switch {
	case b.PassphraseFile == "" && b.PassphraseValue.Empty() && !hardware:
		r.add(key+".passphrase_file", "is missing; or give the passphrase in the variable %s", variable(key+".passphrase"))
	case b.PassphraseFile != "" && !b.PassphraseValue.Empty():
		r.add(key+".passphrase_file", "is set, and so is the variable %s; keep one", variable(key+".passphrase"))
	}
	if !hardware {
		return
	}
	if b.PKCS11Token == "" {
		r.add(key+".pkcs11_token", "is missing; it names the token that has the keys, by its label")
	}
	switch {
	case b.PKCS11PINFile == "" && b.PKCS11PINValue.Empty():
		r.add(key+".pkcs11_pin_file", "is missing; or give the PIN in the variable %s", variable(key+".pkcs11_pin"))
	case b.PKCS11PINFile != "" && !b.PKCS11PINValue.Empty():
		r.add(key+".pkcs11_pin_file", "is set, and so is the variable %s; keep one", variable(key+".pkcs11_pin"))
	}
}

func lookAtIB1(name string, b IB1, r *report) {
	key := "backends." + name
	if b.Dir != "" {
		path := filepath.Join(Absolute(b.Dir), "framework.json")
		if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			r.add(key+".dir", "has no framework.json, so it is not the folder of a framework; 'acmebridge ib1 root create' makes one")
		} else if err != nil && !othersUser(err) {
			r.add(key+".dir", "%s", trouble(path, err))
		}
	}
	for _, f := range []struct{ key, path string }{{".passphrase_file", b.PassphraseFile}, {".pkcs11_pin_file", b.PKCS11PINFile}} {
		if f.path == "" {
			continue
		}
		if _, err := secret.FromFile(Absolute(f.path)); err != nil && !othersUser(err) {
			r.add(key+f.key, "%s", trouble(f.path, err))
		}
	}
	if b.PKCS11Module != "" {
		if _, err := os.Stat(Absolute(b.PKCS11Module)); err != nil && !othersUser(err) {
			r.add(key+".pkcs11_module", "%s", trouble(b.PKCS11Module, err))
		}
	}
}
