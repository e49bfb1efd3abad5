package engine_test

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/storage"
)

// TestNewAccountRace: two requests at once with one key make one account
// (R8555-7.3-9).
func TestNewAccountRace(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		request := accountRequest(t, "default", newKey(t).Public())
		var made atomic.Int32
		var ids sync.Map
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				a, created, err := r.NewAccount(t.Context(), request)
				if err != nil {
					t.Errorf("newAccount: %v", err)
				}
				if created {
					made.Add(1)
				}
				ids.Store(a.ID, true)
			})
		}
		wg.Wait()
		n := 0
		ids.Range(func(any, any) bool { n++; return true })
		if made.Load() != 1 || n != 1 {
			t.Errorf("%d accounts were made, %d were returned", made.Load(), n)
		}
		// D11: another directory has an account space of its own.
		request.Directory = "members"
		if _, _, err := r.NewAccount(t.Context(), request); err == nil {
			t.Error("the account of one directory was found in another, or made without a binding")
		}
	})
}

// bound makes a request that is bound with a key. The MAC is right when the
// secret is the one the key was created with.
func bound(t *testing.T, k acme.KeyID, secret []byte) engine.AccountRequest {
	request := accountRequest(t, "members", newKey(t).Public())
	request.Binding = &engine.Binding{KeyID: k, Raw: []byte(`{}`), Verify: func(mac []byte) *acme.Problem {
		if !bytes.Equal(mac, secret) {
			return acme.UnknownExternalKey()
		}
		return nil
	}}
	return request
}

// TestExternalKeyRace: a single-use key binds one of 64 accounts (SP-10), and
// whoever was refused has none (R8555-7.3.4-9).
func TestExternalKeyRace(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		k, secret, err := r.Operator().CreateExternalKey(t.Context(), engine.NewExternalKey{Directory: "members", Member: "m1", Uses: 1})
		if err != nil {
			t.Fatal(err)
		}
		var made, found atomic.Int32
		var wg sync.WaitGroup
		for range 64 {
			request := bound(t, k.ID, secret)
			wg.Go(func() {
				a, _, err := r.NewAccount(t.Context(), request)
				switch {
				case err == nil && a.Member != "m1":
					t.Errorf("bound to member %q", a.Member)
				case err == nil:
					made.Add(1)
				default:
					wantProblem(t, err, acme.Unauthorized)
				}
				if _, has, err := r.AccountByKey(t.Context(), "members", request.KeyHash); err != nil {
					t.Error(err)
				} else if has {
					found.Add(1)
				}
			})
		}
		wg.Wait()
		if found.Load() != made.Load() {
			t.Errorf("%d accounts are found, %d were made", found.Load(), made.Load())
		}
		if made.Load() != 1 {
			t.Errorf("a single-use key bound %d accounts", made.Load())
		}
		k, err = r.Operator().ExternalKey(t.Context(), k.ID)
		if err != nil || k.Used != 1 || k.Sealed != nil {
			t.Errorf("the key is %+v, %v: want it used once and its secret erased (SK-3)", k, err)
		}
	})
}

// lines is a log that several goroutines write.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestExternalKeyRefused: whatever is wrong, the answer is the same
// (R8555-7.3.4-11): the key is good for its directory, its time and its uses
// alone (SP-10), and no account comes of it (R8555-7.3.4-9).
func TestExternalKeyRefused(t *testing.T) {
	w := newWorld(t)
	var logged lines
	w.change = func(c *engine.Config) { c.Log = slog.New(slog.NewTextHandler(&logged, nil)) }
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		create := func(n engine.NewExternalKey) (acme.KeyID, []byte) {
			n.Member = "m1"
			k, secret, err := r.Operator().CreateExternalKey(t.Context(), n)
			if err != nil {
				t.Fatal(err)
			}
			return k.ID, secret
		}
		good, secret := create(engine.NewExternalKey{Directory: "members"})
		elsewhere, secret2 := create(engine.NewExternalKey{Directory: "default"})
		old, secret3 := create(engine.NewExternalKey{Directory: "members", Expires: time.Now().Add(time.Hour)})
		gone, secret4 := create(engine.NewExternalKey{Directory: "members"})
		if _, err := r.Operator().RevokeExternalKey(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Hour)
		want := acme.UnknownExternalKey().Detail
		for name, request := range map[string]engine.AccountRequest{
			"unknown": bound(t, "nobody", secret), "wrong MAC": bound(t, good, []byte("guess")),
			"of another directory": bound(t, elsewhere, secret2), "expired": bound(t, old, secret3), "revoked": bound(t, gone, secret4),
		} {
			_, _, err := r.NewAccount(t.Context(), request)
			if p := problemOf(t, err, acme.Unauthorized); p.Detail != want {
				t.Errorf("%s: %q, want %q", name, p.Detail, want)
			}
			if _, found, err := r.AccountByKey(t.Context(), "members", request.KeyHash); err != nil || found {
				t.Errorf("%s: an account was made all the same (%v)", name, err)
			}
		}
		// The operator is told what the client is not.
		for _, cause := range []string{"it is not known", "wrong HMAC key at the client", "it belongs to directory default", "it has expired", "it was revoked"} {
			if n := strings.Count(logged.String(), cause); n != 1 {
				t.Errorf("%q is logged %d times", cause, n)
			}
		}
		if _, _, err := r.NewAccount(t.Context(), bound(t, good, secret)); err != nil {
			t.Errorf("the good key: %v", err)
		}
	})
}

// TestBindingRules: what the key does not cover, names (R8555-10.5-1) and
// profiles (RPROF-7), is not ordered, and a revoked key stops its accounts at
// their next order and at finalize (SP-9).
func TestBindingRules(t *testing.T) {
	w := newWorld(t)
	w.change = func(c *engine.Config) {
		wide := w.profile
		wide.Name = "wide"
		c.Profiles["wide"] = wide
		c.Directories[1].Profiles = append(c.Directories[1].Profiles, "wide")
	}
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		k, secret, err := r.Operator().CreateExternalKey(t.Context(), engine.NewExternalKey{
			Directory: "members", Member: "m1", Identifiers: []string{"www.example.org", ".m1.example.org"},
		})
		if err != nil {
			t.Fatal(err)
		}
		a, _, err := r.NewAccount(t.Context(), bound(t, k.ID, secret))
		if err != nil {
			t.Fatal(err)
		}
		for name, allowed := range map[string]bool{
			"www.example.org": true, "a.m1.example.org": true, "b.a.m1.example.org": true,
			"m1.example.org": false, "example.org": false, "xm1.example.org": false, "www.example.org.evil.org": false,
		} {
			_, err := r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns(name)})
			if allowed && err != nil {
				t.Errorf("%s: %v", name, err)
			} else if !allowed {
				if p := problemOf(t, err, acme.RejectedIdentifier); len(p.Subproblems) != 1 {
					t.Errorf("%s: no subproblem", name)
				}
			}
		}
		other, secret2, err := r.Operator().CreateExternalKey(t.Context(), engine.NewExternalKey{
			Directory: "members", Member: "m2", Profiles: []acme.ProfileName{"tls"},
		})
		if err != nil {
			t.Fatal(err)
		}
		b, _, err := r.NewAccount(t.Context(), bound(t, other.ID, secret2))
		if err != nil {
			t.Fatal(err)
		}
		for profile, allowed := range map[acme.ProfileName]bool{"": true, "tls": true, "wide": false} {
			_, err := r.NewOrder(t.Context(), b, engine.OrderRequest{Identifiers: dns("www.example.org"), Profile: profile})
			if allowed && err != nil {
				t.Errorf("profile %q: %v", profile, err)
			} else if !allowed {
				wantProblem(t, err, acme.Unauthorized)
			}
		}
		if _, err := r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns("www.example.org"), Profile: "wide"}); err != nil {
			t.Errorf("a key that names no profiles: %v", err)
		}
		o := r.ready(a, "www.example.org")
		if _, err := r.Operator().RevokeExternalKey(t.Context(), k.ID); err != nil {
			t.Fatal(err)
		}
		_, err = r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns("www.example.org")})
		wantProblem(t, err, acme.Unauthorized)
		_, _, err = r.Finalize(t.Context(), a, o.ID, csrFor(t, newKey(t), "www.example.org"))
		wantProblem(t, err, acme.Unauthorized)
		if n := w.fake.bought(); n != 0 {
			t.Errorf("%d were bought for a member whose key was revoked", n)
		}
	})
}

// TestKeysOfOneKind: an account key never gets a certificate, and a
// certificate's key never an account (EK-13, R8555-11.1-1).
func TestKeysOfOneKind(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		accountKey, certKey := newKey(t), newKey(t)
		a, _, err := r.NewAccount(t.Context(), accountRequest(t, "default", accountKey.Public()))
		if err != nil {
			t.Fatal(err)
		}
		o := r.ready(a, "a.example.org")
		_, _, err = r.Finalize(t.Context(), a, o.ID, csrFor(t, accountKey, "a.example.org"))
		wantProblem(t, err, acme.BadCSR)
		if o, _, err := r.Finalize(t.Context(), a, o.ID, csrFor(t, certKey, "a.example.org")); err != nil || o.Status != acme.OrderValid {
			t.Fatalf("finalize: %s, %v", o.Status, err)
		}
		request := accountRequest(t, "default", certKey.Public())
		_, _, err = r.NewAccount(t.Context(), request)
		wantProblem(t, err, acme.BadPublicKey)
		_, err = r.ChangeKey(t.Context(), a.ID, engine.KeyChange{Key: request.Key, KeyHash: request.KeyHash, Thumbprint: "t", OldKey: a.KeyHash})
		wantProblem(t, err, acme.BadPublicKey)
	})
}

// TestKeyChange: the old key is dead with the commit (SP-13), open orders live
// on, a challenge answered afterwards is judged by the new key (R8555-7.3.5-13),
// and a key of somebody else is refused with the place where it is.
func TestKeyChange(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a, other := r.account(), r.account()
		o := r.order(a, "a.example.org")
		next := accountRequest(t, "default", newKey(t).Public())
		change := engine.KeyChange{Key: next.Key, KeyHash: next.KeyHash, Thumbprint: "next", OldKey: other.KeyHash}
		_, err := r.ChangeKey(t.Context(), a.ID, change)
		wantProblem(t, err, acme.Malformed)
		change.OldKey = a.KeyHash
		taken := change
		taken.KeyHash = other.KeyHash
		_, err = r.ChangeKey(t.Context(), a.ID, taken)
		if p := problemOf(t, err, acme.Malformed); p.Status != 409 || p.Location != string(other.ID) {
			t.Errorf("a key in use: %d, %q", p.Status, p.Location)
		}
		changed, err := r.ChangeKey(t.Context(), a.ID, change)
		if err != nil || changed.KeyHash != next.KeyHash {
			t.Fatalf("change: %v", err)
		}
		if _, found, err := r.AccountByKey(t.Context(), "default", a.KeyHash); err != nil || found {
			t.Errorf("the old key still finds the account (%v)", err)
		}
		// R8555-8.3-1: the response counts under the key of its moment.
		if _, _, err := r.Respond(t.Context(), changed, o.Authorizations[0], acme.HTTP01); err != nil {
			t.Fatal(err)
		}
		r.wantStatus(changed, o.ID, acme.OrderReady)
		x := r.explain(o.ID)
		if got := x.Authorizations[0].Challenges[0].KeyAuthorization; !bytes.HasSuffix([]byte(got), []byte(".next")) {
			t.Errorf("the key authorization is %q, of the old key", got)
		}
	})
}

// TestDeactivate: a deactivated account does nothing any more and its open
// orders end, but its certificates stay (R8555-7.3.6-3).
func TestDeactivate(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.account()
		done := r.ready(a, "a.example.org")
		done, _, err := r.Finalize(t.Context(), a, done.ID, csrFor(t, newKey(t), "a.example.org"))
		if err != nil {
			t.Fatal(err)
		}
		open := r.order(a, "b.example.org")
		if _, err := r.DeactivateAccount(t.Context(), a.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if x := r.explain(open.ID); x.Order.Status != acme.OrderInvalid {
			t.Errorf("the open order is %s", x.Order.Status)
		}
		if x := r.explain(done.ID); x.Order.Status != acme.OrderValid || x.Certificate.Revocation != nil {
			t.Errorf("the finished order is %s", x.Order.Status)
		}
		_, err = r.NewOrder(t.Context(), a, engine.OrderRequest{Identifiers: dns("c.example.org")})
		if p := problemOf(t, err, acme.Unauthorized); p.Status != 401 {
			t.Errorf("status %d", p.Status)
		}
		if _, err := r.DeactivateAccount(t.Context(), a.ID); err == nil {
			t.Error("deactivated twice")
		}
		if _, err := r.Operator().RevokeAccount(t.Context(), "nobody"); !errors.Is(err, engine.ErrNoSuch) {
			t.Errorf("an account that does not exist: %v", err)
		}
	})
}

// TestKeyChangeCrash kills the process at the commit that changes the key, once
// before it and once after it: at any time one key finds the account, and never
// both or neither (SP-13).
func TestKeyChangeCrash(t *testing.T) {
	for _, applied := range []bool{false, true} {
		w := newWorld(t)
		synctest.Test(t, func(t *testing.T) {
			w.t = t
			r := w.start()
			a := r.account()
			r.end()

			memory := w.store
			crash := &crashStore{Store: memory, applied: applied}
			w.store = crash
			r = w.start()
			<-r.Started()
			synctest.Wait() // what the engine has to store for itself is stored
			crash.mu.Lock()
			crash.at = crash.updates + 1
			crash.mu.Unlock()
			next := accountRequest(t, "default", newKey(t).Public())
			_, err := r.ChangeKey(t.Context(), a.ID, engine.KeyChange{Key: next.Key, KeyHash: next.KeyHash, Thumbprint: "next", OldKey: a.KeyHash})
			if !errors.Is(err, storage.ErrUnknown) {
				t.Fatalf("applied %t: %v, want that nobody knows", applied, err)
			}
			_ = r.close() // its store is dead, and it says so

			w.store = memory
			r = w.start()
			defer r.end()
			for key, want := range map[acme.KeyHash]bool{a.KeyHash: !applied, next.KeyHash: applied} {
				got, found, err := r.AccountByKey(t.Context(), "default", key)
				if err != nil || found != want || found && (got.ID != a.ID || got.KeyHash != key) {
					t.Errorf("applied %t: account %q found %t by key %x, %v; want %t", applied, got.ID, found, key[:4], err, want)
				}
			}
		})
	}
}

// TestBindingCrash kills the process at the commit that makes an account of a
// single-use key, once before it and once after it: there is an account exactly
// where the key is used up (SP-10).
func TestBindingCrash(t *testing.T) {
	for _, applied := range []bool{false, true} {
		w := newWorld(t)
		synctest.Test(t, func(t *testing.T) {
			w.t = t
			r := w.start()
			k, secret, err := r.Operator().CreateExternalKey(t.Context(), engine.NewExternalKey{Directory: "members", Member: "m1", Uses: 1})
			if err != nil {
				t.Fatal(err)
			}
			r.end()

			memory := w.store
			crash := &crashStore{Store: memory, applied: applied}
			w.store = crash
			r = w.start()
			<-r.Started()
			synctest.Wait() // what the engine has to store for itself is stored
			crash.mu.Lock()
			crash.at = crash.updates + 1
			crash.mu.Unlock()
			request := bound(t, k.ID, secret)
			if _, _, err := r.NewAccount(t.Context(), request); !errors.Is(err, storage.ErrUnknown) {
				t.Fatalf("applied %t: %v, want that nobody knows", applied, err)
			}
			_ = r.close() // its store is dead, and it says so

			w.store = memory
			r = w.start()
			defer r.end()
			_, found, err := r.AccountByKey(t.Context(), "members", request.KeyHash)
			if err != nil || found != applied {
				t.Errorf("applied %t: account found %t, %v", applied, found, err)
			}
			if k, err := r.Operator().ExternalKey(t.Context(), k.ID); err != nil || (k.Used == 1) != applied || (k.Sealed == nil) != applied {
				t.Errorf("applied %t: used %d times, sealed %t, %v", applied, k.Used, k.Sealed != nil, err)
			}
			// The client tries again, and has its account in either case.
			if a, _, err := r.NewAccount(t.Context(), request); err != nil || a.Member != "m1" {
				t.Errorf("applied %t: tried again: %v", applied, err)
			}
		})
	}
}

// TestExternalKeySecrets: a MAC key has 256 random bits of its own, and what is
// stored of it is sealed for its record (R8555-7.3.4-14).
func TestExternalKeySecrets(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		seen := map[string]bool{}
		for range 20 {
			k, secret, err := r.Operator().CreateExternalKey(t.Context(), engine.NewExternalKey{Directory: "members", Member: "m1"})
			if err != nil {
				t.Fatal(err)
			}
			if len(secret) != 32 || seen[string(secret)] || seen[string(k.ID)] {
				t.Errorf("key %s has %d bytes, or has been given out before", k.ID, len(secret))
			}
			seen[string(secret)], seen[string(k.ID)] = true, true
			stored, err := r.Operator().ExternalKey(t.Context(), k.ID)
			if err != nil {
				t.Fatal(err)
			}
			// The sealer of these tests is a prefix that names the record.
			if want := "external_keys/" + string(k.ID) + "|" + string(secret); string(stored.Sealed) != want {
				t.Errorf("stored is %q, want it sealed for its record", stored.Sealed)
			}
		}
	})
}

// TestWithdrawn: an account that is revoked between finalize and submission
// buys nothing (SP-9).
func TestWithdrawn(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.fake.notSent = 1 // the first attempt fails, so that there is time
		r := w.start()
		defer r.end()
		a, o := r.finalized("a.example.org")
		if _, err := r.Operator().RevokeAccount(t.Context(), a.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if x := r.explain(o.ID); x.Order.Status != acme.OrderInvalid || w.fake.bought() != 0 {
			t.Errorf("the order is %s, and %d were bought", x.Order.Status, w.fake.bought())
		}
	})
}

// TestKeysThatLookLikeFlags: neither a key id nor a MAC key begins with a
// hyphen, which certbot would take for a flag.
func TestKeysThatLookLikeFlags(t *testing.T) {
	w := newWorld(t)
	bad := bytes.Repeat([]byte{0xf9}, 16)
	w.change = func(c *engine.Config) {
		c.Random = io.MultiReader(bytes.NewReader(bad), bytes.NewReader(make([]byte, 16)), bytes.NewReader(bytes.Repeat(bad, 2)), rand.Reader)
	}
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		k, secret, err := r.Operator().CreateExternalKey(t.Context(), engine.NewExternalKey{Directory: "default", Member: "m1"})
		if err != nil {
			t.Fatal(err)
		}
		if k.ID[0] == '-' || base64.RawURLEncoding.EncodeToString(secret)[0] == '-' {
			t.Errorf("key id %s, secret %x", k.ID, secret)
		}
	})
}

// TestKeyForMember: no key is made for who can never use it, and who makes one
// for somebody that cannot order as things are hears of it.
func TestKeyForMember(t *testing.T) {
	w := newWorld(t)
	byRegistry(w)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		for _, id := range []acme.MemberID{"active", "frozen", "removed"} {
			r.enrol(id, ".example")
		}
		if _, err := r.Operator().FreezeMember(t.Context(), "frozen", engine.Measures{}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Operator().RemoveMember(t.Context(), "removed", engine.Measures{}); err != nil {
			t.Fatal(err)
		}
		for id, want := range map[acme.MemberID]string{"active": "", "frozen": "is frozen", "nobody": "is not in the registry, which profile tls asks"} {
			k, _, err := r.Operator().CreateExternalKey(t.Context(), engine.NewExternalKey{Directory: "members", Member: id})
			if err != nil {
				t.Fatal(err)
			}
			warning, err := r.Operator().ExternalKeyWarning(t.Context(), k)
			if err != nil || want == "" && warning != "" || !strings.Contains(warning, want) {
				t.Errorf("%s: %q, %v", id, warning, err)
			}
		}
		if k, secret, err := r.Operator().CreateExternalKey(t.Context(), engine.NewExternalKey{Directory: "members", Member: "removed"}); err == nil ||
			!strings.Contains(err.Error(), "was removed for good") || k.ID != "" || secret != nil {
			t.Errorf("of a removed member: %+v, %v", k, err)
		}
	})
}
