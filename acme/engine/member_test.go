package engine_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/storage"
)

// memberAccount returns a new account that acts for a member.
func (r *run) memberAccount(id acme.MemberID) acme.Account {
	r.w.t.Helper()
	ctx := r.w.t.Context()
	k, mac, err := r.Operator().CreateExternalKey(ctx, engine.NewExternalKey{Directory: "members", Member: id})
	if err != nil {
		r.w.t.Fatal(err)
	}
	a, _, err := r.NewAccount(ctx, bound(r.w.t, k.ID, mac))
	if err != nil {
		r.w.t.Fatal(err)
	}
	return a
}

// enrol puts a member into the registry.
func (r *run) enrol(id acme.MemberID, identifiers ...string) acme.Member {
	r.w.t.Helper()
	m, err := r.Operator().CreateMember(r.w.t.Context(), acme.Member{ID: id, Identifiers: identifiers})
	if err != nil {
		r.w.t.Fatal(err)
	}
	return m
}

func (r *run) tryOrder(a acme.Account, names ...string) (acme.Order, error) {
	return r.NewOrder(r.w.t.Context(), a, engine.OrderRequest{Identifiers: dns(names...)})
}

// TestRegistryAlone: under the rule registry nothing is proved, and the record
// is asked twice (D12).
func TestRegistryAlone(t *testing.T) {
	w := newWorld(t)
	w.profile.Authorization, w.profile.Challenges = acme.AuthorizeByRegistry, nil
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		ctx, operator := t.Context(), r.Operator()
		a := r.memberAccount("m1")
		_, err := r.tryOrder(a, "a.m1.net")
		wantProblem(t, err, acme.Unauthorized) // no record
		_, err = r.tryOrder(r.account(), "a.m1.net")
		wantProblem(t, err, acme.Unauthorized) // no member at all
		m := r.enrol("m1", ".m1.net")
		_, err = r.tryOrder(a, "a.m1.net", "a.m2.net")
		if p := problemOf(t, err, acme.RejectedIdentifier); len(p.Subproblems) != 1 || p.Subproblems[0].Identifier.Value != "a.m2.net" {
			t.Errorf("subproblems %+v", p.Subproblems)
		}
		_, err = r.tryOrder(a, "a.m1.net", "*.m1.net")
		wantProblem(t, err, acme.RejectedIdentifier) // the profile has no wildcards
		o, err := r.tryOrder(a, "a.m1.net")
		if err != nil || o.Status != acme.OrderReady || o.MemberVersion != 1 || len(o.Authorizations) != 1 {
			t.Fatalf("%+v, %v", o, err)
		}
		authz, _, err := r.Authorization(ctx, a.ID, o.Authorizations[0])
		if err != nil || authz.Status != acme.AuthorizationValid || len(authz.Challenges) != 0 || !authz.Expires.Equal(o.Expires) {
			t.Errorf("%+v, %v", authz, err)
		}
		csr := csrFor(t, newKey(t), "a.m1.net")

		// What the registry does not give any more is not issued.
		m.Identifiers = []string{".m3.net"}
		if m, err = operator.UpdateMember(ctx, m); err != nil || m.Version != 2 {
			t.Fatal(m, err)
		}
		_, _, err = r.Finalize(ctx, a, o.ID, csr)
		wantProblem(t, err, acme.RejectedIdentifier)
		r.wantStatus(a, o.ID, acme.OrderReady)
		m.Identifiers = []string{"*"}
		if m, err = operator.UpdateMember(ctx, m); err != nil {
			t.Fatal(err)
		}
		if o, _, err = r.Finalize(ctx, a, o.ID, csr); err != nil || o.Status != acme.OrderValid || o.MemberVersion != 3 {
			t.Errorf("%s by version %d, %v", o.Status, o.MemberVersion, err)
		}
		// An order that nobody finalizes ends like any other.
		open, err := r.tryOrder(a, "b.m1.net")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(w.profile.OrderLifetime + time.Minute)
		r.wantStatus(a, open.ID, acme.OrderInvalid)
	})
}

// TestRegistryAndProof: under the rule both neither is enough.
func TestRegistryAndProof(t *testing.T) {
	w := newWorld(t)
	w.profile.Authorization = acme.AuthorizeByBoth
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.memberAccount("m1")
		m := r.enrol("m1", ".m1.net")
		_, err := r.tryOrder(a, "a.m2.net")
		wantProblem(t, err, acme.RejectedIdentifier)
		csr := csrFor(t, newKey(t), "a.m1.net")
		o := r.order(a, "a.m1.net")
		if o.Status != acme.OrderPending {
			t.Errorf("the order is %s", o.Status)
		}
		_, _, err = r.Finalize(t.Context(), a, o.ID, csr)
		wantProblem(t, err, acme.OrderNotReady)
		o = r.ready(a, "a.m1.net")
		m.Profiles = []acme.ProfileName{"tls"}
		m.Identifiers = nil
		if m, err = r.Operator().UpdateMember(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		_, _, err = r.Finalize(t.Context(), a, o.ID, csr)
		wantProblem(t, err, acme.RejectedIdentifier)
	})
}

// TestRuleMadeStricter: an order that the registry alone entitled to is not
// finalized under a profile that by now wants proofs.
func TestRuleMadeStricter(t *testing.T) {
	w := newWorld(t)
	w.profile.Authorization = acme.AuthorizeByRegistry
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		a := r.memberAccount("m1")
		r.enrol("m1", "*")
		o := r.order(a, "a.m1.net")
		r.end()
		w.profile.Authorization = acme.AuthorizeByChallenge
		r = w.start()
		defer r.end()
		_, _, err := r.Finalize(t.Context(), a, o.ID, csrFor(t, newKey(t), "a.m1.net"))
		wantProblem(t, err, acme.OrderNotReady)
		if w.fake.bought() != 0 {
			t.Error("a certificate was bought")
		}
	})
}

// TestRegistryProvesNothing: what the registry lets two members order, neither
// may revoke of the other (SP-12).
func TestRegistryProvesNothing(t *testing.T) {
	w := newWorld(t)
	w.profile.Authorization = acme.AuthorizeByRegistry
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a, b := r.memberAccount("m1"), r.memberAccount("m2")
		r.enrol("m1", "*")
		r.enrol("m2", "*")
		o := r.order(a, "a.net")
		o, _, err := r.Finalize(t.Context(), a, o.ID, csrFor(t, newKey(t), "a.net"))
		if err != nil {
			t.Fatal(err)
		}
		c, _, err := r.Certificate(t.Context(), a.ID, o.Certificate)
		if err != nil {
			t.Fatal(err)
		}
		r.order(b, "a.net")
		err = r.Revoke(t.Context(), engine.Revocation{Directory: "members", Certificate: c.Leaf, Owner: b.ID})
		wantProblem(t, err, acme.Unauthorized)
		if err := r.Revoke(t.Context(), engine.Revocation{Directory: "members", Certificate: c.Leaf, Owner: a.ID}); err != nil {
			t.Errorf("its owner: %v", err)
		}
	})
}

// TestFreeze (SP-9): from one moment to the next a member can do nothing, and after a
// thaw everything but what has ended.
func TestFreeze(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		ctx, operator := t.Context(), r.Operator()
		a, other := r.memberAccount("m1"), r.memberAccount("m2")
		r.enrol("m1")
		r.enrol("m2")
		cert := r.issue(a, csrFor(t, newKey(t), "a.net"), "a.net")
		certID := acme.CertID(cert.AuthorityKeyID, cert.Serial)
		usual, err := r.RenewalInfo(ctx, certID)
		if err != nil || !usual.Window.Start.After(time.Now()) {
			t.Fatal(usual, err)
		}
		var open []acme.OrderID // more than one page
		for n := range 70 {
			open = append(open, r.order(a, fmt.Sprintf("n%d.net", n)).ID)
		}
		ready, others := r.ready(a, "b.net"), r.ready(other, "b.net")
		k, mac, err := operator.CreateExternalKey(ctx, engine.NewExternalKey{Directory: "members", Member: "m1"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := operator.FreezeMember(ctx, "m1", engine.Measures{Reason: "fees"}); err != nil {
			t.Fatal(err)
		}
		// At once, whatever the job has done yet: it may have ended the order.
		_, _, err = r.Finalize(ctx, a, ready.ID, csrFor(t, newKey(t), "b.net"))
		kind := acme.Unauthorized
		if p := new(acme.Problem); errors.As(err, &p) && p.Type == acme.OrderNotReady {
			kind = acme.OrderNotReady
		}
		if p := problemOf(t, err, kind); !strings.Contains(p.Detail, "suspended") || strings.Contains(p.Detail, "fees") {
			t.Errorf("clients are told %q", p.Detail)
		}
		_, err = r.tryOrder(a, "c.net")
		wantProblem(t, err, acme.Unauthorized)
		_, _, err = r.NewAccount(ctx, bound(t, k.ID, mac))
		wantProblem(t, err, acme.Unauthorized)
		past, err := r.RenewalInfo(ctx, certID)
		if err != nil || !past.Window.End.Before(time.Now()) { // R9773-4.2-1
			t.Errorf("renewal window %v, %v", past, err)
		}
		time.Sleep(time.Minute)
		if again, _ := r.RenewalInfo(ctx, certID); again != past {
			t.Errorf("the window moves: %v, then %v", past, again)
		}
		for _, id := range append(open, ready.ID) {
			r.wantStatus(a, id, acme.OrderInvalid)
		}
		p, err := operator.MemberProgress(ctx, "m1")
		if want := (engine.MemberProgress{Standing: 1, Done: true}); err != nil || p != want {
			t.Errorf("progress %+v, %v; want %+v", p, err, want)
		}
		if o, _, err := r.Finalize(ctx, other, others.ID, csrFor(t, newKey(t), "b.net")); err != nil || o.Status != acme.OrderValid {
			t.Errorf("another member: %s, %v", o.Status, err)
		}

		// Asked for again, nothing happens twice.
		m, err := operator.FreezeMember(ctx, "m1", engine.Measures{Reason: "fees"})
		if err != nil || m.Version != 2 || m.Reason != "fees" || m.Enforcement.Orders != 71 {
			t.Errorf("%+v, %v", m, err)
		}
		if m, err = operator.ThawMember(ctx, "m1", "paid"); err != nil || m.Version != 3 || m.Status != acme.MemberActive || m.Enforcement != nil {
			t.Errorf("%+v, %v", m, err)
		}
		if m, err = operator.ThawMember(ctx, "m1", "paid"); err != nil || m.Version != 3 {
			t.Errorf("thawed twice: %+v, %v", m, err)
		}
		r.wantStatus(a, ready.ID, acme.OrderInvalid)
		r.issue(a, csrFor(t, newKey(t), "c.net"), "c.net")
		if back, _ := r.RenewalInfo(ctx, certID); back != usual {
			t.Errorf("renewal window %v, want %v", back, usual)
		}
		if _, parked, err := operator.Jobs(ctx); err != nil || parked != 0 {
			t.Errorf("%d parked, %v", parked, err)
		}
	})
}

// TestFreezeBeforeSubmission (SP-9): what was finalized but not sent is not bought.
func TestFreezeBeforeSubmission(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		a := r.memberAccount("m1")
		r.enrol("m1")
		w.fake.set(func(f *fakeCA) { f.notSent = 1 })
		o := r.ready(a, "a.net")
		w.profile.Hold = 0
		if _, _, err := r.Finalize(t.Context(), a, o.ID, csrFor(t, newKey(t), "a.net")); err != nil {
			t.Fatal(err)
		}
		r.wantStatus(a, o.ID, acme.OrderProcessing)
		if _, err := r.Operator().FreezeMember(t.Context(), "m1", engine.Measures{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		r.wantStatus(a, o.ID, acme.OrderInvalid)
		if w.fake.bought() != 0 {
			t.Error("a certificate was bought for a frozen member")
		}
	})
}

// TestRemoveRevokes: every certificate that stands is revoked once, what is
// delivered later too, and nothing else.
func TestRemoveRevokes(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		ctx, operator := t.Context(), r.Operator()
		a, other := r.memberAccount("m1"), r.memberAccount("m2")
		r.enrol("m1")
		r.enrol("m2")
		r.issue(a, csrFor(t, newKey(t), "old.net"), "old.net")
		time.Sleep(w.profile.Validity) // that one is over
		gone := r.issue(a, csrFor(t, newKey(t), "gone.net"), "gone.net")
		if err := operator.RevokeCertificate(ctx, gone.ID, acme.Superseded); err != nil {
			t.Fatal(err)
		}
		var stand []acme.CertificateID // more than one page
		for n := range 70 {
			name := fmt.Sprintf("n%d.net", n)
			stand = append(stand, r.issue(a, csrFor(t, newKey(t), name), name).ID)
		}
		strangers := r.issue(other, csrFor(t, newKey(t), "n0.net"), "n0.net")
		w.fake.set(func(f *fakeCA) { f.issueAfter = time.Hour })
		late := r.ready(a, "late.net")
		if _, _, err := r.Finalize(ctx, a, late.ID, csrFor(t, newKey(t), "late.net")); err != nil {
			t.Fatal(err)
		}

		if _, err := operator.RemoveMember(ctx, "m1", engine.Measures{Reason: "left", Revoke: true, RevocationReason: acme.PrivilegeWithdrawn}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		p, err := operator.MemberProgress(ctx, "m1")
		if want := (engine.MemberProgress{Processing: 1, Revoked: 71, Done: true}); err != nil || p != want {
			t.Errorf("progress %+v, %v; want %+v", p, err, want)
		}
		time.Sleep(3 * time.Hour) // the pause between two polls is an hour and a fifth at most by then
		o := r.explain(late.ID)
		if o.Certificate == nil || o.Certificate.Revocation == nil || o.Certificate.Revocation.DoneAt.IsZero() || o.Certificate.Revocation.Reason != acme.PrivilegeWithdrawn {
			t.Fatalf("what was delivered later stands: %+v", o.Order)
		}
		want := append(append([]acme.CertificateID{gone.ID}, stand...), o.Certificate.ID)
		told := slices.Clone(w.fake.revoked)
		slices.Sort(told)
		slices.Sort(want)
		if !slices.Equal(told, want) {
			t.Errorf("the CA was told of %d revocations, want %d", len(told), len(want))
		}
		for _, id := range stand {
			c, _, err := operator.Certificate(ctx, id)
			if err != nil || c.Revocation == nil || c.Revocation.Reason != acme.PrivilegeWithdrawn || c.Revocation.By != "member" {
				t.Fatalf("%+v, %v", c.Revocation, err)
			}
		}
		for id, reason := range map[acme.CertificateID]acme.RevocationReason{gone.ID: acme.Superseded, strangers.ID: -1} {
			c, _, err := operator.Certificate(ctx, id)
			if err != nil || reason >= 0 && c.Revocation.Reason != reason || reason < 0 && c.Revocation != nil {
				t.Errorf("%+v, %v", c.Revocation, err)
			}
		}
		m, err := operator.RemoveMember(ctx, "m1", engine.Measures{})
		if err != nil || m.Version != 2 || !m.Enforcement.Revoke || m.Enforcement.Certificates != 71 {
			t.Errorf("asked for again: %+v %+v, %v", m, m.Enforcement, err)
		}
		time.Sleep(time.Minute)
		if n := len(w.fake.revoked); n != len(want) {
			t.Errorf("asked for again, the CA was told %d times more", n-len(want))
		}
		for what, err := range map[string]error{
			"thaw":   second(operator.ThawMember(ctx, "m1", "")),
			"freeze": second(operator.FreezeMember(ctx, "m1", engine.Measures{})),
			"update": second(operator.UpdateMember(ctx, m)),
		} {
			if err == nil {
				t.Errorf("%s of a removed member", what)
			}
		}
	})
}

func second[T any](_ T, err error) error { return err }

// TestThawStopsRevoking: a freeze that revokes is cut short by a thaw.
func TestThawStopsRevoking(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		a := r.memberAccount("m1")
		r.enrol("m1")
		c := r.issue(a, csrFor(t, newKey(t), "a.net"), "a.net")
		r.end()
		// Nothing runs now: the decision waits.
		if _, err := r.Operator().FreezeMember(t.Context(), "m1", engine.Measures{Revoke: true}); err != nil {
			t.Fatal(err)
		}
		if _, err := r.Operator().ThawMember(t.Context(), "m1", "a mistake"); err != nil {
			t.Fatal(err)
		}
		r = w.start()
		defer r.end()
		time.Sleep(time.Hour)
		if c, _, err := r.Operator().Certificate(t.Context(), c.ID); err != nil || c.Revocation != nil {
			t.Errorf("%+v, %v", c.Revocation, err)
		}
	})
}

// TestMemberRecords: versions, and what is refused.
func TestMemberRecords(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		ctx, operator := t.Context(), r.Operator()
		m, err := operator.CreateMember(ctx, acme.Member{ID: "DEV/1", Name: "One", Version: 7, Status: acme.MemberRemoved, Identifiers: []string{"b.net", "a.net"}})
		if err != nil || m.Version != 1 || m.Status != acme.MemberActive || m.Identifiers[0] != "a.net" || !m.ChangedAt.Equal(time.Now()) {
			t.Errorf("%+v, %v", m, err)
		}
		if _, err := operator.CreateMember(ctx, m); err == nil || !strings.Contains(err.Error(), "already") {
			t.Errorf("created twice: %v", err)
		}
		same := m
		same.Identifiers = []string{"b.net", "a.net", "a.net"}
		if same, err = operator.UpdateMember(ctx, same); err != nil || same.Version != 1 {
			t.Errorf("said again: %+v, %v", same, err)
		}
		next := m
		next.Name = "Two"
		if next, err = operator.UpdateMember(ctx, next); err != nil || next.Version != 2 || next.Name != "Two" {
			t.Errorf("%+v, %v", next, err)
		}
		if _, err := operator.UpdateMember(ctx, m); !errors.Is(err, engine.ErrStale) {
			t.Errorf("an old version: %v", err)
		}
		for what, err := range map[string]error{
			"update":   second(operator.UpdateMember(ctx, acme.Member{ID: "bogus"})),
			"freeze":   second(operator.FreezeMember(ctx, "bogus", engine.Measures{})),
			"thaw":     second(operator.ThawMember(ctx, "bogus", "")),
			"read":     second(operator.Member(ctx, "bogus")),
			"progress": second(operator.MemberProgress(ctx, "bogus")),
		} {
			if !errors.Is(err, engine.ErrNoSuch) {
				t.Errorf("%s of nobody: %v", what, err)
			}
		}
		for what, m := range map[string]acme.Member{
			"profile": {ID: "x", Profiles: []acme.ProfileName{"bogus"}}, "identifier": {ID: "x", Identifiers: []string{"A"}}, "id": {}, "limit": {ID: "x", Certificates: -1}, "counting": {ID: "x", OpenOrders: acme.MaxMemberLimit + 1},
		} {
			if _, err := operator.CreateMember(ctx, m); err == nil {
				t.Errorf("a bad %s was taken", what)
			}
		}
	})
}

func TestImportMembers(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		ctx, operator := t.Context(), r.Operator()
		list := []acme.Member{{ID: "m1", Identifiers: []string{".a.net"}}, {ID: "m2", Attributes: map[string]string{"class": "GOV"}}, {ID: "m3"}}
		report := func(want engine.Import) {
			t.Helper()
			got, err := operator.ImportMembers(ctx, list, engine.ImportMode{})
			if err != nil || !slices.Equal(got.Created, want.Created) || !slices.Equal(got.Changed, want.Changed) ||
				!slices.Equal(got.Unchanged, want.Unchanged) || !slices.Equal(got.Removed, want.Removed) {
				t.Errorf("%+v, %v; want %+v", got, err, want)
			}
		}
		report(engine.Import{Created: []acme.MemberID{"m1", "m2", "m3"}})
		report(engine.Import{Unchanged: []acme.MemberID{"m1", "m2", "m3"}})
		if _, err := operator.FreezeMember(ctx, "m2", engine.Measures{Reason: "fees"}); err != nil {
			t.Fatal(err)
		}
		if _, err := operator.RemoveMember(ctx, "m3", engine.Measures{}); err != nil {
			t.Fatal(err)
		}
		list[1].Attributes, list[2].Name = map[string]string{"class": "COM"}, "back again"
		report(engine.Import{Changed: []acme.MemberID{"m2"}, Unchanged: []acme.MemberID{"m1"}, Removed: []acme.MemberID{"m3"}})
		m, err := operator.Member(ctx, "m2")
		if err != nil || m.Status != acme.MemberFrozen || m.Version != 3 || m.Reason != "fees" || m.Attributes["class"] != "COM" {
			t.Errorf("%+v, %v", m, err)
		}
		for what, bad := range map[string][]acme.Member{
			"twice": {{ID: "m8"}, {ID: "m9"}, {ID: "m8"}}, "broken": {{ID: "m8"}, {ID: "m9", Identifiers: []string{""}}},
		} {
			if _, err := operator.ImportMembers(ctx, bad, engine.ImportMode{}); err == nil || !strings.Contains(err.Error(), "entry ") {
				t.Errorf("%s: %v", what, err)
			}
		}
		all, _, err := operator.Members(ctx, storage.Page{})
		if err != nil || len(all) != 3 {
			t.Errorf("%d members, %v: a bad list was taken in part", len(all), err)
		}
		// Unless that is wanted.
		bad := []acme.Member{{ID: "m1", Attributes: map[string]string{"": "x"}}, {ID: "m2", Name: "new"}, {ID: "m9", Profiles: []acme.ProfileName{"bogus"}}, {ID: "m2"}, {ID: "m8"}}
		got, err := operator.ImportMembers(ctx, bad, engine.ImportMode{SkipRefused: true})
		var refused []acme.MemberID
		for _, x := range got.Refused {
			refused = append(refused, x.ID)
		}
		if err != nil || !slices.Equal(refused, []acme.MemberID{"m1", "m9", "m2"}) || !slices.Equal(got.Created, []acme.MemberID{"m8"}) || !slices.Equal(got.Changed, []acme.MemberID{"m2"}) {
			t.Errorf("%+v, %v", got, err)
		}
		if m, err = operator.Member(ctx, "m1"); err != nil || m.Version != 1 || len(m.Identifiers) != 1 {
			t.Errorf("what was refused was taken: %+v, %v", m, err)
		}
		// What others have changed since it was read is not written over; who was
		// removed is passed over at any version.
		list = []acme.Member{{ID: "m1", Name: "read", Version: 1}, {ID: "m2", Name: "read", Version: 3}, {ID: "m3"}, {ID: "m8", Name: "thought new"}, {ID: "m10"}, {ID: "m11", Version: 2}}
		if _, err := operator.ImportMembers(ctx, list, engine.ImportMode{Versioned: true}); !errors.Is(err, engine.ErrStale) {
			t.Errorf("a stale list: %v", err)
		}
		got, err = operator.ImportMembers(ctx, list, engine.ImportMode{Versioned: true, SkipRefused: true})
		if err != nil || !slices.Equal(got.Stale, []acme.MemberID{"m2", "m8", "m11"}) || !slices.Equal(got.Changed, []acme.MemberID{"m1"}) ||
			!slices.Equal(got.Created, []acme.MemberID{"m10"}) || !slices.Equal(got.Removed, []acme.MemberID{"m3"}) || len(got.Refused) > 0 {
			t.Errorf("%+v, %v", got, err)
		}
		if m, err = operator.Member(ctx, "m2"); err != nil || m.Name != "new" || m.Version != 4 {
			t.Errorf("a stale member was written: %+v, %v", m, err)
		}
	})
}

// TestDryRun: a dry run says what an import would do, and does none of it.
func TestDryRun(t *testing.T) {
	w, _ := newFramework(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		ctx, operator := t.Context(), r.Operator()
		before := r.application([]string{reader, writer}, acme.IB1Client)
		a := r.applicationAccount()
		cert := r.certificateOf(r.obtain(a, "ib1-client", bareCSR(t, newKey(t)), app1))
		dry := engine.ImportMode{DryRun: true, Signer: "key", IssuedAt: time.Now()}
		members, err := operator.ImportMembers(ctx, []acme.Member{{ID: member1, Name: before.Name, Roles: []string{reader}}, {ID: "new"}}, dry)
		if err != nil || !slices.Equal(members.Created, []acme.MemberID{"new"}) || !slices.Equal(members.Changed, []acme.MemberID{member1}) || !slices.Equal(members.Narrowed, []acme.MemberID{member1}) {
			t.Errorf("members: %+v, %v", members, err)
		}
		changed := acme.Application{URL: app1, Roles: []string{reader}, Trees: []acme.IB1Tree{acme.IB1Client}, Handle: handle1}
		fresh := acme.Application{URL: app1 + "2", Roles: []string{reader}, Trees: []acme.IB1Tree{acme.IB1Client}}
		apps, err := operator.ImportApplications(ctx, []engine.ApplicationOf{{Member: member1, Application: changed}, {Member: member1, Application: fresh}}, dry)
		if err != nil || !slices.Equal(apps.Created, []string{fresh.URL}) || !slices.Equal(apps.Changed, []string{app1}) || !slices.Equal(apps.Narrowed, []acme.MemberID{member1}) {
			t.Errorf("applications: %+v, %v", apps, err)
		}
		if _, err := operator.ImportMembers(ctx, []acme.Member{{ID: "x", Profiles: []acme.ProfileName{"bogus"}}}, dry); err == nil {
			t.Error("what would be refused was not")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		after, err := operator.Member(ctx, member1)
		if cert, _, err2 := operator.Certificate(ctx, cert.ID); err != nil || err2 != nil || after.Version != before.Version || after.Review != nil || cert.Revocation != nil {
			t.Errorf("%+v, %+v, %v, %v", after, cert.Revocation, err, err2)
		}
		if _, err := operator.Member(ctx, "new"); !errors.Is(err, engine.ErrNoSuch) {
			t.Errorf("a member was created: %v", err)
		}
		// The date of a list that was only tried does not count either.
		if _, err := operator.ImportMembers(ctx, nil, engine.ImportMode{Signer: "key", IssuedAt: dry.IssuedAt.Add(-time.Hour)}); err != nil {
			t.Errorf("an older list after a dry run: %v", err)
		}
	})
}

// TestReplayedList: a list that a key has signed is not followed by an older one
// of that key: it would give back what was taken since.
func TestReplayedList(t *testing.T) {
	w := newWorld(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		start := time.Now()
		at := func(signer string, after time.Duration) engine.ImportMode {
			return engine.ImportMode{Signer: signer, IssuedAt: start.Add(after)}
		}
		undated := engine.ImportMode{Signer: "a"}
		for i, c := range []struct {
			mode         engine.ImportMode
			applications bool
			restart      bool
			want         error // nil is taken
		}{
			{mode: undated}, {mode: undated}, // nothing is known of this key yet
			{mode: at("a", -time.Hour)}, {mode: at("a", -time.Hour)}, // the same again
			{mode: at("a", -2*time.Hour), want: engine.ErrReplayed},
			{mode: undated, want: engine.ErrReplayed},
			{mode: engine.ImportMode{}}, // by hand, signed by nobody
			{mode: at("b", -2*time.Hour)},
			{mode: at("a", -2*time.Hour), applications: true},
			{mode: at("a", time.Hour), want: errFuture},
			{mode: at("a", -time.Minute)},
			{mode: at("a", -time.Hour), restart: true, want: engine.ErrReplayed},
			{mode: at("a", -3*time.Hour), applications: true, want: engine.ErrReplayed},
		} {
			if c.restart {
				r.end()
				r = w.start()
			}
			var err error
			if c.applications {
				_, err = r.Operator().ImportApplications(t.Context(), nil, c.mode)
			} else {
				_, err = r.Operator().ImportMembers(t.Context(), []acme.Member{{ID: "m1"}}, c.mode)
			}
			if future := err != nil && strings.Contains(err.Error(), "is in future"); future {
				err = errFuture
			}
			if !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("%d: %v, want %v", i, err, c.want)
			}
		}
		r.end()
	})
}

var errFuture = errors.New("in future")
