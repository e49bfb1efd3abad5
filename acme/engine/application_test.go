package engine_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/backends"
	"acmebridge/storage"
)

// frameworkCA issues for whom the contract says, as the CAs of an IB1 framework
// do.
type frameworkCA struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	// lie, when set, changes what is signed.
	lie func(*x509.Certificate)
	// issuer, when set, is between cert and what is signed, and has the same key.
	issuer *x509.Certificate
	// rehearsing, when set, is called with every rehearsal.
	rehearsing func()
}

// under puts an issuer of that life below the root.
func (c *frameworkCA) under(t *testing.T, from time.Time, life time.Duration) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1<<60 + 1), Subject: pkix.Name{CommonName: "Framework Issuer"}, NotBefore: from, NotAfter: from.Add(life),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, c.key.Public(), c.key)
	if err == nil {
		c.issuer, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func newFrameworkCA(t *testing.T) *frameworkCA {
	t.Helper()
	c := &frameworkCA{key: newKey(t)}
	born := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1 << 60), Subject: pkix.Name{CommonName: "Framework"}, NotBefore: born, NotAfter: born.AddDate(20, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, c.key.Public(), c.key)
	if err == nil {
		c.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *frameworkCA) Traits() backends.Traits { return backends.Traits{Private: true} }
func (c *frameworkCA) Roots() [][]byte         { return [][]byte{c.cert.Raw} }
func (c *frameworkCA) Intermediates() [][]byte { return nil }
func (c *frameworkCA) Revoke(context.Context, acme.Certificate, acme.RevocationReason) error {
	return nil
}
func (c *frameworkCA) Submit(context.Context, backends.Request) (backends.Ticket, error) {
	return "", errors.New("it signs at once")
}
func (c *frameworkCA) Poll(context.Context, backends.Ticket) (backends.Result, error) {
	return backends.Result{}, errors.New("it signs at once")
}

func (c *frameworkCA) Issue(r backends.Request) ([][]byte, error) {
	key, err := x509.ParsePKIXPublicKey(r.PublicKey)
	if err != nil {
		return nil, err
	}
	serial, _ := new(big.Int).SetString("4"+r.Key, 16)
	h := r.Contract.Holder
	app, err := url.Parse(h.Application)
	if err != nil {
		return nil, err
	}
	var roles []asn1.RawValue
	for _, role := range h.Roles {
		roles = append(roles, asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(role)})
	}
	list, err1 := asn1.Marshal(roles)
	member, err2 := asn1.MarshalWithParams(h.Member, "utf8")
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial.Rsh(serial, 8), Subject: pkix.Name{Country: []string{h.Country}, Organization: []string{h.Organization}, CommonName: h.Application},
		URIs: []*url.URL{app}, NotBefore: r.At, NotAfter: r.At.AddDate(1, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		ExtraExtensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 62329, 1, 1}, Value: list}, {Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 62329, 1, 3}, Value: member},
		},
	}
	if h.Tree == acme.IB1Client {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	if h.Tree == acme.IB1Server {
		template.Subject, template.URIs, template.ExtraExtensions = pkix.Name{CommonName: r.Contract.CommonName}, nil, nil
		template.DNSNames, template.ExtKeyUsage = []string{r.Contract.CommonName}, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	}
	if c.lie != nil {
		c.lie(template)
	}
	if c.issuer != nil {
		der, err := x509.CreateCertificate(rand.Reader, template, c.issuer, key, c.key)
		return [][]byte{der, c.issuer.Raw}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, c.cert, key, c.key)
	return [][]byte{der}, err
}

const (
	member1  = "https://directory.example.org/m/1"
	app1     = "https://directory.example.org/a/App"
	handle1  = "app.example.org"
	reader   = "https://registry.example.org/role/reader"
	writer   = "https://registry.example.org/role/writer"
	elevator = "https://registry.example.org/role/elevator"
)

// newFramework is a world with the profiles of an IB1 framework.
func newFramework(t *testing.T) (*world, *frameworkCA) {
	t.Helper()
	w, ca := newWorld(t), newFrameworkCA(t)
	w.change = func(c *engine.Config) {
		c.Backends["ib1"] = ca
		base := w.profile
		base.Backend, base.Authorization, base.Challenges = "ib1", acme.AuthorizeByRegistry, nil
		base.Keys, base.Dates, base.Usages = acme.KeyPolicy{Types: []string{"p256"}}, acme.DatesRefuse, nil
		client, signing, server := base, base, base
		client.Name, client.Usages, client.IB1 = "ib1-client", []acme.Usage{acme.ClientAuth}, acme.IB1Rule{Tree: acme.IB1Client, Reissues: 3, Per: 3 * 24 * time.Hour}
		signing.Name, signing.IB1 = "ib1-signing", acme.IB1Rule{Tree: acme.IB1Signing}
		server.Name, server.Usages, server.IB1 = "ib1-server", []acme.Usage{acme.ServerAuth}, acme.IB1Rule{Tree: acme.IB1Server}
		server.Authorization, server.Challenges = acme.AuthorizeByBoth, []acme.ChallengeType{acme.HTTP01}
		for _, p := range []acme.Profile{client, signing, server} {
			c.Profiles[p.Name] = p
			c.Directories[1].Profiles = append(c.Directories[1].Profiles, p.Name)
		}
		c.Directories[1].Profiles = c.Directories[1].Profiles[1:]
	}
	return w, ca
}

// application enrols the member with its one application.
func (r *run) application(roles []string, trees ...acme.IB1Tree) acme.Member {
	r.w.t.Helper()
	ctx := r.w.t.Context()
	m := acme.Member{ID: member1, Name: "Example Company Ltd", Country: "GB", Roles: []string{reader, writer}, Identifiers: []string{"api.example.org"}}
	if _, err := r.Operator().CreateMember(ctx, m); err != nil {
		r.w.t.Fatal(err)
	}
	m, err := r.Operator().PutApplication(ctx, member1, acme.Application{URL: app1, Roles: roles, Trees: trees, Handle: handle1})
	if err != nil {
		r.w.t.Fatal(err)
	}
	return m
}

// applicationAccount is an account that orders for the application.
func (r *run) applicationAccount(profiles ...acme.ProfileName) acme.Account {
	r.w.t.Helper()
	ctx := r.w.t.Context()
	k, mac, err := r.Operator().CreateExternalKey(ctx, engine.NewExternalKey{Directory: "members", Member: member1, Application: app1, Profiles: profiles})
	if err != nil {
		r.w.t.Fatal(err)
	}
	a, _, err := r.NewAccount(ctx, bound(r.w.t, k.ID, mac))
	if err != nil {
		r.w.t.Fatal(err)
	}
	return a
}

// bareCSR has a key and nothing else.
func bareCSR(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// obtain orders and finalizes under a profile.
func (r *run) obtain(a acme.Account, profile acme.ProfileName, csr []byte, names ...string) (acme.Order, error) {
	r.w.t.Helper()
	o, err := r.NewOrder(r.w.t.Context(), a, engine.OrderRequest{Identifiers: dns(names...), Profile: profile})
	if err != nil {
		return o, err
	}
	if o.Status != acme.OrderReady {
		r.w.t.Fatalf("the order is %s and not born ready", o.Status)
	}
	o, _, err = r.Finalize(r.w.t.Context(), a, o.ID, csr)
	return o, err
}

// certificate is the certificate of a valid order.
func (r *run) certificateOf(o acme.Order, err error) acme.Certificate {
	r.w.t.Helper()
	if err != nil || o.Status != acme.OrderValid {
		r.w.t.Fatalf("the order is %s: %v, %v", o.Status, o.Problem, err)
	}
	c, _, err := r.Operator().Certificate(r.w.t.Context(), o.Certificate)
	if err != nil {
		r.w.t.Fatal(err)
	}
	return c
}

// TestApplicationOrders: orders of an application name its URL, its handle or
// both, and nothing else; the answer repeats what was sent.
func TestApplicationOrders(t *testing.T) {
	w, _ := newFramework(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		r.application([]string{reader}, acme.IB1Client, acme.IB1Signing)
		a := r.applicationAccount("ib1-client")
		for _, c := range []struct {
			names []string
			want  acme.ProblemType
		}{
			{[]string{app1}, ""},
			{[]string{"HTTPS://Directory.EXAMPLE.org/a/App"}, ""},
			{[]string{handle1}, ""},
			{[]string{"APP.example.org", app1}, ""},
			{[]string{"https://directory.example.org/a/app"}, acme.RejectedIdentifier}, // case of the path counts
			{[]string{app1 + "/"}, acme.RejectedIdentifier},
			{[]string{"http://directory.example.org/a/App"}, acme.RejectedIdentifier},
			{[]string{app1, "other.example.org"}, acme.RejectedIdentifier},
			{[]string{"https://directory.example.org/a/2"}, acme.RejectedIdentifier},
			{[]string{"api.example.org"}, acme.RejectedIdentifier},
			{[]string{"*." + handle1}, acme.RejectedIdentifier},
			{nil, acme.Malformed},
			{[]string{""}, acme.Malformed},
		} {
			o, err := r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns(c.names...), Profile: "ib1-client"})
			if c.want != "" {
				wantProblem(t, err, c.want)
				continue
			}
			if err != nil || o.Status != acme.OrderReady {
				t.Errorf("%q: %s, %v", c.names, o.Status, err)
				continue
			}
			for i, id := range o.Identifiers {
				if id.Wire() != c.names[i] {
					t.Errorf("%q came back as %q", c.names[i], id.Wire())
				}
			}
		}
		_, err := r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: []acme.Identifier{{Type: acme.IPIdentifier, Value: "192.0.2.1"}}, Profile: "ib1-client"})
		wantProblem(t, err, acme.RejectedIdentifier)
		_, err = r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns(app1), Profile: "ib1-client", NotAfter: time.Now().Add(time.Hour)})
		wantProblem(t, err, acme.Malformed) // the framework fixes the dates
	})
}

// TestApplicationProfile: an order without a profile gets the only one that it
// could get, and is asked when there are several.
func TestApplicationProfile(t *testing.T) {
	w, _ := newFramework(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		r.application([]string{reader}, acme.IB1Client, acme.IB1Signing)
		either, one := r.applicationAccount(), r.applicationAccount("ib1-signing")
		_, err := r.tryOrder(either, app1)
		wantProblem(t, err, acme.InvalidProfile)
		if o, err := r.tryOrder(one, app1); err != nil || o.Profile != "ib1-signing" {
			t.Errorf("%s, %v", o.Profile, err)
		}
		_, err = r.NewOrder(t.Context(), one, engine.OrderRequest{Identifiers: dns(app1), Profile: "ib1-client"})
		wantProblem(t, err, acme.Unauthorized)
		if _, err := r.Operator().PutApplication(t.Context(), member1, acme.Application{URL: app1, Roles: []string{reader}, Trees: []acme.IB1Tree{acme.IB1Client}}); err != nil {
			t.Fatal(err)
		}
		if o, err := r.tryOrder(either, app1); err != nil || o.Profile != "ib1-client" {
			t.Errorf("%s, %v", o.Profile, err)
		}
		// A key for the member alone is for no application.
		k, mac, err := r.Operator().CreateExternalKey(t.Context(), engine.NewExternalKey{Directory: "members", Member: member1})
		if err != nil {
			t.Fatal(err)
		}
		if warning, err := r.Operator().ExternalKeyWarning(t.Context(), k); warning == "" || err != nil {
			t.Errorf("no warning: %v", err)
		}
		a, _, err := r.NewAccount(t.Context(), bound(t, k.ID, mac))
		if err != nil {
			t.Fatal(err)
		}
		_, err = r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns(app1), Profile: "ib1-client"})
		wantProblem(t, err, acme.Unauthorized)
	})
}

// TestApplicationCSR: of a CSR only the key is used, and what it names must not
// be somebody else.
func TestApplicationCSR(t *testing.T) {
	w, _ := newFramework(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		r.application([]string{reader}, acme.IB1Client)
		a := r.applicationAccount()
		other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		good, _ := url.Parse(app1)
		bad, _ := url.Parse(member1)
		for name, c := range map[string]struct {
			csr  x509.CertificateRequest
			key  crypto.Signer
			want acme.ProblemType
		}{
			"nothing":                  {},
			"a subject of any kind":    {csr: x509.CertificateRequest{Subject: pkix.Name{CommonName: "directory-cli", Organization: []string{"Another"}}}},
			"the URL as a URL":         {csr: x509.CertificateRequest{URIs: []*url.URL{good}}},
			"the URL as a host":        {csr: x509.CertificateRequest{DNSNames: []string{app1}}},
			"the handle":               {csr: x509.CertificateRequest{DNSNames: []string{handle1}}},
			"roles that are asked for": {csr: x509.CertificateRequest{ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 62329, 1, 1}, Value: []byte{0x30, 0}}}}},
			"another URL":              {csr: x509.CertificateRequest{URIs: []*url.URL{bad}}, want: acme.BadCSR},
			"another host":             {csr: x509.CertificateRequest{DNSNames: []string{"api.example.org"}}, want: acme.BadCSR},
			"a mail address":           {csr: x509.CertificateRequest{EmailAddresses: []string{"a@example.org"}}, want: acme.BadCSR},
			"a key of another kind":    {key: other, want: acme.BadPublicKey},
			"a signature of nobody's":  {want: acme.BadCSR},
		} {
			if c.key == nil {
				c.key = newKey(t)
			}
			der, err := x509.CreateCertificateRequest(rand.Reader, &c.csr, c.key)
			if err != nil {
				t.Fatal(err)
			}
			if name == "a signature of nobody's" {
				der[len(der)-1] ^= 1
			}
			o, err := r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns(app1)})
			if problem := (*acme.Problem)(nil); errors.As(err, &problem) && problem.Type == acme.RateLimited {
				time.Sleep(4 * 24 * time.Hour) // in the bubble
				o, err = r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns(app1)})
			}
			if err != nil {
				t.Fatal(err)
			}
			o, _, err = r.Finalize(t.Context(), a, o.ID, der)
			if c.want != "" {
				var p *acme.Problem
				if !errors.As(err, &p) || p.Type != c.want {
					t.Errorf("%s: %v, want %s", name, err, c.want)
				}
				continue
			}
			cert := r.certificateOf(o, err)
			leaf, err := x509.ParseCertificate(cert.Leaf)
			if err != nil || leaf.Subject.String() != "CN="+app1+",O=Example Company Ltd,C=GB" || len(leaf.URIs) != 1 || leaf.URIs[0].String() != app1 || len(leaf.DNSNames) != 0 ||
				!slices.Equal(cert.Holder.Roles, []string{reader}) {
				t.Errorf("%s: %s %v %+v, %v", name, leaf.Subject, leaf.URIs, cert.Holder, err)
			}
		}
	})
}

// TestRegistryAtFinalize: the registry is read again when an order is finalized.
// Fewer roles are in the certificate; with none the order is over.
func TestRegistryAtFinalize(t *testing.T) {
	w, _ := newFramework(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		ctx, operator := t.Context(), r.Operator()
		m := r.application([]string{reader, writer}, acme.IB1Client)
		a := r.applicationAccount()
		o, err := r.tryOrder(a, app1)
		if err != nil {
			t.Fatal(err)
		}
		m.Roles, m.Applications = []string{reader}, nil
		if m, err = operator.UpdateMember(ctx, m); err != nil {
			t.Fatal(err)
		}
		o, _, err = r.Finalize(ctx, a, o.ID, bareCSR(t, newKey(t)))
		if c := r.certificateOf(o, err); !slices.Equal(c.Holder.Roles, []string{reader}) {
			t.Errorf("roles %q", c.Holder.Roles)
		}
		if o, err = r.tryOrder(a, app1); err != nil {
			t.Fatal(err)
		}
		m.Roles, m.Applications = []string{elevator}, nil
		if _, err = operator.UpdateMember(ctx, m); err != nil {
			t.Fatal(err)
		}
		csr := bareCSR(t, newKey(t))
		o, _, err = r.Finalize(ctx, a, o.ID, csr)
		if err != nil || o.Status != acme.OrderInvalid || o.Problem == nil || o.Problem.Type != acme.Unauthorized {
			t.Fatalf("%s %v, %v", o.Status, o.Problem, err)
		}
		_, _, err = r.Finalize(ctx, a, o.ID, csr)
		wantProblem(t, err, acme.OrderNotReady)
		_, err = r.tryOrder(a, app1)
		wantProblem(t, err, acme.Unauthorized)
	})
}

// TestNarrowed: what the registry takes away is revoked, and nothing else.
func TestNarrowed(t *testing.T) {
	w, _ := newFramework(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		ctx, operator := t.Context(), r.Operator()
		m := r.application([]string{reader, writer}, acme.IB1Client, acme.IB1Signing)
		a := r.applicationAccount()
		client := r.certificateOf(r.obtain(a, "ib1-client", bareCSR(t, newKey(t)), app1))
		put := func(roles []string, trees ...acme.IB1Tree) {
			if _, err := operator.PutApplication(ctx, member1, acme.Application{URL: app1, Roles: roles, Trees: trees, Handle: handle1}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			time.Sleep(time.Second)
			synctest.Wait()
		}
		reason := func(c acme.Certificate) string {
			c, _, err := operator.Certificate(ctx, c.ID)
			if err != nil {
				t.Fatal(err)
			}
			if c.Revocation == nil {
				return "standing"
			}
			return fmt.Sprintf("%d by %s", c.Revocation.Reason, c.Revocation.By)
		}
		put([]string{reader}, acme.IB1Client, acme.IB1Signing)
		signing := r.certificateOf(r.obtain(a, "ib1-signing", bareCSR(t, newKey(t)), app1))
		if got := reason(client) + ", " + reason(signing); got != "9 by member, standing" {
			t.Errorf("a role was taken: %s", got)
		}
		client = r.certificateOf(r.obtain(a, "ib1-client", bareCSR(t, newKey(t)), app1))
		put([]string{reader}, acme.IB1Signing)
		if got := reason(client) + ", " + reason(signing); got != "9 by member, standing" {
			t.Errorf("a kind of certificate was taken: %s", got)
		}
		put([]string{reader, writer}, acme.IB1Client, acme.IB1Signing) // more is no reason
		m, err := operator.Member(ctx, m.ID)
		if err != nil || m.Review == nil || m.Review.DoneAt.IsZero() || m.Review.Certificates != 1 || m.Applications[0].Version != 4 || reason(signing) != "standing" {
			t.Errorf("%+v, %v", m, err)
		}
		client = r.certificateOf(r.obtain(a, "ib1-client", bareCSR(t, newKey(t)), app1))
		if _, err = operator.ImportMembers(ctx, []acme.Member{{ID: member1, Name: m.Name, Roles: []string{reader}}}, engine.ImportMode{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := reason(client) + ", " + reason(signing); got != "9 by member, standing" {
			t.Errorf("the member lost a role: %s", got)
		}
		if _, err = operator.RemoveApplication(ctx, member1, app1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := reason(signing); got != "5 by member" {
			t.Errorf("the application was removed: %s", got)
		}
		if _, err := operator.RemoveApplication(ctx, member1, app1); !errors.Is(err, engine.ErrNoSuch) {
			t.Errorf("again: %v", err)
		}
	})
}

// TestStolenLater: a key that is stolen after its certificate has ended makes
// signatures of the time before, so the lists say it for as long as there are any.
// Of other certificates and for other reasons nothing is left to say.
func TestStolenLater(t *testing.T) {
	w, ca := newFramework(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		const day = 24 * time.Hour
		ca.under(t, time.Now(), 455*day)
		r := w.start()
		defer r.end()
		ctx, operator := t.Context(), r.Operator()
		r.application([]string{reader, writer}, acme.IB1Client, acme.IB1Signing)
		a := r.applicationAccount()
		client := r.certificateOf(r.obtain(a, "ib1-client", bareCSR(t, newKey(t)), app1))
		signing := r.certificateOf(r.obtain(a, "ib1-signing", bareCSR(t, newKey(t)), app1))
		last := r.certificateOf(r.obtain(a, "ib1-signing", bareCSR(t, newKey(t)), app1))
		time.Sleep(time.Until(client.NotAfter.Add(500 * time.Millisecond)))
		if err := operator.RevokeCertificate(ctx, client.ID, acme.Superseded); err != nil {
			t.Errorf("in its last second: %v", err)
		}
		time.Sleep(10 * day)
		wantProblem(t, operator.RevokeCertificate(ctx, client.ID, acme.KeyCompromise), acme.Unauthorized)
		wantProblem(t, operator.RevokeCertificate(ctx, signing.ID, acme.Superseded), acme.Unauthorized)
		if err := operator.RevokeCertificate(ctx, signing.ID, acme.KeyCompromise); err != nil {
			t.Errorf("the key was stolen after the end: %v", err)
		}
		if c, _, err := operator.Certificate(ctx, signing.ID); err != nil || c.Revocation == nil || c.Revocation.Reason != acme.KeyCompromise {
			t.Errorf("%+v, %v", c.Revocation, err)
		}
		time.Sleep(100 * day) // its issuer signs no lists any more
		wantProblem(t, operator.RevokeCertificate(ctx, last.ID, acme.KeyCompromise), acme.Unauthorized)
	})
}

// TestOutdated: when the registry says something else of a holder, the renewal of
// what says it otherwise is pulled forward, and that of what replaces it is not.
func TestOutdated(t *testing.T) {
	w, _ := newFramework(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		ctx, operator := t.Context(), r.Operator()
		m := r.application([]string{reader}, acme.IB1Client)
		a := r.applicationAccount()
		source := func(c acme.Certificate) acme.RenewalSource {
			s := r.renewal(c)
			if s.Source == acme.RenewalByRegistry && s.Window.End.After(time.Now()) {
				t.Errorf("its window is %v, which is not over", s.Window)
			}
			return s.Source
		}
		change := func(what func(*acme.Member)) {
			time.Sleep(time.Hour)
			var err error
			if m, err = operator.Member(ctx, member1); err != nil {
				t.Fatal(err)
			}
			m.Applications = slices.Clone(m.Applications)
			what(&m)
			if _, err = operator.UpdateMember(ctx, m); err != nil {
				t.Fatal(err)
			}
		}
		obtain := func() acme.Certificate {
			return r.certificateOf(r.obtain(a, "ib1-client", bareCSR(t, newKey(t)), app1))
		}
		first := obtain()
		change(func(m *acme.Member) { m.Identifiers = []string{"other.example.org"} })
		if got := source(first); got != acme.RenewalUsual {
			t.Errorf("nothing of it has changed: %s", got)
		}
		change(func(m *acme.Member) { m.Name = "Renamed Company Ltd" })
		second := obtain()
		if got := source(first) + ", " + source(second); got != "registry, usual" {
			t.Errorf("another name: %s", got)
		}
		change(func(m *acme.Member) { m.Applications[0].Roles = []string{reader, writer} })
		if got := source(second) + ", " + source(obtain()); got != "registry, usual" {
			t.Errorf("another role: %s", got)
		}
	})
}

// TestOneKeyOneTree: a key has certificates of one tree and one application, and
// may be used again there.
func TestOneKeyOneTree(t *testing.T) {
	w, _ := newFramework(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		ctx := t.Context()
		r.application([]string{reader}, acme.IB1Client, acme.IB1Signing, acme.IB1Server)
		a := r.applicationAccount()
		key := newKey(t)
		first := r.certificateOf(r.obtain(a, "ib1-client", bareCSR(t, key), app1))
		r.certificateOf(r.obtain(a, "ib1-client", csrFor(t, key, handle1), handle1))
		_, err := r.obtain(a, "ib1-signing", bareCSR(t, key), app1)
		wantProblem(t, err, acme.BadPublicKey)

		// Neither has it a certificate for hosts.
		o, err := r.NewOrder(ctx, a, engine.OrderRequest{Identifiers: dns("api.example.org"), Profile: "ib1-server"})
		if err != nil || o.Status != acme.OrderPending {
			t.Fatalf("%s, %v", o.Status, err)
		}
		r.prove(a, o)
		_, _, err = r.Finalize(ctx, a, o.ID, csrFor(t, key, "api.example.org"))
		wantProblem(t, err, acme.BadPublicKey)
		o, _, err = r.Finalize(ctx, a, o.ID, csrFor(t, newKey(t), "api.example.org"))
		if c := r.certificateOf(o, err); c.Holder == nil || c.Holder.Tree != acme.IB1Server {
			t.Errorf("%+v", c.Holder)
		}
		_, err = r.NewOrder(ctx, a, engine.OrderRequest{Identifiers: dns("b.example.org"), Profile: "ib1-server"})
		wantProblem(t, err, acme.RejectedIdentifier) // not registered

		// A key that was compromised has none ever again.
		if err := r.Operator().RevokeCertificate(ctx, first.ID, acme.KeyCompromise); err != nil {
			t.Fatal(err)
		}
		time.Sleep(4 * 24 * time.Hour)
		_, err = r.obtain(a, "ib1-client", bareCSR(t, key), app1)
		wantProblem(t, err, acme.BadPublicKey)
		if err := r.Operator().RevokeCertificate(ctx, first.ID, acme.CertificateHold); err == nil {
			t.Error("a reason that no list may have")
		}
	})
}

// TestReissues: whoever orders again with every run is told to wait.
func TestReissues(t *testing.T) {
	w, _ := newFramework(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		r.application([]string{reader}, acme.IB1Client, acme.IB1Signing)
		a, b := r.applicationAccount(), r.applicationAccount()
		for i, name := range []string{app1, handle1, app1} { // however it is called, and by whichever account
			r.certificateOf(r.obtain([]acme.Account{a, b}[i%2], "ib1-client", bareCSR(t, newKey(t)), name))
		}
		_, err := r.obtain(b, "ib1-client", bareCSR(t, newKey(t)), handle1)
		if p := problemOf(t, err, acme.RateLimited); p.RetryAfter <= 2*24*time.Hour || p.RetryAfter > 3*24*time.Hour {
			t.Errorf("Retry-After %s", p.RetryAfter)
		}
		r.certificateOf(r.obtain(a, "ib1-signing", bareCSR(t, newKey(t)), app1)) // another kind counts by itself
		time.Sleep(3*24*time.Hour + time.Second)
		r.certificateOf(r.obtain(a, "ib1-client", bareCSR(t, newKey(t)), app1))
	})
}

// TestFrameworkGate: nothing but what the registry says is delivered (D10).
func TestFrameworkGate(t *testing.T) {
	for name, lie := range map[string]func(*x509.Certificate){
		"another organization":  func(c *x509.Certificate) { c.Subject.Organization = []string{"Another"} },
		"a locality":            func(c *x509.Certificate) { c.Subject.Locality = []string{"London"} },
		"another application":   func(c *x509.Certificate) { c.Subject.CommonName = member1 },
		"a second name":         func(c *x509.Certificate) { c.DNSNames = []string{handle1} },
		"no roles":              func(c *x509.Certificate) { c.ExtraExtensions = c.ExtraExtensions[1:] },
		"no member":             func(c *x509.Certificate) { c.ExtraExtensions = c.ExtraExtensions[:1] },
		"roles of another form": func(c *x509.Certificate) { c.ExtraExtensions[0].Value = []byte{0x30, 0} },
		"a critical extension":  func(c *x509.Certificate) { c.ExtraExtensions[1].Critical = true },
		"a usage more":          func(c *x509.Certificate) { c.ExtKeyUsage = append(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth) },
		"a key usage more":      func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageContentCommitment },
	} {
		t.Run(name, func(t *testing.T) {
			w, ca := newFramework(t)
			ca.lie = lie
			synctest.Test(t, func(t *testing.T) {
				w.t = t
				r := w.start()
				defer r.end()
				r.application([]string{reader}, acme.IB1Client)
				o, err := r.obtain(r.applicationAccount(), "ib1-client", bareCSR(t, newKey(t)), app1)
				if err != nil || o.Status != acme.OrderInvalid || o.Problem.Type != acme.ServerInternal {
					t.Errorf("%s %v, %v", o.Status, o.Problem, err)
				}
			})
		})
	}
}

// TestBoundToNothing: a key that could get no certificate is refused when it is
// made.
func TestBoundToNothing(t *testing.T) {
	w, _ := newFramework(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		r.application([]string{reader}, acme.IB1Client)
		for _, n := range []engine.NewExternalKey{
			{Directory: "members", Member: member1, Application: "https://directory.example.org/a/2"},
			{Directory: "members", Member: "https://directory.example.org/m/2", Application: app1},
			{Directory: "members", Member: member1, Application: app1, Profiles: []acme.ProfileName{"ib1-signing"}},
			{Directory: "default", Member: member1, Application: app1},
		} {
			if _, _, err := r.Operator().CreateExternalKey(t.Context(), n); err == nil {
				t.Errorf("%+v was made", n)
			}
		}
		// The URL of an application is one member's.
		other := acme.Member{ID: "https://directory.example.org/m/2", Name: "Other", Country: "GB", Roles: []string{reader}, Applications: []acme.Application{{URL: app1, Roles: []string{reader}, Trees: []acme.IB1Tree{acme.IB1Client}}}}
		if _, err := r.Operator().CreateMember(t.Context(), other); err == nil {
			t.Error("an application of two members")
		}
		if _, err := r.Operator().ImportMembers(t.Context(), []acme.Member{other}, engine.ImportMode{}); err == nil {
			t.Error("an application of two members was imported")
		}
		if _, err := r.Operator().FreezeMember(t.Context(), member1, engine.Measures{Revoke: true, RevocationReason: acme.CertificateHold}); err == nil {
			t.Error("a reason that no list may have")
		}
	})
}

// TestReviewSurvivesThaw: a walk that a freeze has interrupted is not forgotten.
func TestReviewSurvivesThaw(t *testing.T) {
	w, _ := newFramework(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		r.application([]string{reader, writer}, acme.IB1Client)
		c := r.certificateOf(r.obtain(r.applicationAccount(), "ib1-client", bareCSR(t, newKey(t)), app1))
		r.end()
		// A run that was cut short: the record says less, and nobody has walked.
		idle := w.start()
		operator := idle.Operator()
		idle.end()
		if _, err := operator.PutApplication(t.Context(), member1, acme.Application{URL: app1, Roles: []string{reader}, Trees: []acme.IB1Tree{acme.IB1Client}}); err != nil {
			t.Fatal(err)
		}
		if _, err := operator.FreezeMember(t.Context(), member1, engine.Measures{}); err != nil {
			t.Fatal(err)
		}
		if _, err := operator.ThawMember(t.Context(), member1, ""); err != nil {
			t.Fatal(err)
		}
		r = w.start()
		defer r.end()
		time.Sleep(time.Minute)
		synctest.Wait()
		var stored acme.Certificate
		err := w.store.View(t.Context(), func(tx storage.Tx) (err error) {
			stored, err = tx.Certificates().Get(c.ID)
			return err
		})
		if err != nil || stored.Revocation == nil || stored.Revocation.Reason != acme.PrivilegeWithdrawn {
			t.Errorf("%+v, %v", stored.Revocation, err)
		}
	})
}

// TestNotices: what ends soon is listed unless something has taken its place,
// with or without replaces.
func TestNotices(t *testing.T) {
	w, _ := newFramework(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		notices := func() (all []acme.CertificateID) {
			certs, _, err := r.Operator().Notices(t.Context(), 30*24*time.Hour, storage.Page{})
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range certs {
				all = append(all, c.ID)
			}
			return all
		}
		r.application([]string{reader}, acme.IB1Client, acme.IB1Signing)
		a := r.applicationAccount()
		first := r.certificateOf(r.obtain(a, "ib1-client", bareCSR(t, newKey(t)), handle1))
		time.Sleep(time.Minute)
		other := r.certificateOf(r.obtain(a, "ib1-signing", bareCSR(t, newKey(t)), app1))
		if got := notices(); len(got) != 0 {
			t.Errorf("at once: %v", got)
		}
		time.Sleep(340 * 24 * time.Hour)
		if got := notices(); !slices.Equal(got, []acme.CertificateID{first.ID, other.ID}) {
			t.Errorf("before the end: %v", got)
		}
		second := r.certificateOf(r.obtain(a, "ib1-client", bareCSR(t, newKey(t)), app1)) // under another name
		if got := notices(); !slices.Equal(got, []acme.CertificateID{other.ID}) {
			t.Errorf("with a new one: %v", got)
		}
		if err := r.Operator().RevokeCertificate(t.Context(), other.ID, acme.Superseded); err != nil {
			t.Fatal(err)
		}
		if got := notices(); len(got) != 0 {
			t.Errorf("revoked: %v", got)
		}
		revoke := func(id acme.CertificateID) {
			if err := r.Operator().RevokeCertificate(t.Context(), id, acme.KeyCompromise); err != nil {
				t.Fatal(err)
			}
		}
		revoke(second.ID)
		if got := notices(); !slices.Equal(got, []acme.CertificateID{first.ID}) {
			t.Errorf("with the new one revoked: %v", got)
		}
		replace := func(c acme.Certificate) acme.Order {
			o, err := r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns(handle1), Profile: "ib1-client", Replaces: certIDOf(c)})
			if err != nil {
				t.Fatal(err)
			}
			return o
		}
		finalize := func(o acme.Order) acme.Certificate {
			o, _, err := r.Finalize(t.Context(), a, o.ID, bareCSR(t, newKey(t)))
			return r.certificateOf(o, err)
		}
		third := finalize(replace(first))
		if got := notices(); len(got) != 0 {
			t.Errorf("replaced: %v", got)
		}
		revoke(third.ID)
		if got := notices(); !slices.Equal(got, []acme.CertificateID{first.ID}) {
			t.Errorf("with the replacement revoked: %v", got)
		}
		on := replace(third)
		if got := notices(); len(got) != 0 {
			t.Errorf("with another on its way: %v", got)
		}
		revoke(finalize(on).ID)
		if got := notices(); !slices.Equal(got, []acme.CertificateID{first.ID}) {
			t.Errorf("with that revoked as well: %v", got)
		}
		if _, err := r.Operator().RemoveMember(t.Context(), member1, engine.Measures{}); err != nil {
			t.Fatal(err)
		}
		if got := notices(); len(got) != 0 {
			t.Errorf("of a member that was removed: %v", got)
		}
	})
}

// TestFrameworkHosts: what is at no host of the framework is refused when it is
// entered, and gets no certificate when it was entered before.
func TestFrameworkHosts(t *testing.T) {
	w, _ := newFramework(t)
	free := w.change
	limit := func(hosts ...string) func(*engine.Config) {
		return func(c *engine.Config) {
			free(c)
			for name, p := range c.Profiles {
				if p.IB1.Tree != "" {
					p.IB1.Hosts = hosts
					c.Profiles[name] = p
				}
			}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		ctx := t.Context()
		w.change = limit("directory.example.org", "registry.example.org")
		r := w.start()
		m := r.application([]string{reader}, acme.IB1Client)
		a := r.applicationAccount()
		r.certificateOf(r.obtain(a, "ib1-client", bareCSR(t, newKey(t)), app1))
		const foreign = "https://registry.example.net/role/reader"
		with := func(what func(*acme.Member)) acme.Member {
			m := m
			m.Roles, m.Applications = slices.Clone(m.Roles), slices.Clone(m.Applications)
			what(&m)
			return m
		}
		app := acme.Application{URL: "https://directory.example.net/a/1", Roles: []string{reader}, Trees: []acme.IB1Tree{acme.IB1Client}}
		for what, err := range map[string]error{
			"a role":         second(r.Operator().UpdateMember(ctx, with(func(m *acme.Member) { m.Roles = append(m.Roles, foreign) }))),
			"a claim":        second(r.Operator().UpdateMember(ctx, with(func(m *acme.Member) { m.Applications[0].Roles = []string{foreign} }))),
			"a port":         second(r.Operator().UpdateMember(ctx, with(func(m *acme.Member) { m.Roles = []string{"https://registry.example.org:444/role/reader"} }))),
			"an application": second(r.Operator().PutApplication(ctx, member1, app)),
			"a list":         second(r.Operator().ImportApplications(ctx, []engine.ApplicationOf{{Member: member1, Application: app}}, engine.ImportMode{})),
			"an import":      second(r.Operator().ImportMembers(ctx, []acme.Member{with(func(m *acme.Member) { m.Roles = []string{foreign} })}, engine.ImportMode{})),
			"a new member":   second(r.Operator().CreateMember(ctx, acme.Member{ID: "https://directory.example.org/m/2", Roles: []string{foreign}})),
		} {
			if err == nil || !strings.Contains(err.Error(), "is at no host of the framework") {
				t.Errorf("%s: %v", what, err)
			}
		}
		r.end()
		w.change = limit("directory.example.org")
		r = w.start()
		defer r.end()
		var p *acme.Problem
		if _, err := r.obtain(a, "ib1-client", bareCSR(t, newKey(t)), app1); !errors.As(err, &p) || p.Type != acme.Unauthorized {
			t.Errorf("entered before: %v", err)
		}
	})
}
