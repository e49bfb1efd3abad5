package config

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/secret"
)

// This file is what accounts at CAs have in common: where the service is, what
// to log in with, and the day from which a CA has no more certificates for clients.

// credential reads a secret, from the environment or from a file.
func credential(what string, value secret.Secret, file string) (secret.Secret, error) {
	if !value.Empty() {
		return value, nil
	}
	s, err := secret.FromFile(Absolute(file))
	if err != nil {
		return secret.Secret{}, fmt.Errorf("%s: %w", what, err)
	}
	return s, nil
}

// checkCredential wants a secret in one of its two places.
func checkCredential(key, setting, what string, value secret.Secret, file string, r *report) {
	switch {
	case file == "" && value.Empty():
		r.add(key+"."+setting+"_file", "is missing; or give %s in the variable %s", what, variable(key+"."+setting))
	case file != "" && !value.Empty():
		r.add(key+"."+setting+"_file", "is set, and so is the variable %s; keep one", variable(key+"."+setting))
	}
}

// checkService wants the address of an API.
func checkService(key, text, example string, r *report) {
	u, ok := absolute(text)
	if !ok || u.Scheme != "https" && u.Scheme != "http" {
		r.add(key+".url", "must be an https URL, for example %s", example)
		return
	}
	if a, err := netip.ParseAddr(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (err != nil || !a.Unmap().IsLoopback()) {
		r.add(key+".url", "must begin with https://; http:// is for a stand-in on this machine")
	}
}

// lookAtFiles wants files that are named to be there; private ones to be private.
func lookAtFiles(key string, private, public map[string]string, r *report) {
	for setting, file := range private {
		if file == "" {
			continue
		}
		if _, err := secret.FromFile(file); err != nil && !othersUser(err) {
			r.add(key+"."+setting, "%s", trouble(file, err))
		}
	}
	for setting, file := range public {
		if file == "" {
			continue
		}
		if _, err := os.ReadFile(file); err != nil {
			r.add(key+"."+setting, "%s", trouble(file, err))
		}
	}
}

// warnAccount says what is better otherwise for as long as it is so.
func warnAccount(key, url string, values map[string]secret.Secret) (all []string) {
	for _, setting := range slices.Sorted(maps.Keys(values)) {
		if !values[setting].Empty() {
			all = append(all, variable(key+"."+setting)+" holds a secret: child processes and crash reports can show it; "+setting+"_file is safer")
		}
	}
	if strings.HasPrefix(url, "http://") {
		all = append(all, key+".url is spoken with in the clear: it can only be an imitation, and no certificate of it is worth anything")
	}
	return all
}

// Day reads a day, the beginning of it in UTC; zero when there is none.
func Day(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	return time.Parse(time.DateOnly, text)
}

func checkDay(key, text string, r *report) {
	if _, err := Day(text); err != nil {
		r.add(key, "must be a day, for example 2026-06-15")
	}
}

// checkCutOff wants no profile to promise what its CA does not have any more
// today: better said to the operator now than to each of his clients.
func checkCutOff(p Profile, key, from string, r *report) {
	day, err := Day(from)
	i := slices.Index(p.Usages, acme.ClientAuth)
	if err != nil || day.IsZero() || i < 0 || time.Now().Before(day) {
		return
	}
	r.add(at(key+".usages", i), "client_auth is not to be had from backend %s since %s, its server_only_from; take usages: [server_auth], and another CA for the identity of clients", p.Backend, from)
}
