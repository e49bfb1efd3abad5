package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"net/url"
	"os"
	"slices"
	"time"

	"acmebridge/backends"
	"acmebridge/cmd/acmebridge/config"
	"acmebridge/internal/admin"
	"acmebridge/internal/secret"
)

// profiles says which ones nobody can order. That each has a backend is the
// configuration's own check.
func (d *doctor) profiles() {
	offered := map[string]bool{}
	for _, dir := range d.cfg.Directories {
		for _, p := range dir.Profiles {
			offered[string(p)] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.cfg.Profiles)) {
		if !offered[name] {
			d.report(checkWarn, "profile "+name, "no directory offers it")
			continue
		}
		d.report(checkOK, "profile "+name, "is issued by backend %s", d.cfg.Profiles[name].Backend)
	}
}

// lookFor bounds a look at one CA.
const lookFor = time.Minute

// backends looks at the CAs: through the server where one runs, which is logged
// in already.
func (d *doctor) backends(ctx context.Context) {
	for _, name := range slices.Sorted(maps.Keys(d.cfg.Backends)) {
		ctx, cancel := context.WithTimeout(ctx, lookFor)
		if d.running != nil {
			d.askServer(ctx, name)
			if d.cfg.Backends[name].Type == config.TypeIB1 {
				d.askFramework(ctx, name)
			}
		} else {
			d.askCA(ctx, name)
		}
		cancel()
	}
}

func (d *doctor) askServer(ctx context.Context, name string) {
	check := "backend " + name
	b, err := admin.Post[admin.Backend](ctx, d.running, "/v1/backends/"+url.PathEscape(name)+"/survey", struct{}{})
	if err != nil {
		var answer *admin.Error
		if errors.As(err, &answer) {
			d.report(checkOK, check, "%s", answer.Text) // there is nothing to look at
			return
		}
		d.report(checkFail, check, "%v", err)
		return
	}
	for _, f := range b.Findings {
		d.report(resultOf(backends.FindingKind(f.Kind), f.Stops != backends.StopNothing.String()), check, "%s", f.Text)
	}
	if len(b.Findings) == 0 {
		d.report(checkOK, check, "%s", wellSeen(b.Balance))
	}
}

// askFramework tells what ceremonies are due for, which stops no certificate yet.
func (d *doctor) askFramework(ctx context.Context, name string) {
	trees, err := admin.Get[[]admin.FrameworkTree](ctx, d.running, "/v1/ib1")
	if err != nil {
		d.report(checkFail, "backend "+name, "%v", err)
		return
	}
	for _, t := range trees {
		for _, a := range t.Actions {
			if t.Backend == name {
				d.report(checkWarn, "backend "+name, "%s", a.Text)
			}
		}
	}
}

// resultOf a finding: what stops purchases fails, and so does what may.
func resultOf(kind backends.FindingKind, stops bool) string {
	if stops || kind == backends.FindingUnreachable {
		return checkFail
	}
	return checkWarn
}

func wellSeen(balance *int64) string {
	if balance == nil {
		return "nothing is wrong with it"
	}
	return fmt.Sprintf("lets us in, has the profile, and %d certificates are left", *balance)
}

func (d *doctor) askCA(ctx context.Context, name string) {
	check := "backend " + name
	if dir := d.cfg.LocalCADir(name); d.cfg.Backends[name].Type == config.TypeLocalCA {
		if entries, err := os.ReadDir(dir); err != nil || len(entries) == 0 {
			d.report(checkOK, check, "a CA is made in %s at the first start", absolute(dir))
			return
		}
	}
	p := newParts(d.cfg, use{}, slog.New(slog.DiscardHandler), d.now)
	if u := d.cfg.Backends[name]; u.Type == config.TypeUpstream && u.Upstream.Passphrase() == nil {
		if _, err := os.Stat(d.cfg.EABKeyPath()); errors.Is(err, fs.ErrNotExist) {
			d.report(checkOK, check, "the account at the CA is made at the first start")
			return
		}
		sealer, err := secret.OpenKeyFile(d.cfg.EABKeyPath())
		if err != nil {
			d.report(checkFail, check, "%v", err)
			return
		}
		p.sealer = sealer
	}
	b, err := p.openBackend(name)
	if err != nil {
		d.report(checkFail, check, "%v", err)
		return
	}
	switch b := b.(type) {
	case backends.Surveyor:
		seen, err := b.Survey(ctx)
		if err != nil {
			d.report(checkFail, check, "%v", err)
			return
		}
		for _, f := range seen.Findings {
			d.report(resultOf(f.Kind, f.Stops > backends.StopNothing), check, "%s", f.Text)
		}
		if len(seen.Findings) == 0 {
			d.report(checkOK, check, "%s", wellSeen(seen.Balance))
		}
	case backends.Checker:
		if ca := p.ib1[name]; ca != nil {
			for _, a := range ca.Alarms() {
				d.report(checkWarn, check, "%s", a.Text)
			}
		}
		switch err := b.Check(ctx); {
		case errors.Is(err, backends.ErrCredentials):
			d.report(checkFail, check, "%v", err)
		case err != nil:
			d.report(checkWarn, check, "%v", err)
		default:
			d.report(checkOK, check, "%s", wellSeen(nil))
		}
	default:
		d.report(checkOK, check, "has nothing that could be looked at")
	}
}
