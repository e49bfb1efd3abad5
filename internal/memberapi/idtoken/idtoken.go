// Package idtoken knows the people of members by the ID tokens of an OpenID
// Connect provider: the ones that a login gives to a command line or a web page,
// shown as bearer tokens.
package idtoken

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"acmebridge/acme"
	"acmebridge/internal/memberapi"
)

// Config says whose tokens are accepted. All but Now are required: a provider
// usually knows many people who are nobody here.
type Config struct {
	// Issuer is the URL of the provider, and Audience the client that tokens
	// have to be for. Both have to be exactly those (SA-8).
	Issuer, Audience string
	// MemberClaim is the claim with the member that a person may act for, or a
	// list of them, and NameClaim the one with a name for records.
	MemberClaim, NameClaim string
	// Dial is the only way to the provider, whose certificate has to lead to one
	// of RootCAs; those of the system when it is nil.
	Dial    func(ctx context.Context, network, address string) (net.Conn, error)
	RootCAs *x509.CertPool
	Now     func() time.Time
}

// Provider accepts the ID tokens of one provider. It asks for its keys when they
// are first needed, so a provider that is away keeps no server from starting.
type Provider struct {
	cfg    Config
	web    web
	broken atomic.Int64 // requests to the provider that failed

	mu       sync.Mutex
	verifier *oidc.IDTokenVerifier // guarded by mu, like the rest
	asking   *inquiry              // nil while nobody asks the provider
	again    time.Time             // when to ask once more after a failure
}

// algorithms are those with a public key, by which nobody but the provider can
// sign.
var algorithms = []string{oidc.RS256, oidc.PS256, oidc.ES256, oidc.ES384, oidc.EdDSA}

// New returns a provider.
func New(cfg Config) (*Provider, error) {
	for what, value := range map[string]string{"issuer": cfg.Issuer, "audience": cfg.Audience, "claim with members": cfg.MemberClaim, "claim with names": cfg.NameClaim} {
		if value == "" {
			return nil, fmt.Errorf("idtoken: no %s", what)
		}
	}
	if cfg.Dial == nil {
		return nil, errors.New("idtoken: no way to the provider")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	p := &Provider{cfg: cfg}
	p.web = newWeb(cfg, &p.broken)
	return p, nil
}

// Identify implements memberapi.Identities.
func (p *Provider) Identify(ctx context.Context, bearer string) (memberapi.Identity, error) {
	if strings.Count(bearer, ".") != 2 || len(bearer) > 16<<10 {
		return memberapi.Identity{}, fmt.Errorf("%w: it is no ID token", memberapi.ErrUnknown)
	}
	verifier, err := p.ready(ctx)
	if err != nil {
		return memberapi.Identity{}, err
	}
	before := p.broken.Load()
	token, err := verifier.Verify(ctx, bearer)
	if err != nil && (p.broken.Load() != before || ctx.Err() != nil) {
		return memberapi.Identity{}, errors.Join(away(), err)
	}
	if err != nil {
		return memberapi.Identity{}, fmt.Errorf("%w: %w", memberapi.ErrUnknown, err)
	}
	var claims map[string]json.RawMessage
	if err := token.Claims(&claims); err != nil {
		return memberapi.Identity{}, fmt.Errorf("%w: %w", memberapi.ErrUnknown, err)
	}
	members, err := texts(claims[p.cfg.MemberClaim])
	if err != nil || len(members) == 0 {
		return memberapi.Identity{}, fmt.Errorf("%w: its claim %s names no member", memberapi.ErrUnknown, p.cfg.MemberClaim)
	}
	id := memberapi.Identity{Name: token.Subject}
	if names, err := texts(claims[p.cfg.NameClaim]); err == nil && len(names) == 1 {
		id.Name = names[0]
	}
	if id.Name = plain(id.Name); id.Name == "" {
		return memberapi.Identity{}, fmt.Errorf("%w: it does not say whose it is", memberapi.ErrUnknown)
	}
	for _, m := range members {
		id.Members = append(id.Members, acme.MemberID(m))
	}
	return id, nil
}

func away() *acme.Problem {
	return acme.Problemf(acme.ServerInternal, "the identity provider does not answer, so nobody can tell whose your token is; try again").WithStatus(http.StatusServiceUnavailable).WithRetryAfter(pause)
}

// texts reads a claim that is a text or a list of them.
func texts(claim json.RawMessage) ([]string, error) {
	var one string
	if json.Unmarshal(claim, &one) == nil {
		return slices.DeleteFunc([]string{one}, func(s string) bool { return s == "" }), nil
	}
	var many []string
	err := json.Unmarshal(claim, &many)
	return slices.DeleteFunc(many, func(s string) bool { return s == "" }), err
}

// plain makes a name fit for a record.
func plain(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, name)
	return strings.ToValidUTF8(name[:min(len(name), 100)], "")
}
