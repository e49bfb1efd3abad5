package server_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/server"
	"acmebridge/acme/server/servertest"
	"acmebridge/internal/ratelimit"
)

// limited starts a server with limits whose clock the test moves.
func limited(t *testing.T, l server.Limits, more ...func(*engine.Config)) (*front, *clock) {
	t.Helper()
	now := &clock{}
	l.Help = "https://limits.example/help"
	return start(t, servertest.Options{
		Server: func(c *server.Config) { c.Limits, c.Now = l, now.now },
		Engine: func(c *engine.Config) {
			c.Now = now.now
			for _, change := range more {
				change(c)
			}
		},
	}), now
}

// wantRateLimited checks what every refusal by a limit has (R8555-6.6-1 to -4)
// and that its Retry-After is the truth: after it the same request passes, and
// two seconds before it does not.
func wantRateLimited(t *testing.T, now *clock, says string, again func() reply) {
	t.Helper()
	r := again()
	p := wantProblem(t, r, http.StatusTooManyRequests, acme.RateLimited)
	if !strings.Contains(p.Detail, says) || !strings.Contains(p.Detail, "try again after 20") {
		t.Errorf("the detail is %q, without %q", p.Detail, says)
	}
	if !strings.Contains(strings.Join(r.header.Values("Link"), "\n"), `<https://limits.example/help>;rel="help"`) {
		t.Errorf("no link to help in %q", r.header.Values("Link"))
	}
	wait, err := strconv.Atoi(r.header.Get("Retry-After"))
	if err != nil || wait < 1 {
		t.Fatalf("Retry-After is %q", r.header.Get("Retry-After"))
	}
	if wait > 2 {
		now.advance(time.Duration(wait-2) * time.Second)
		wantProblem(t, again(), http.StatusTooManyRequests, acme.RateLimited)
	}
	now.advance(2 * time.Second)
	if r := again(); r.status >= 400 {
		t.Errorf("after the wait that was named: %d %s", r.status, r.body)
	}
}

// from registers a new key from an address.
func (f *front) from(t *testing.T, remote, payload string) reply {
	t.Helper()
	c := f.client(t, "default")
	r := post(c.url["newAccount"], c.withKey(t, c.url["newAccount"], payload))
	r.remote = remote
	return f.do(t, r)
}

// TestNewAccountsOfAnAddress: an address, or a /64, makes so many accounts, and
// so does a /48. What is found or refused does not count (SL-19, SL-40).
func TestNewAccountsOfAnAddress(t *testing.T) {
	t.Parallel()
	f, now := limited(t, server.Limits{NewAccounts: ratelimit.Rate{Count: 2, Per: time.Hour}, NetworkAccounts: ratelimit.Rate{Count: 5, Per: time.Hour}})
	create := func(remote string, status int) {
		t.Helper()
		if r := f.from(t, remote, `{}`); r.status != status {
			t.Errorf("from %s: %d %s, want %d", remote, r.status, r.body, status)
		}
	}
	const here = "203.0.113.7:1"
	known := f.client(t, "default")
	register := func(payload string) reply {
		r := post(known.url["newAccount"], known.withKey(t, known.url["newAccount"], payload))
		r.remote = here
		return f.do(t, r)
	}
	for range 3 {
		wantProblem(t, f.from(t, here, `{"onlyReturnExisting":true}`), http.StatusBadRequest, acme.AccountDoesNotExist)
		wantProblem(t, f.from(t, here, `{"contact":["nonsense"]}`), http.StatusBadRequest, acme.InvalidContact)
	}
	if r := register(`{}`); r.status != http.StatusCreated {
		t.Fatal(r.status, string(r.body))
	}
	create(here, http.StatusCreated)
	wantRateLimited(t, now, "from your address: the limit is 2 in 1h", func() reply { return f.from(t, here, `{}`) })
	for range 5 { // X-Road asks for its account on every renewal
		if r := register(`{}`); r.status != http.StatusOK {
			t.Errorf("an account that exists: %d %s", r.status, r.body)
		}
	}
	create("203.0.113.8:1", http.StatusCreated)
	for i := range 2 {
		create(fmt.Sprintf("[2001:db8:1:1::%d]:1", i), http.StatusCreated)
		create(fmt.Sprintf("[2001:db8:1:2::%d]:1", i), http.StatusCreated)
	}
	create("[2001:db8:1:1::ffff]:1", http.StatusTooManyRequests)
	create("[2001:db8:1:3::1]:1", http.StatusCreated)
	create("[2001:db8:1:4::1]:1", http.StatusTooManyRequests) // the /48 has its five
	create("[2001:db8:2::1]:1", http.StatusCreated)
	if n := f.Front.Limited(); n["new_accounts"] != 3 || n["network_accounts"] != 1 {
		t.Errorf("counted %v", n)
	}
}

// TestExternalKeyFailures: an address that tries bindings which are not
// accepted has to stop, for a while and with bindings only (SL-26).
func TestExternalKeyFailures(t *testing.T) {
	t.Parallel()
	f, now := limited(t, server.Limits{ExternalKeyFailures: ratelimit.Rate{Count: 2, Per: 10 * time.Minute}})
	k, mac, err := f.Engine.Operator().CreateExternalKey(t.Context(), engine.NewExternalKey{Directory: "eab", Member: "m", Uses: 0})
	if err != nil {
		t.Fatal(err)
	}
	bind := func(kid string) reply {
		c := f.client(t, "eab")
		url := c.url["newAccount"]
		r := post(url, c.withKey(t, url, `{"externalAccountBinding":`+bindingOf(t, c, kid, mac)+`}`))
		r.remote = "203.0.113.9:1"
		return f.do(t, r)
	}
	wantProblem(t, bind("guess-1"), http.StatusForbidden, acme.Unauthorized)
	wantProblem(t, bind("guess-2"), http.StatusForbidden, acme.Unauthorized)
	if r := f.from(t, "203.0.113.9:1", `{}`); r.status != http.StatusCreated {
		t.Errorf("without a binding: %d %s", r.status, r.body)
	}
	wantRateLimited(t, now, "external account bindings", func() reply { return bind(string(k.ID)) })
	for range 3 { // what is accepted does not count
		if r := bind(string(k.ID)); r.status != http.StatusCreated {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
}

// TestPolls: one order is looked at so often, another one and everything else
// are not concerned (SL-25).
func TestPolls(t *testing.T) {
	t.Parallel()
	f, now := limited(t, server.Limits{Polls: ratelimit.Rate{Count: 3, Per: 30 * time.Second}})
	c := f.registered(t, "default")
	one, two := c.newOrder(t, "a.localhost"), c.newOrder(t, "b.localhost")
	look := func(o order) reply { return c.post(t, o.url, "") }
	for range 3 {
		if r := look(one); r.status != http.StatusOK {
			t.Fatalf("%d %s", r.status, r.body)
		}
	}
	wantRateLimited(t, now, "3 in 30s", func() reply { return look(one) })
	if r := look(two); r.status != http.StatusOK {
		t.Errorf("another order: %d", r.status)
	}
	for range 10 {
		if r := c.post(t, one.Authorizations[0], ""); r.status != http.StatusOK {
			t.Errorf("the authorization: %d", r.status)
		}
	}
	// A stranger's looks are not the owner's.
	stranger := f.registered(t, "default")
	for range 3 {
		wantProblem(t, stranger.post(t, two.url, ""), http.StatusNotFound, acme.Malformed)
	}
	if r := look(two); r.status != http.StatusOK {
		t.Errorf("after a stranger looked: %d", r.status)
	}
}

// TestRequestsOfAnAddress: everything counts, even what needs no signature, and
// it is refused before anything is read (R9773-6-1).
func TestRequestsOfAnAddress(t *testing.T) {
	t.Parallel()
	f, now := limited(t, server.Limits{Requests: ratelimit.Rate{Count: 4, Per: time.Minute}})
	url := f.DirectoryURL("default")
	from := func(remote string) reply {
		r := get(url)
		r.remote = remote
		return f.do(t, r)
	}
	for range 4 {
		if r := from("203.0.113.7:1"); r.status != http.StatusOK {
			t.Fatal(r.status)
		}
	}
	r := post(url, []byte("no JSON"))
	r.remote = "203.0.113.7:2"
	wantProblem(t, f.do(t, r), http.StatusTooManyRequests, acme.RateLimited)
	wantRateLimited(t, now, "4 in 1m", func() reply { return from("203.0.113.7:1") })
	if r := from("203.0.113.8:1"); r.status != http.StatusOK {
		t.Errorf("another address: %d", r.status)
	}
}

// TestLimitsOfAccounts: the refusals of the engine look like those of the front.
func TestLimitsOfAccounts(t *testing.T) {
	t.Parallel()
	f, now := limited(t, server.Limits{}, func(c *engine.Config) {
		c.Limits = engine.Limits{NewOrders: ratelimit.Rate{Count: 2, Per: time.Hour}}
	})
	c := f.registered(t, "default")
	c.newOrder(t, "a.localhost")
	c.newOrder(t, "a.localhost")
	wantRateLimited(t, now, "your account placed too many orders: the limit is 2 in 1h", func() reply {
		return c.post(t, c.url["newOrder"], orderFor("a.localhost"))
	})
}

// TestCrowd: when too many requests wait for their signatures to be checked,
// new orders are put off before anything is spent on them, then new accounts;
// who only waits gets an answer in the end (SL-45).
func TestCrowd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := still(t)
		c := f.registered(t, "default")
		release := f.Front.OccupySignatureChecks()
		answers := make(chan reply, 2000)
		wait := func(n int) {
			for range n {
				go func() { answers <- f.do(t, post(c.kid, c.withAccount(t, c.kid, ""))) }()
			}
			synctest.Wait()
		}
		newOrder := func() reply { return c.post(t, c.url["newOrder"], orderFor("a.localhost")) }
		newcomer := f.client(t, "default")
		wait(2*256 - 1)
		if len(answers) > 0 {
			t.Fatal("a signature was checked without a slot")
		}
		wait(1)
		p := newOrder()
		wantProblem(t, p, http.StatusServiceUnavailable, acme.ServerInternal)
		if p.header.Get("Retry-After") != "10" || p.header.Get("Replay-Nonce") == "" {
			t.Errorf("headers %v", p.header)
		}
		go func() { answers <- newcomer.register(t, `{}`) }() // not yet
		wait(2*256 - 1)
		if len(answers) > 0 {
			t.Fatal("a new account was put off with the orders")
		}
		newcomer = f.client(t, "default")
		wantProblem(t, newcomer.register(t, `{}`), http.StatusServiceUnavailable, acme.ServerInternal)
		// Revocations, finalizations and reads wait like everybody.
		go func() { answers <- c.post(t, c.url["revokeCert"], `{}`) }()
		synctest.Wait()
		if len(answers) > 0 {
			t.Error("a revocation was put off")
		}
		release()
		for range 4*256 + 1 {
			if r := <-answers; r.status != http.StatusOK && r.status != http.StatusCreated && r.status != http.StatusBadRequest {
				t.Fatalf("%d %s", r.status, r.body)
			}
		}
		if r := newOrder(); r.status != http.StatusCreated {
			t.Errorf("afterwards: %d %s", r.status, r.body)
		}
		if n := f.Front.Shed(); n != 2 {
			t.Errorf("%d were counted", n)
		}
	})
}
