package globalsigntest

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"slices"
	"time"

	"acmebridge/internal/standin"
)

// CA is the service. It may be used by several goroutines.
type CA struct {
	*standin.Server
	*standin.Plans[Outcome]

	cfg Config
	// issuing is what certificates come from, and machines what the service and
	// its clients are known by.
	issuing, machines *standin.Hierarchy

	// Guarded by Server.Lock:
	held         bool
	serverOnly   bool
	quota        int64
	claims       []claim
	tokens       map[string]time.Time // until when
	certificates []*certificate
}

type claim struct {
	domain   string
	verified bool
	until    time.Time
}

// certificate is what was bought once.
type certificate struct {
	serial  string
	cert    *x509.Certificate
	ordered time.Time
	stuck   bool
	ready   bool
	at      time.Time // when it was
	revoked bool
}

// New makes the service.
func New(cfg Config) (*CA, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	cfg = cfg.complete()
	now := cfg.Clock().UTC()
	ca := &CA{cfg: cfg, serverOnly: cfg.ServerOnly, quota: cfg.Quota, tokens: map[string]time.Time{}}
	for _, name := range cfg.Domains {
		ca.claims = append(ca.claims, claim{name, true, now.AddDate(1, 0, 0)})
	}
	var err error
	if ca.issuing, err = standin.NewHierarchy("Stand-in Atlas", now); err != nil {
		return nil, fmt.Errorf("globalsigntest: %w", err)
	}
	if ca.machines, err = standin.NewHierarchy("Stand-in Atlas Access", now); err != nil {
		return nil, fmt.Errorf("globalsigntest: %w", err)
	}
	ca.Server = standin.New(standin.Config{
		Name: "globalsigntest", Base: "/v2/", Endpoints: ca.endpoints(), Settle: ca.settle, Admit: ca.admit, Fail: fail,
		Clock: cfg.Clock, Journal: cfg.Journal, Seed: cfg.Seed,
		Faults: faults(),
	})
	ca.Plans = standin.NewPlans(ca.Server, Outcome{Kind: Ready})
	return ca, nil
}

// Roots are the CA's certificates above the leaf, in DER: the issuer, then the
// root.
func (ca *CA) Roots() (issuing, root []byte) { return ca.issuing.Issuing.Raw, ca.issuing.Root.Raw }

// RootsPEM are the same, and MachinesPEM what the service itself is known by.
func (ca *CA) RootsPEM() []byte { return ca.issuing.PEM() }

// MachinesPEM are the root of the service's own certificate, and of clients'.
func (ca *CA) MachinesPEM() []byte { return ca.machines.PEM() }

// Machines is the root of the service's own certificate.
func (ca *CA) Machines() *x509.CertPool { return ca.machines.Pool() }

// ClientCertificate is one that the service lets in.
func (ca *CA) ClientCertificate() (tls.Certificate, error) { return ca.machines.Credential(ca.Now()) }

// TLS is how the service is spoken with; nil when that is in the clear.
func (ca *CA) TLS(hosts ...string) (*tls.Config, error) {
	if ca.cfg.Clear {
		return nil, nil //nolint:nilnil // documented
	}
	cert, err := ca.machines.Credential(ca.Now(), append(hosts, "localhost", "127.0.0.1", "::1")...)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, Time: ca.Now}
	if !ca.cfg.NoCertificate {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, ca.machines.Pool()
	}
	return c, nil
}

// Start serves on a port of its own on this machine, and returns the root of the
// API. stop ends it.
func (ca *CA) Start() (url string, stop func(), err error) {
	config, err := ca.TLS()
	if err != nil {
		return "", nil, err
	}
	return ca.Server.Start(config)
}

// Hold keeps every order from its outcome; Release lets them go on.
func (ca *CA) Hold() {
	ca.Lock()
	defer ca.Unlock()
	ca.held = true
}

// Release ends Hold.
func (ca *CA) Release() {
	ca.Lock()
	defer ca.Unlock()
	ca.held = false
	ca.settle()
}

// SetServerOnly changes the policy: from now on it has clientAuth, or not.
func (ca *CA) SetServerOnly(only bool) {
	ca.Lock()
	defer ca.Unlock()
	ca.serverOnly = only
}

// SetQuota changes how many certificates may still be issued.
func (ca *CA) SetQuota(n int64) {
	ca.Lock()
	defer ca.Unlock()
	ca.quota = n
}

// SetDomain adds a claim, or changes until when one is verified; zero makes it a
// claim that nobody has proved yet.
func (ca *CA) SetDomain(name string, until time.Time) {
	ca.Lock()
	defer ca.Unlock()
	i := slices.IndexFunc(ca.claims, func(c claim) bool { return c.domain == name })
	if i < 0 {
		ca.claims = append(ca.claims, claim{domain: name})
		i = len(ca.claims) - 1
	}
	ca.claims[i].verified, ca.claims[i].until = !until.IsZero(), until
}

// Expire ends all tokens, as a restart of the service would.
func (ca *CA) Expire() {
	ca.Lock()
	defer ca.Unlock()
	clear(ca.tokens)
}

// Check says what there is not.
func (o Outcome) Check() error {
	if !slices.Contains(Kinds(), o.Kind) {
		return fmt.Errorf("globalsigntest: there is no outcome %q", o.Kind)
	}
	return nil
}

// settle gives everything that is due its outcome.
func (ca *CA) settle() {
	if ca.held {
		return
	}
	for _, c := range ca.certificates {
		if due := c.ordered.Add(ca.cfg.Processing); !c.ready && !c.stuck && !ca.Time().Before(due) {
			c.ready, c.at = true, due
			ca.Log(standin.Event{
				Kind: "certificate", Names: c.cert.DNSNames, CommonName: c.cert.Subject.CommonName, Serial: c.serial,
				KeySHA256: standin.HashOf(c.cert.RawSubjectPublicKeyInfo),
			})
		}
	}
}

// Control is standin.Server's, and besides:
//
//	GET  /roots.pem, /machines.pem
//	POST /next                      {"kind": "refused", "reason": "no"} for the next order
//	POST /plans                     {"pattern": "*.bad.example", "kind": "stuck"}
//	POST /hold, /release, /expire
//	POST /server-only               {"only": true}
//	POST /quota                     {"left": 0}
//	POST /domain                    {"name": "example.net", "until": "2026-12-01T00:00:00Z"}
func (ca *CA) Control() http.Handler {
	mux := ca.Server.Control()
	for name, content := range map[string][]byte{"roots": ca.RootsPEM(), "machines": ca.MachinesPEM()} {
		mux.HandleFunc("GET /"+name+".pem", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/x-pem-file")
			_, _ = w.Write(content)
		})
	}
	ca.Instructed(mux)
	mux.HandleFunc("POST /hold", standin.Instruct(func(struct{}) error { ca.Hold(); return nil }))
	mux.HandleFunc("POST /release", standin.Instruct(func(struct{}) error { ca.Release(); return nil }))
	mux.HandleFunc("POST /expire", standin.Instruct(func(struct{}) error { ca.Expire(); return nil }))
	mux.HandleFunc("POST /server-only", standin.Instruct(func(given struct{ Only bool }) error { ca.SetServerOnly(given.Only); return nil }))
	mux.HandleFunc("POST /quota", standin.Instruct(func(given struct{ Left int64 }) error { ca.SetQuota(given.Left); return nil }))
	mux.HandleFunc("POST /domain", standin.Instruct(func(given struct {
		Name  string
		Until time.Time
	}) error {
		ca.SetDomain(given.Name, given.Until)
		return nil
	}))
	return mux
}
