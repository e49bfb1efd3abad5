package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/nonce"
	"acmebridge/acme/server"
	"acmebridge/backends"
	"acmebridge/backends/ib1/online"
	"acmebridge/backends/localca"
	"acmebridge/backends/sectigo"
	"acmebridge/challenges"
	"acmebridge/cmd/acmebridge/config"
	"acmebridge/internal/admin"
	"acmebridge/internal/egress"
	"acmebridge/internal/ratelimit"
	"acmebridge/internal/secret"
)

// parts is everything that moves orders, put together. It has no listener and
// no goroutine of its own.
type parts struct {
	cfg   *config.Config
	use   use
	log   *slog.Logger
	now   func() time.Time
	store database
	// sealer seals records, and what backends keep beside them.
	sealer *secret.Sealer
	// unknown gets the reason to end the process at once (SS-4).
	unknown chan error
	issuers map[string]backends.Backend
	ib1     map[string]*online.CA
	sectigo map[sectigoAccount]*sectigo.Client
	cas     map[string]admin.CA
	// responders answer challenges of the CAs behind us, by backend.
	responders map[string]http.Handler
	policy     *egress.Policy
	caa        *challenges.CAA
	engine     *engine.Engine
	nonces     *nonce.Source
	front      *server.Server
	rates      *ratelimit.Table
	// own are the addresses that this server listens on; nobody may make it
	// validate against itself (SV-6).
	own atomic.Pointer[[]netip.AddrPort]
}

// use says how the parts will be used.
type use struct {
	// offline: a command looks or decides and nothing runs, so no answer waits.
	offline bool
}

// newParts has nothing open yet.
func newParts(cfg *config.Config, u use, log *slog.Logger, now func() time.Time) *parts {
	return &parts{
		cfg: cfg, use: u, log: log, now: now, cas: map[string]admin.CA{}, responders: map[string]http.Handler{}, ib1: map[string]*online.CA{},
		sectigo: map[sectigoAccount]*sectigo.Client{}, unknown: make(chan error, 1),
	}
}

// assemble opens the data and makes the parts. The data folder is locked until
// close.
func assemble(ctx context.Context, cfg *config.Config, log *slog.Logger, now func() time.Time, u use) (_ *parts, err error) {
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	p := newParts(cfg, u, log, now)
	// The store comes first, because its lock keeps a second process from
	// everything else in the folder.
	if p.store, err = openStore(ctx, cfg, p.stop); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = p.store.Close() // the first error is the one to tell
		}
	}()
	sealer, err := secret.OpenKeyFile(cfg.EABKeyPath())
	if err != nil {
		return nil, err
	}
	p.sealer = sealer
	if p.issuers, err = p.backends(); err != nil {
		return nil, err
	}
	validators, err := p.validators()
	if err != nil {
		return nil, err
	}
	p.rates = ratelimit.New(ratelimit.Config{Entries: cfg.Limits.RateEntries, Now: now})
	p.engine, err = engine.New(engine.Config{
		Store: p.store, Backends: p.issuers, Validators: validators, CAA: p.caa, Sealer: recordSealer{sealer},
		Directories: cfg.AcmeDirectories(), Profiles: p.profiles(u), Holder: rand.Text(),
		AccountURL: func(a acme.Account) string { return p.front.AccountURL(a) },
		Log:        log, Now: now,
		Validations: cfg.Limits.Validations, Attempts: cfg.Validation.Attempts,
		Interval: cfg.Validation.Interval, ValidationTimeout: cfg.Validation.Timeout,
		Limits: engineLimits(cfg.Limits, p.rates),
	})
	if err != nil {
		return nil, err
	}
	if p.nonces, err = nonce.New(nonce.Config{}); err != nil {
		return nil, err
	}
	p.front, err = server.New(server.Config{
		Engine: p.engine, Nonces: p.nonces, BaseURL: cfg.BaseURL, Log: log, Now: now,
		MaxBody: int64(cfg.Limits.Body), SignatureChecks: cfg.Limits.SignatureChecks,
		BadSignatures: noneIfZero(cfg.Limits.BadSignatures), Origins: cfg.CORS.Origins,
		AccountHashPrefix: cfg.AccountHashPrefix(), Limits: serverLimits(cfg.Limits, p.rates),
	})
	return p, err
}

func engineLimits(l config.Limits, rates *ratelimit.Table) engine.Limits {
	return engine.Limits{
		OpenOrders: l.OpenOrders, Processing: l.Processing, SameNames: l.SameNames,
		NewOrders: l.Rates.NewOrders.Limit(), FailedValidations: l.Rates.FailedValidations.Limit(),
		NameSet: l.Rates.CertificatesPerNames.Limit(), Revocations: l.Rates.Revocations.Limit(),
		Queue: l.Queue, Commits: l.Commits, Rates: rates,
	}
}

func serverLimits(l config.Limits, rates *ratelimit.Table) server.Limits {
	return server.Limits{
		Requests: l.Rates.Requests.Limit(), NewAccounts: l.Rates.NewAccounts.Limit(), NetworkAccounts: l.Rates.NetworkAccounts.Limit(),
		ExternalKeyFailures: l.Rates.ExternalKeyFailures.Limit(), Polls: l.Rates.Polls.Limit(), Help: l.HelpURL, Rates: rates,
	}
}

// noneIfZero translates "0: not bounded" of the configuration for those whose
// zero means a default.
func noneIfZero(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// stop has the process end because the store cannot be trusted any more.
func (p *parts) stop(err error) {
	select {
	case p.unknown <- err:
	default: // the first reason is enough
	}
}

func (p *parts) close() error { return p.store.Close() }

// profiles are those of the configuration. Where nothing runs, nothing is worth
// waiting for.
func (p *parts) profiles(u use) map[acme.ProfileName]acme.Profile {
	all := p.cfg.AcmeProfiles()
	if u.offline {
		for name, profile := range all {
			profile.Hold = 0
			all[name] = profile
		}
	}
	return all
}

// backends opens those of the configuration, each by the function for its type.
func (p *parts) backends() (map[string]backends.Backend, error) {
	all := map[string]backends.Backend{}
	for name := range p.cfg.Backends {
		var err error
		if all[name], err = p.openBackend(name); err != nil {
			return nil, fmt.Errorf("backend %s: %w", name, err)
		}
	}
	return all, nil
}

func (p *parts) openBackend(name string) (backends.Backend, error) {
	open := map[string]func(name string) (backends.Backend, error){
		config.TypeLocalCA:    p.openLocalCA,
		config.TypeSectigo:    p.openSectigo,
		config.TypeDigiCert:   p.openDigiCert,
		config.TypeIB1:        p.openIB1,
		config.TypeGlobalSign: p.openGlobalSign,
		config.TypeGoDaddy:    p.openGoDaddy,
		config.TypeUpstream:   p.openUpstream,
	}
	kind := p.cfg.Backends[name].Type
	fn := open[kind]
	if fn == nil {
		return nil, fmt.Errorf("this program has no backend of type %q", kind)
	}
	return fn(name)
}

func (p *parts) openLocalCA(name string) (backends.Backend, error) {
	ca, err := localca.Open(localCAConfig(p.cfg, name, p.now))
	if err != nil {
		return nil, err
	}
	p.cas[name] = signingCA{ca}
	return ca.Backend(), nil
}

// signingCA is a CA as its operator sees it.
type signingCA struct{ *localca.CA }

// Keys implements admin.CA.
func (c signingCA) Keys() ([]admin.CAKey, error) {
	all, err := c.Status()
	if err != nil {
		return nil, err
	}
	var keys []admin.CAKey
	for _, s := range all {
		keys = append(keys, admin.CAKey{
			File: s.File, Role: s.Role, Subject: s.Subject, KeyID: s.KeyID, KeyType: string(s.KeyType),
			NotBefore: s.NotBefore, NotAfter: s.NotAfter, Key: s.Key, RevocationList: s.RevocationList,
		})
	}
	return keys, nil
}

// localCAConfig says what the CA of a backend is.
func localCAConfig(cfg *config.Config, name string, now func() time.Time) localca.Config {
	b := cfg.Backends[name].LocalCA
	c := localca.Config{
		Dir: cfg.LocalCADir(name), Name: name, KeyType: localca.KeyType(b.KeyType), Organization: b.Organization,
		RootValidity: b.RootValidity, IssuerValidity: b.IssuerValidity, Backdate: b.Backdate,
		Alternates: b.AlternateChains, PublicURL: cfg.PKIBaseURL(), CRLValidity: b.CRLValidity,
		OCSP: cfg.Backends[name].OCSP.On(), SignerValidity: cfg.Backends[name].OCSP.SignerValidity, Queued: b.Issue == "queued", Now: now,
	}
	for _, profile := range cfg.Profiles {
		if profile.Backend == name {
			c.LeafValidity = max(c.LeafValidity, profile.Validity)
		}
	}
	switch {
	case !b.PassphraseValue.Empty():
		c.Passphrase = func() ([]byte, error) { return b.PassphraseValue.Reveal(), nil }
	case b.PassphraseFile != "":
		c.Passphrase = func() ([]byte, error) {
			s, err := secret.FromFile(config.Absolute(b.PassphraseFile))
			return s.Reveal(), err
		}
	}
	return c
}

// ownAddresses are those that this server listens on, which nobody may reach
// through it (SV-6).
func (p *parts) ownAddresses() []netip.AddrPort {
	if own := p.own.Load(); own != nil {
		return *own
	}
	return nil
}

// resolver asks the name servers of the configuration.
func (p *parts) resolver() (*egress.Resolver, error) {
	return egress.NewResolver(resolverConfig(p.cfg))
}

// resolverConfig is how names are asked for, the same everywhere: what doctor
// finds is true of the server only when both ask in the same way.
func resolverConfig(cfg *config.Config) egress.ResolverConfig {
	v := cfg.Validation
	return egress.ResolverConfig{
		Servers: v.Resolvers, Timeout: v.DNS.Timeout, TCPFirst: v.DNS.TCPFirst, EDNSSize: uint16(v.DNS.EDNSSize),
		KeepCase: !v.DNS.RandomCase, DNSSEC: egress.DNSSEC(v.DNS.DNSSEC),
	}
}

// validators makes those that this program has. A profile that offers another
// type of challenge is refused by the engine.
func (p *parts) validators() ([]challenges.Validator, error) {
	v := p.cfg.Validation
	var err error
	p.policy, err = egress.NewPolicy(egress.PolicyConfig{Allow: v.Allow, Deny: v.Deny, Own: p.ownAddresses})
	if err != nil {
		return nil, err
	}
	resolver, err := p.resolver()
	if err != nil {
		return nil, err
	}
	dialer, err := egress.NewDialer(egress.DialerConfig{
		Policy: p.policy, Resolver: resolver, Total: p.cfg.Limits.Validations, PerTarget: p.cfg.Limits.ValidationsPerTarget,
	})
	if err != nil {
		return nil, err
	}
	http01, err := challenges.NewHTTP01(challenges.HTTP01Config{
		Dialer: dialer, Port: uint16(v.HTTPPort), TLSPort: uint16(v.TLSALPNPort), Timeout: v.Timeout,
		UserAgent: "acmebridge-validation/" + version(),
	})
	if err != nil {
		return nil, err
	}
	tlsALPN01, err := challenges.NewTLSALPN01(challenges.TLSALPN01Config{Dialer: dialer, Port: uint16(v.TLSALPNPort), Timeout: v.Timeout})
	if err != nil {
		return nil, err
	}
	if p.caa, err = challenges.NewCAA(challenges.CAAConfig{Resolver: resolver}); err != nil {
		return nil, err
	}
	dns := challenges.DNSConfig{Resolver: resolver, Timeout: v.Timeout}
	dns01, err := challenges.NewDNS01(dns)
	if err != nil {
		return nil, err
	}
	dnsAccount01, err := challenges.NewDNSAccount01(dns)
	if err != nil {
		return nil, err
	}
	dnsPersist01, err := challenges.NewDNSPersist01(challenges.DNSPersist01Config{
		DNSConfig: dns, AccountHashPrefix: p.cfg.AccountHashPrefix(), Draft01: p.cfg.AccountHashPrefix() == "", Now: p.now,
	})
	if err != nil {
		return nil, err
	}
	return []challenges.Validator{http01, tlsALPN01, dns01, dnsAccount01, dnsPersist01}, nil
}

// warnings are shown for as long as they are true (SV-4, SA-13).
func (p *parts) warnings() []string {
	all := slices.Concat(p.cfg.Warnings(), p.ib1Warnings(), p.ocspWarnings())
	for _, w := range p.policy.Warnings() {
		// The configuration has its own sentence for loopback.
		if !strings.Contains(w, "loopback") && !slices.Contains(all, w) {
			all = append(all, w)
		}
	}
	return all
}

// handler is the operator's API over the parts.
func (p *parts) handler(offline bool) (http.Handler, error) {
	var directories []string
	for _, d := range p.cfg.AcmeDirectories() {
		directories = append(directories, p.front.DirectoryURL(d.Name))
	}
	return admin.NewHandler(admin.Config{
		Operator: p.engine.Operator(), Database: p.store, CAs: p.cas, Offline: offline, Warnings: p.warnings,
		Info:       admin.Info{Version: version(), PID: os.Getpid(), DataDir: absolute(p.cfg.DataDir), Directories: directories},
		Frameworks: p.frameworks, Log: p.log, Now: p.now,
	})
}

// recordSealer lets the engine seal by the name of a record, "table/row".
type recordSealer struct{ *secret.Sealer }

func contextOf(associated []byte) secret.Context {
	table, row, _ := strings.Cut(string(associated), "/")
	return secret.Context{Table: table, Row: row, KeyVersion: 1}
}

// Seal implements engine.Sealer.
func (s recordSealer) Seal(plain, associated []byte) ([]byte, error) {
	return s.Sealer.Seal(plain, contextOf(associated)), nil
}

// Open implements engine.Sealer.
func (s recordSealer) Open(sealed, associated []byte) ([]byte, error) {
	return s.Sealer.Open(sealed, contextOf(associated))
}
