package engine_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/storage"
)

var errUnfit = errors.New("no certificate may hold that")

// Rehearse implements backends.Rehearser as CAs do whose linter knows more than
// we: the fake has two words that it will not have in a certificate.
func (c *frameworkCA) Rehearse(h acme.IB1Holder) error {
	if c.rehearsing != nil {
		c.rehearsing()
	}
	if strings.Contains(h.Organization, "&amp;") || strings.Contains(h.Application, "..") {
		return errUnfit
	}
	return nil
}

// TestUnfitHolders: what no certificate could be made of is refused when it is
// entered, in whatever way, and nothing of it is stored. What is old and unfit
// can still be narrowed.
func TestUnfitHolders(t *testing.T) {
	w, _ := newFramework(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		ctx, o := t.Context(), r.Operator()
		good := r.application([]string{reader, writer}, acme.IB1Client)
		app := func(url string) acme.Application {
			return acme.Application{URL: url, Roles: []string{reader}, Trees: []acme.IB1Tree{acme.IB1Client}}
		}
		unfit := acme.Member{ID: "https://directory.example.org/m/2", Name: "Fish &amp; Chips", Country: "GB", Roles: []string{reader}, Applications: []acme.Application{app("https://directory.example.org/a/2")}}
		fit := unfit
		fit.ID, fit.Name, fit.Applications = "https://directory.example.org/m/3", "Fish & Chips", []acme.Application{app("https://directory.example.org/a/3")}
		renamed := good
		renamed.Name = "Example &amp; Company"
		for way, enter := range map[string]func() error{
			"created": func() error { _, err := o.CreateMember(ctx, unfit); return err },
			"imported": func() error {
				_, err := o.ImportMembers(ctx, []acme.Member{fit, unfit}, engine.ImportMode{})
				return err
			},
			"changed":     func() error { _, err := o.UpdateMember(ctx, renamed); return err },
			"re-imported": func() error { _, err := o.ImportMembers(ctx, []acme.Member{renamed}, engine.ImportMode{}); return err },
			"application": func() error {
				_, err := o.PutApplication(ctx, member1, app("https://directory.example.org/a..1"))
				return err
			},
		} {
			if err := enter(); !errors.Is(err, errUnfit) || !strings.Contains(err.Error(), "could get no client certificate") {
				t.Errorf("%s: %v", way, err)
			}
		}
		if m, err := o.Member(ctx, member1); err != nil || m.Version != good.Version {
			t.Errorf("version %d, %v: something was stored", m.Version, err)
		}
		done, err := o.ImportMembers(ctx, []acme.Member{fit, unfit, renamed}, engine.ImportMode{SkipRefused: true})
		if err != nil || len(done.Created) != 1 || len(done.Refused) != 2 {
			t.Errorf("%+v, %v", done, err)
		}

		// One that is there from before there was a linter.
		if err := w.store.Update(ctx, func(tx storage.Tx) error {
			m, err := tx.Members().Get(member1)
			m.Name = renamed.Name
			return errors.Join(err, tx.Members().Put(m))
		}); err != nil {
			t.Fatal(err)
		}
		narrowed := app(app1)
		narrowed.Handle = handle1
		if m, err := o.PutApplication(ctx, member1, narrowed); err != nil || len(m.Applications[0].Roles) != 1 {
			t.Errorf("a role cannot be taken away: %v", err)
		}
		if _, err := o.PutApplication(ctx, member1, app("https://directory.example.org/a/9")); !errors.Is(err, errUnfit) {
			t.Errorf("another application of it: %v", err)
		}
	})
}

// TestUnfitWhileFrozen: what is entered for a frozen member is what it gets its
// certificates of once it is thawed. What it had before is left alone.
func TestUnfitWhileFrozen(t *testing.T) {
	w, _ := newFramework(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		ctx, o := t.Context(), r.Operator()
		m := r.application([]string{reader, writer}, acme.IB1Client)
		frozen, err := o.FreezeMember(ctx, member1, engine.Measures{Reason: "fees"})
		if err != nil {
			t.Fatal(err)
		}
		renamed := frozen
		renamed.Name = "Example &amp; Company"
		app := acme.Application{URL: "https://directory.example.org/a..1", Roles: []string{reader}, Trees: []acme.IB1Tree{acme.IB1Client}}
		for way, enter := range map[string]func() error{
			"changed":     func() error { _, err := o.UpdateMember(ctx, renamed); return err },
			"imported":    func() error { _, err := o.ImportMembers(ctx, []acme.Member{renamed}, engine.ImportMode{}); return err },
			"application": func() error { _, err := o.PutApplication(ctx, member1, app); return err },
		} {
			if err := enter(); !errors.Is(err, errUnfit) {
				t.Errorf("%s: %v", way, err)
			}
		}
		if err := w.store.Update(ctx, func(tx storage.Tx) error {
			m, err := tx.Members().Get(member1)
			m.Name = renamed.Name
			return errors.Join(err, tx.Members().Put(m))
		}); err != nil {
			t.Fatal(err)
		}
		narrowed := m.Applications[0]
		narrowed.Roles = []string{reader}
		if got, err := o.PutApplication(ctx, member1, narrowed); err != nil || got.Status != acme.MemberFrozen || len(got.Applications[0].Roles) != 1 {
			t.Errorf("a role cannot be taken away: %v", err)
		}
	})
}

// TestRehearsedBefore: a list of thousands is rehearsed before its commit, which
// everybody else would wait for, and nothing in it twice.
func TestRehearsedBefore(t *testing.T) {
	w, ca := newFramework(t)
	synctest.Test(t, func(t *testing.T) {
		w.t = t
		r := w.start()
		defer r.end()
		ctx, n := t.Context(), 0
		ca.rehearsing = func() {
			n++
			// In a commit this would wait for its own end.
			if err := w.store.Update(ctx, func(storage.Tx) error { return nil }); err != nil {
				t.Error(err)
			}
		}
		var list []acme.Member
		for i := range 3 {
			list = append(list, acme.Member{
				ID: acme.MemberID(fmt.Sprintf("https://directory.example.org/m/%d", i+10)), Name: "Fish & Chips", Country: "GB", Roles: []string{reader},
				Applications: []acme.Application{{URL: fmt.Sprintf("https://directory.example.org/a/%d", i+10), Roles: []string{reader}, Trees: []acme.IB1Tree{acme.IB1Client, acme.IB1Signing}}},
			})
		}
		for _, name := range []string{"Fish & Chips", "Chips & Fish"} {
			for i := range list {
				list[i].Name = name
			}
			if _, err := r.Operator().ImportMembers(ctx, list, engine.ImportMode{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.Operator().ImportMembers(ctx, list, engine.ImportMode{}); err != nil || n != 12 {
			t.Errorf("%d rehearsals of 3 new and 3 renamed members with two kinds of certificate, %v", n, err)
		}
	})
}
