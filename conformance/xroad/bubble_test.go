package xroad_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/nonce"
	"acmebridge/acme/server"
	"acmebridge/backends"
	"acmebridge/backends/localca"
	"acmebridge/challenges"
	"acmebridge/conformance/xroad"
	"acmebridge/storage/memory"
)

// bubble is a server in this process, with a clock that stands still while
// anybody works and jumps when everybody waits. There is no network in it: requests
// and validations are calls. It is for what takes hours.
type bubble struct {
	takes      time.Duration // what the CA needs for a certificate
	retryAfter time.Duration // of the profiles
	proving    time.Duration // what a validation needs
	plain      bool          // directories are sent without nonce and max-age
}

// inBubble runs a test there.
func inBubble(t *testing.T, b bubble, test func(*testing.T, *site)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		authority, err := localca.Open(localca.Config{Dir: dir, Name: "ca"})
		if err != nil {
			t.Fatal(err)
		}
		answers := &xroad.Challenges{}
		auth := acme.Profile{
			Name: "xroad-auth", Backend: "ca", Authorization: acme.AuthorizeByChallenge, Challenges: []acme.ChallengeType{acme.HTTP01},
			Identifiers: acme.IdentifierPolicy{SingleLabel: true, Max: 1}, Usages: []acme.Usage{acme.ClientAuth}, Validity: 365 * 24 * time.Hour,
			Dates: acme.DatesUpperBound, LenientReplaces: true, RetryAfter: b.retryAfter, OrderLifetime: 7 * 24 * time.Hour,
			AuthorizationLifetime: 30 * 24 * time.Hour, Hold: 3 * time.Second, IssuanceDeadline: 7 * 24 * time.Hour,
			XRoad: acme.XRoadRule{Usage: acme.XRoadAuth, Subject: acme.XRoadBasic},
		}
		sign := auth
		sign.Name, sign.XRoad.Usage, sign.Usages = "xroad-sign", acme.XRoadSign, nil
		ca := &slowCA{ca: authority, takes: b.takes}
		var front *server.Server
		work, err := engine.New(engine.Config{
			Store: memory.New(), Sealer: unsealed{}, Holder: rand.Text(), Backends: map[string]backends.Backend{"ca": ca},
			Validators: []challenges.Validator{visit{answers, b.proving}}, AccountURL: func(a acme.Account) string { return front.AccountURL(a) },
			Profiles: map[acme.ProfileName]acme.Profile{auth.Name: auth, sign.Name: sign},
			Directories: []acme.Directory{{
				Name: "xroad", Path: "/xroad/directory", ExternalAccount: acme.ExternalAccountMandatory,
				Profiles: []acme.ProfileName{auth.Name, sign.Name}, PlainContacts: true, FixedKeys: true,
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		nonces, err := nonce.New(nonce.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if front, err = server.New(server.Config{Engine: work, Nonces: nonces, BaseURL: "https://bridge.test"}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- work.Run(ctx) }()
		<-work.Started()
		test(t, &site{
			directory:  func(name string) string { return front.DirectoryURL(acme.DirectoryName(name)) },
			client:     &http.Client{Transport: direct{front.Handler(), b.plain}},
			challenges: answers, asked: ca.count,
			credential: func(t testing.TB, directory, of string, profiles ...string) xroad.Credential {
				t.Helper()
				n := engine.NewExternalKey{Directory: acme.DirectoryName(directory), Member: acme.MemberID(of)}
				for _, p := range profiles {
					n.Profiles = append(n.Profiles, acme.ProfileName(p))
				}
				k, mac, err := work.Operator().CreateExternalKey(t.Context(), n)
				if err != nil {
					t.Fatal(err)
				}
				return xroad.Credential{KID: string(k.ID), MAC: mac}
			},
		})
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// direct carries requests to a handler. As on any network, an answer that takes
// longer than the client waits does not arrive.
type direct struct {
	http.Handler
	plain bool
}

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	at := httptest.NewRequest(r.Method, r.URL.String(), r.Body).WithContext(r.Context())
	at.Header, at.ContentLength = r.Header.Clone(), r.ContentLength
	answer := httptest.NewRecorder()
	d.ServeHTTP(answer, at)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	got := answer.Result()
	got.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	if d.plain && r.Method == http.MethodGet {
		got.Header.Del("Replay-Nonce")
		got.Header.Del("Cache-Control")
	}
	got.Request = r
	return got, nil
}

// visit is http-01 without a network.
type visit struct {
	at    *xroad.Challenges
	takes time.Duration
}

func (visit) Type() acme.ChallengeType { return acme.HTTP01 }

func (v visit) Validate(_ context.Context, t challenges.Target) acme.Outcome {
	time.Sleep(v.takes)
	answer := httptest.NewRecorder()
	v.at.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "http://"+t.Identifier.Value+"/.well-known/acme-challenge/"+t.Token, nil))
	if answer.Code != http.StatusOK || answer.Body.String() != t.KeyAuthorization {
		return acme.Outcome{Problem: acme.Problemf(acme.Unauthorized, "http-01: another text, with status %d", answer.Code)}
	}
	return acme.Outcome{Valid: true}
}

// slowCA issues when its time has passed.
type slowCA struct {
	ca    *localca.CA
	takes time.Duration

	mu    sync.Mutex
	asked []backends.Request
}

func (*slowCA) Traits() backends.Traits { return backends.Traits{HonoursNotAfter: true, Private: true} }

func (c *slowCA) Roots() [][]byte         { return c.ca.Roots() }
func (c *slowCA) Intermediates() [][]byte { return c.ca.Intermediates() }

func (c *slowCA) Submit(_ context.Context, r backends.Request) (backends.Ticket, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, r)
	return backends.Ticket(fmt.Sprint(len(c.asked) - 1)), nil
}

func (c *slowCA) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.asked)
}

func (c *slowCA) Poll(_ context.Context, t backends.Ticket) (backends.Result, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var n int
	if _, err := fmt.Sscan(string(t), &n); err != nil || n >= len(c.asked) {
		return backends.Result{}, errors.New("nobody has asked for that")
	}
	if time.Since(c.asked[n].At) < c.takes {
		return backends.Result{}, nil
	}
	chain, err := c.ca.Issue(c.asked[n])
	return backends.Result{Chain: chain}, err
}

// unsealed keeps secrets in the clear: they die with the test.
type unsealed struct{}

func (unsealed) Seal(b, _ []byte) ([]byte, error) { return b, nil }
func (unsealed) Open(b, _ []byte) ([]byte, error) { return b, nil }
