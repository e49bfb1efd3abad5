package engine_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/storage"
)

// blindStore is a store in which one kind of record cannot be read.
type blindStore struct {
	storage.Store
	blind atomic.Pointer[string]
}

var errBlind = errors.New("the page cannot be read")

func (s *blindStore) View(ctx context.Context, fn func(storage.Tx) error) error {
	return s.Store.View(ctx, func(tx storage.Tx) error { return fn(blindTx{tx, *s.blind.Load()}) })
}

func (s *blindStore) Update(ctx context.Context, fn func(storage.Tx) error) error {
	return s.Store.Update(ctx, func(tx storage.Tx) error { return fn(blindTx{tx, *s.blind.Load()}) })
}

type blindTx struct {
	storage.Tx
	blind string
}

func (t blindTx) Members() storage.Members {
	if t.blind == "members" {
		return blindMembers{t.Tx.Members()}
	}
	return t.Tx.Members()
}

func (t blindTx) ExternalKeys() storage.ExternalKeys {
	if t.blind == "external keys" {
		return blindKeys{t.Tx.ExternalKeys()}
	}
	return t.Tx.ExternalKeys()
}

func (t blindTx) BlockedKeys() storage.BlockedKeys {
	if t.blind == "blocked keys" {
		return blindBlocked{t.Tx.BlockedKeys()}
	}
	return t.Tx.BlockedKeys()
}

func (t blindTx) Accounts() storage.Accounts {
	if t.blind == "keys of accounts" {
		return blindAccounts{t.Tx.Accounts()}
	}
	return t.Tx.Accounts()
}

type (
	blindMembers  struct{ storage.Members }
	blindKeys     struct{ storage.ExternalKeys }
	blindBlocked  struct{ storage.BlockedKeys }
	blindAccounts struct{ storage.Accounts }
)

func (blindMembers) Get(acme.MemberID) (m acme.Member, err error)       { return m, errBlind }
func (blindKeys) Get(acme.KeyID) (k acme.ExternalAccountKey, err error) { return k, errBlind }
func (blindBlocked) Get(acme.KeyHash) (k storage.BlockedKey, err error) { return k, errBlind }
func (blindAccounts) KeyInUse(acme.KeyHash) (bool, error)               { return false, errBlind }

// TestPolicyErrorsDeny: where a rule cannot be asked because the store does not
// say, the answer is no: nothing is ordered, finalized or bought on the chance
// that it would have been yes (SP-3, SP-9). When the store can be read again,
// everything goes on.
func TestPolicyErrorsDeny(t *testing.T) {
	w := newWorld(t)
	sees := "everything"
	store := &blindStore{Store: w.store}
	store.blind.Store(&sees)
	w.store = store
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		w.fake.set(func(f *fakeCA) { f.notSent = 1 })
		r := w.start()
		defer r.end()
		ctx := t.Context()
		a := r.memberAccount("m1")
		r.enrol("m1")
		// One that is finalized, and will be sent at a time when nobody can see.
		waiting := r.ready(a, "waiting.net")
		w.profile.Hold = 0
		if _, _, err := r.Finalize(ctx, a, waiting.ID, csrFor(t, newKey(t), "waiting.net")); err != nil {
			t.Fatal(err)
		}
		ready := r.ready(a, "ready.net")
		csr := csrFor(t, newKey(t), "ready.net")
		for blind, reaches := range map[string]struct{ order, finalize bool }{
			"members": {true, true}, "external keys": {true, true}, "blocked keys": {false, true}, "keys of accounts": {false, true},
		} {
			store.blind.Store(&blind)
			if _, err := r.NewOrder(ctx, a, engine.OrderRequest{Identifiers: dns("more.net")}); reaches.order && !errors.Is(err, errBlind) {
				t.Errorf("blind for %s: an order is placed, %v", blind, err)
			}
			if o, _, err := r.Finalize(ctx, a, ready.ID, csr); reaches.finalize && !errors.Is(err, errBlind) {
				t.Errorf("blind for %s: finalized, %s, %v", blind, o.Status, err)
			}
			request := accountRequest(t, "default", newKey(t).Public())
			if _, _, err := r.NewAccount(ctx, request); blind == "blocked keys" && !errors.Is(err, errBlind) {
				t.Errorf("blind for %s: an account is made, %v", blind, err)
			}
		}
		for _, blind := range []string{"members", "external keys"} {
			store.blind.Store(&blind)
			time.Sleep(10 * time.Minute) // it is time to send what waits, several times
			if n := w.fake.bought(); n != 0 {
				t.Fatalf("blind for %s: %d were bought", blind, n)
			}
		}
		store.blind.Store(&sees)
		r.wantStatus(a, ready.ID, acme.OrderReady)
		if _, _, err := r.Finalize(ctx, a, ready.ID, csr); err != nil {
			t.Errorf("with open eyes: %v", err)
		}
		time.Sleep(3 * time.Hour)
		r.wantStatus(a, ready.ID, acme.OrderValid)
		r.wantStatus(a, waiting.ID, acme.OrderValid)
		if n := w.fake.bought(); n != 2 {
			t.Errorf("%d were bought for two orders", n)
		}
	})
}
