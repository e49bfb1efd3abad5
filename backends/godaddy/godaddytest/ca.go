package godaddytest

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
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

	cfg  Config
	keys *standin.Hierarchy

	// Guarded by Server.Lock:
	credits int64
	taken   []time.Time // requests of the last minute
	orders  []*order
}

// order is what was bought once.
type order struct {
	id      string
	wish    wish
	csr     *x509.CertificateRequest
	created time.Time
	outcome Outcome
	status  string
	cert    *x509.Certificate
	until   time.Time // when it is revoked because another one took its place
}

// New makes the service.
func New(cfg Config) (*CA, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	cfg = cfg.complete()
	ca := &CA{cfg: cfg, credits: cfg.Credits}
	var err error
	if ca.keys, err = standin.NewHierarchy("Stand-in Daddy", cfg.Clock().UTC()); err != nil {
		return nil, fmt.Errorf("godaddytest: %w", err)
	}
	ca.Server = standin.New(standin.Config{
		Name: "godaddytest", Base: "/", Endpoints: ca.endpoints(), Settle: ca.settle, Admit: ca.admit, Fail: fail, Faults: faults(),
		Clock: cfg.Clock, Journal: cfg.Journal, Seed: cfg.Seed,
	})
	ca.Plans = standin.NewPlans(ca.Server, Outcome{Kind: Ready})
	return ca, nil
}

// Roots are the CA's certificates above the leaf, in DER: the issuer, then the
// root.
func (ca *CA) Roots() (issuing, root []byte) { return ca.keys.Issuing.Raw, ca.keys.Root.Raw }

// RootsPEM are the same.
func (ca *CA) RootsPEM() []byte { return ca.keys.PEM() }

// TLS is for a service that is spoken with over TLS, with a certificate below the
// same root.
func (ca *CA) TLS(hosts ...string) (*tls.Config, error) {
	cert, err := ca.keys.Credential(ca.Now(), append(hosts, "localhost", "127.0.0.1", "::1")...)
	if err != nil {
		return nil, err
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}, nil
}

// Start serves on a port of its own on this machine, in the clear, and returns the
// root of the API. stop ends it.
func (ca *CA) Start() (url string, stop func(), err error) { return ca.Server.Start(nil) }

// SetCredits changes how many certificates were paid for.
func (ca *CA) SetCredits(n int64) {
	ca.Lock()
	defer ca.Unlock()
	ca.credits = n
}

// Check says what there is not.
func (o Outcome) Check() error {
	if !slices.Contains(Kinds(), o.Kind) {
		return fmt.Errorf("godaddytest: there is no outcome %q", o.Kind)
	}
	return nil
}

// Sold adds a certificate that somebody has bought in the portal: it is there, and
// in no count of purchases. product is one for several names when there are some.
func (ca *CA) Sold(csr []byte, product, commonName string, names ...string) (id string, err error) {
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return "", fmt.Errorf("godaddytest: %w", err)
	}
	ca.Lock()
	defer ca.Unlock()
	w := wish{CommonName: commonName, Period: 1, Product: product, Root: "GODADDY_SHA_2", Names: names}
	if len(names) > 0 {
		w.Slots = "FIVE"
	}
	w.CSR = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}))
	o := ca.add(w, request, "ISSUED")
	return o.id, ca.issue(o)
}

// Certificate is that of an order, nil while there is none.
func (ca *CA) Certificate(id string) *x509.Certificate {
	ca.Lock()
	defer ca.Unlock()
	for _, o := range ca.orders {
		if o.id == id {
			return o.cert
		}
	}
	return nil
}

// SetServerOnlyFrom changes from when certificates are for servers only.
func (ca *CA) SetServerOnlyFrom(from time.Time) {
	ca.Lock()
	defer ca.Unlock()
	ca.cfg.ServerOnlyFrom = from
}

// settle gives everything that is due its outcome.
func (ca *CA) settle() {
	for _, o := range ca.orders {
		if o.status == "ISSUED" && !o.until.IsZero() && !ca.Time().Before(o.until) {
			o.status = "REVOKED"
			ca.Log(standin.Event{Kind: "revocation", Order: o.id, Serial: o.cert.SerialNumber.String(), Reason: "SUPERSEDED"})
		}
		if o.status != "PENDING_ISSUANCE" && o.status != "PENDING_REKEY" || ca.Time().Before(o.created.Add(ca.cfg.Processing)) {
			continue
		}
		switch o.outcome.Kind {
		case Stuck:
		case Denied:
			o.status = "DENIED"
		case Canceled:
			o.status = "CANCELED"
		case Strange:
			o.status = "AWAITING_MOONRISE"
		default:
			if err := ca.issue(o); err != nil {
				o.status, o.outcome.Reason = "DENIED", err.Error()
				continue
			}
			o.status = "ISSUED"
			if o.outcome.Kind == Revoked {
				o.status = "REVOKED"
			}
		}
	}
}

// Control is standin.Server's, and besides:
//
//	GET  /roots.pem
//	POST /next                      {"kind": "denied", "reason": "no"} for the next order
//	POST /plans                     {"pattern": "*.bad.example", "kind": "stuck"}
//	POST /credits                   {"left": 0}
//	POST /server-only               {"from": "2026-06-15T00:00:00Z"}
func (ca *CA) Control() http.Handler {
	mux := ca.Server.Control()
	mux.HandleFunc("GET /roots.pem", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = w.Write(ca.RootsPEM())
	})
	ca.Instructed(mux)
	mux.HandleFunc("POST /credits", standin.Instruct(func(given struct{ Left int64 }) error { ca.SetCredits(given.Left); return nil }))
	mux.HandleFunc("POST /server-only", standin.Instruct(func(given struct{ From time.Time }) error { ca.SetServerOnlyFrom(given.From); return nil }))
	return mux
}
