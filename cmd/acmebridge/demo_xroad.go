package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/cmd/acmebridge/config"
	"acmebridge/conformance/xroad"
)

const (
	demoXRoadMember = "DEMO:COM:5550001"
	demoXRoadServer = "ss1.localhost"
	demoXRoadName   = "Example Company Ltd"
)

// demoXRoad is an X-Road instance of one member in a temporary folder: its Security
// Server, played by conformance/xroad, orders both kinds of certificate, activates
// them by OCSP, renews one, and is refused another member's.
func (p *program) demoXRoad(ctx context.Context) error {
	responder, err := listenNear("127.0.0.1:5002")
	if err != nil {
		return err
	}
	d := &xroadDemo{demoTour: demoTour{demoSteps: p.demoSteps(), responder: responder}, challenges: xroad.Listen(responder)}
	defer func() { _ = d.challenges.Close() }() // nothing that it had is lost
	return p.demonstrate(ctx, d.config, func(s *demoServer) error { return d.ecosystem(ctx, s, "xroad", d.run) })
}

type xroadDemo struct {
	demoTour
	challenges *xroad.Challenges
}

// config is that of docs/ecosystems/x-road.yaml, on free ports.
func (d *xroadDemo) config(dir string) (*config.Config, error) {
	port, err := portOf(d.responder)
	if err != nil {
		return nil, err
	}
	front, pki, err := demoAddresses()
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(`listen: %q
data_dir: %q
pki_listen: %q
validation: {http_port: %s, allow: [127.0.0.0/8, "::1/128"]}
log: {format: text}
directories:
  xroad: {external_account: required, plain_contacts: true, fixed_keys: true, profiles: [xroad-auth, xroad-sign]}
profiles:
  xroad-auth: {backend: xroad, authorization: both, validity: 365d, lenient_replaces: true, hold: 8s, xroad: {usage: auth, instance: DEMO}}
  xroad-sign: {backend: xroad, authorization: both, validity: 365d, lenient_replaces: true, hold: 8s, xroad: {usage: sign, instance: DEMO}}
backends: {xroad: {type: localca, organization: Demo Ecosystem}}
`, front, filepath.Join(dir, "data"), pki, port)
	return config.Parse("the demo's configuration", []byte(text), nil)
}

// run goes through what the operator does once for a member, and what its Security
// Server does then without anybody.
func (d *xroadDemo) run(ctx context.Context, o engine.Operator) error {
	_, err := o.CreateMember(ctx, acme.Member{ID: demoXRoadMember, Name: demoXRoadName, Identifiers: []string{demoXRoadServer}})
	if err != nil {
		return err
	}
	d.step("register a member", demoXRoadMember+", with its Security Server "+demoXRoadServer)
	auth, err := d.securityServer(ctx, o, "auth")
	if err != nil {
		return err
	}
	sign, err := d.securityServer(ctx, o, "sign")
	if err != nil {
		return err
	}
	subject := []xroad.Attribute{
		{Type: xroad.Country, Value: "EX"}, {Type: xroad.Organization, Value: demoXRoadName}, {Type: xroad.SerialNumber, Value: "5550001"}, {Type: xroad.CommonName, Value: demoXRoadServer},
	}
	first, err := d.obtain(ctx, "AUTH", auth, xroad.AuthKey, subject)
	if err != nil {
		return err
	}
	seal := append(append([]xroad.Attribute{}, subject[:3]...),
		xroad.Attribute{Type: xroad.BusinessCategory, Value: "COM"}, xroad.Attribute{Type: xroad.CommonName, Value: demoXRoadName})
	signing, err := d.obtain(ctx, "SIGN", sign, xroad.SignKey, seal)
	if err != nil {
		return err
	}
	if err := d.renew(ctx, auth, first, subject); err != nil {
		return err
	}
	if err := d.forge(ctx, sign, seal); err != nil {
		return err
	}
	fmt.Fprintln(d.out)
	describe(d.out, signing.Leaf)
	return pem.Encode(d.out, &pem.Block{Type: "CERTIFICATE", Bytes: signing.Leaf.Raw})
}

// securityServer is the member's, with the credential for one usage that its
// acme.yml has.
func (d *xroadDemo) securityServer(ctx context.Context, o engine.Operator, usage string) (*xroad.SecurityServer, error) {
	k, mac, err := o.CreateExternalKey(ctx, engine.NewExternalKey{Directory: "xroad", Member: demoXRoadMember, Profiles: []acme.ProfileName{acme.ProfileName("xroad-" + usage)}})
	if err != nil {
		return nil, err
	}
	d.step("make its "+usage+"-kid", string(k.ID)+", for its acme.yml")
	s, err := xroad.New(xroad.Config{
		DirectoryURL: d.directory, HTTP: d.web, Challenges: d.challenges, Contact: "pki@member.example",
		Sleep: func(ctx context.Context, pause time.Duration) error { // it sleeps after its last look, too
			select {
			case <-time.After(min(pause, 100*time.Millisecond)):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	})
	if err != nil {
		return nil, err
	}
	s.Use(xroad.Credential{KID: string(k.ID), MAC: mac})
	return s, nil
}

// obtain is ORDER CERTIFICATE, the import, and the activation.
func (d *xroadDemo) obtain(ctx context.Context, kind string, s *xroad.SecurityServer, key func(crypto.Signer, []xroad.Attribute, string, ...string) xroad.Key, subject []xroad.Attribute) (*xroad.Issued, error) {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	k := key(signer, subject, demoXRoadServer, demoXRoadServer)
	issued, err := s.Order(ctx, k)
	if err != nil {
		return nil, fmt.Errorf("order the %s certificate: %w", kind, err)
	}
	d.step("order the "+kind+" certificate", issued.Order)
	if err := xroad.Import(issued.Leaf, k, time.Now()); err != nil {
		return nil, fmt.Errorf("import the %s certificate: %w", kind, err)
	}
	d.step("import it", issued.Leaf.Subject.String())
	return issued, d.activate(ctx, s, issued)
}

func (d *xroadDemo) activate(ctx context.Context, s *xroad.SecurityServer, issued *xroad.Issued) error {
	if len(issued.Chain) < 2 || len(issued.Leaf.OCSPServer) == 0 {
		return errors.New("the certificate does not say where its state is told")
	}
	state, err := s.Activate(ctx, issued.Leaf, issued.Chain[1], xroad.Global{})
	if err != nil {
		return fmt.Errorf("activate the certificate: %w", err)
	}
	d.step("activate it: OCSP is good", fmt.Sprintf("%s, of %s", issued.Leaf.OCSPServer[0], state.ThisUpdate.Format(time.RFC3339)))
	return nil
}

// renew is what the hourly job does when renewal information says that it is time:
// another key, the subject reversed, and no profile id.
func (d *xroadDemo) renew(ctx context.Context, s *xroad.SecurityServer, old *xroad.Issued, subject []xroad.Attribute) error {
	start, _, err := s.RenewalInfo(ctx, old.Leaf)
	if err != nil {
		return fmt.Errorf("ask when to renew: %w", err)
	}
	d.step("ask when to renew AUTH", start.Format(time.DateOnly))
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	k := xroad.AuthKey(signer, xroad.Reversed(subject), demoXRoadServer, demoXRoadServer)
	issued, err := s.RenewNow(ctx, old.Leaf, k)
	if err != nil {
		return fmt.Errorf("renew the AUTH certificate: %w", err)
	}
	if err := xroad.Import(issued.Leaf, k, time.Now()); err != nil {
		return fmt.Errorf("import the renewed certificate: %w", err)
	}
	d.step("renew it, with a new key", issued.Order)
	return d.activate(ctx, s, issued)
}

// forge asks for a certificate that would sign as another member.
func (d *xroadDemo) forge(ctx context.Context, s *xroad.SecurityServer, subject []xroad.Attribute) error {
	forged := append([]xroad.Attribute{}, subject...)
	for i, a := range forged {
		if a.Type.Equal(xroad.SerialNumber) {
			forged[i].Value = "9999999"
		}
	}
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	_, err = s.Order(ctx, xroad.SignKey(signer, forged, demoXRoadServer, demoXRoadServer))
	var refusal *xroad.Refusal
	if !errors.As(err, &refusal) || refusal.Status != http.StatusForbidden {
		return fmt.Errorf("another member's certificate was not refused: %w", err)
	}
	_, detail := refusal.Problem()
	d.step("order as member 9999999", "refused: "+strings.TrimSpace(detail))
	return nil
}
