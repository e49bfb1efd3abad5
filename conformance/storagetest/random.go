package storagetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

var models = []testCase{
	{"model/seed 1", func(t *testing.T, s storage.Store) { compareWithModel(t, s, 1) }},
	{"model/seed 2", func(t *testing.T, s storage.Store) { compareWithModel(t, s, 2) }},
	{"model/seed 3", func(t *testing.T, s storage.Store) { compareWithModel(t, s, 3) }},
}

// compareWithModel does random things to the store and to the model, and asks
// both for everything after each transaction, and often within one.
func compareWithModel(t *testing.T, s storage.Store, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 2026))
	truth := newModel()
	gaveUp := errors.New("gave up")
	for round := range 60 {
		ops := make([]operation, 1+r.IntN(8))
		for i := range ops {
			ops[i] = randomOperation(r)
		}
		fails, look := r.IntN(4) == 0, r.IntN(3) == 0
		next := truth.clone()
		err := s.Update(t.Context(), func(tx storage.Tx) error {
			next = truth.clone()
			for _, op := range ops {
				if err := joined(op.do(tx), op.do(next)); err != nil {
					return fmt.Errorf("%s: %w", op.name, err)
				}
			}
			if look {
				if err := compare(t, tx, next); err != nil {
					return err
				}
			}
			if fails {
				return gaveUp
			}
			return nil
		})
		if fails && !errors.Is(err, gaveUp) || !fails && err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		if !fails {
			truth = next
		}
		view(t, s, func(tx storage.Tx) error { return compare(t, tx, truth) })
		if t.Failed() {
			t.Fatalf("in round %d, seed %d: failing %t, after %s", round, seed, fails, names(ops))
		}
	}
}

func compare(t *testing.T, tx storage.Tx, truth model) error {
	var got, want contents
	if err := got.read(tx); err != nil {
		return err
	}
	if err := want.read(truth); err != nil {
		return err
	}
	same(t, "the store", got, want)
	return nil
}

// operation is one change, to be done to the store and to the model alike.
type operation struct {
	name string
	do   func(storage.Tx) error
}

func names(ops []operation) (all string) {
	for _, op := range ops {
		all += op.name + "; "
	}
	return all
}

// randomOperation picks a record among few, so that most of them replace one,
// and sets what indexes look at.
func randomOperation(r *rand.Rand) operation {
	n, m := r.IntN(known), r.IntN(known)
	some := r.IntN(2) == 0
	put := func(kind string, record any) operation {
		return operation{fmt.Sprintf("put %s %d with %d, %t", kind, n, m, some), func(tx storage.Tx) error { return putAll(tx, record) }}
	}
	switch r.IntN(10) {
	case 0:
		a := account(n)
		a.Member = member(m)
		if some {
			a.KeyHash = hash("another account key", n)
		}
		return put("account", a)
	case 1:
		o := order(n)
		o.Account, o.Member = accountID(m), member(m)
		o.Identifiers, o.Expires = order(m).Identifiers, at(50+r.IntN(6))
		o.Status = []acme.OrderStatus{acme.OrderPending, acme.OrderReady, acme.OrderProcessing, acme.OrderProcessing, acme.OrderValid, acme.OrderInvalid}[r.IntN(6)]
		o.AttachedTo = orderID(m)
		if some {
			o.Member, o.Problem, o.AttachedTo = "", nil, ""
		}
		return put("order", o)
	case 2:
		z := authorization(n)
		z.Account, z.Identifier, z.Wildcard = accountID(m), name(m), some
		z.Expires = at(1000 + n*known + m) // never twice the same for one name
		if r.IntN(3) == 0 {
			z.Status = acme.AuthorizationInvalid
		}
		return put("authorization", z)
	case 3, 4, 5:
		j := dueJob(n)
		j.Due = at(m * 10)
		if some {
			j.Lease = storage.Lease{Holder: []string{"me", "other"}[r.IntN(2)], Until: at(m)}
		}
		if r.IntN(4) == 0 {
			j.Parked = "why"
		}
		if r.IntN(2) == 0 {
			j.Waits = ""
		}
		return put("job", j)
	case 6:
		return operation{fmt.Sprintf("delete job %d", n), func(tx storage.Tx) error { return tx.Jobs().Delete(jobID(n)) }}
	case 7:
		s := submission(n)
		s.Need, s.CreatedAt = need(m%3), at(n+10*m) // never twice the same for one need
		if m == 5 {
			s.Need = acme.Need{}
		}
		if some {
			s.Key = fmt.Sprintf("another reference of %d", n)
		}
		return put("submission", s)
	case 8:
		c := certificate(n)
		c.Account, c.Member, c.NotAfter, c.Serial, c.KeyHash = accountID(m), member(m), at(m), certificate(m).Serial, certificate(m).KeyHash
		c.Identifiers, c.IssuedAt = certificate(m).Identifiers, at(r.IntN(6))
		c.CountsNames = r.IntN(4) > 0
		if some {
			c.Revocation = nil
		}
		if r.IntN(3) > 0 {
			c.RenewedAt = time.Time{}
		}
		return put("certificate", c)
	}
	k := externalKey(n)
	k.Member = member(m)
	if some {
		return operation{fmt.Sprintf("meta and key %d", n), func(tx storage.Tx) error {
			return joined(tx.Meta().Put("m", number(uint64(m))), putAll(tx, k, chain(n), registered(n), blockedKey(n), publication(n)))
		}}
	}
	return put("external key", k)
}
