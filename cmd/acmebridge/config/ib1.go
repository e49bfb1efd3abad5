package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"acmebridge/internal/secret"
)

// TypeIB1 is the type of a backend that signs here for an IB1 trust framework.
const TypeIB1 = "ib1"

// IB1 is the folder of a framework, as 'acmebridge ib1' makes it.
type IB1 struct {
	Dir             string        `key:"dir" doc:"Folder of the framework, as 'acmebridge ib1' makes and keeps it. Required."`
	Trees           []string      `key:"trees" enum:"client,signing,server" doc:"Trees that are served. Empty: those that have an issuer in the folder."`
	PassphraseFile  string        `key:"passphrase_file" doc:"File, readable by its owner only, with the passphrase of the issuers' keys. One passphrase is for all of them."`
	PassphraseValue secret.Secret `key:"passphrase" source:"env" doc:"The passphrase itself, in place of passphrase_file."`
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
	switch {
	case b.PassphraseFile == "" && b.PassphraseValue.Empty():
		r.add(key+".passphrase_file", "is missing; or give the passphrase in the variable %s", variable(key+".passphrase"))
	case b.PassphraseFile != "" && !b.PassphraseValue.Empty():
		r.add(key+".passphrase_file", "is set, and so is the variable %s; keep one", variable(key+".passphrase"))
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
	if b.PassphraseFile == "" {
		return
	}
	if _, err := secret.FromFile(Absolute(b.PassphraseFile)); err != nil && !othersUser(err) {
		r.add(key+".passphrase_file", "%s", trouble(b.PassphraseFile, err))
	}
}
