package main

import (
	"fmt"
	"maps"
	"slices"

	"acmebridge/acme/engine"
	"acmebridge/backends"
	"acmebridge/cmd/acmebridge/config"
)

// lockedOut says why the server is of no use: every CA that its profiles name
// refuses the login. One that lets us in is reason enough to be asked: a sick CA
// is no trouble of the others (SC-14), and is among the warnings.
func lockedOut(all []engine.Standing, cfg *config.Config) (reasons []string) {
	refuse := map[string]string{}
	for _, s := range all {
		for _, f := range s.Findings {
			if f.Kind == backends.FindingLogin {
				refuse[s.Backend] = fmt.Sprintf("backend %s: %s", s.Backend, f.Text)
			}
		}
	}
	named := map[string]bool{}
	for _, d := range cfg.Directories {
		for _, p := range d.Profiles {
			named[cfg.Profiles[string(p)].Backend] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if refuse[name] == "" {
			return nil
		}
		reasons = append(reasons, refuse[name])
	}
	return reasons
}

// findings are what is wrong at the CAs, for as long as it is.
func findings(all []engine.Standing) (lines []string) {
	for _, s := range all {
		for _, f := range s.Findings {
			lines = append(lines, fmt.Sprintf("backend %s: %s", s.Backend, f.Text))
		}
	}
	return lines
}
