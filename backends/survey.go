package backends

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Surveyor is a backend whose CA changes without us: somebody edits a profile,
// the balance runs out, somebody orders in our name. The engine looks at its
// start and every hour after that, keeps what certificates were meant to be
// like, and decides what may still be bought.
type Surveyor interface {
	// Survey looks, and buys nothing. An error says that nothing could be seen;
	// what could be seen and is not as it should be is a Finding.
	Survey(ctx context.Context) (Survey, error)
}

// Survey is what a CA was seen to be like.
type Survey struct {
	// Subject is what was looked at, by the names that the configuration has:
	// facts of another subject are not compared.
	Subject string
	// Facts are what decides how certificates turn out, by name. Names begin
	// with their group, "parameter/dNSName".
	Facts map[string]string
	// Unseen are the groups that we have no right to see.
	Unseen []string
	// Balance is how many certificates are left to buy, nil where nobody counts.
	Balance *int64
	// Findings are in the order in which they should be told.
	Findings []Finding
	// Requests are those that bear our mark, oldest first.
	Requests []Sighting
}

// Sighting is a request that a CA has and that bears our mark.
type Sighting struct {
	// Key is that of the Request that made it. Where several were sent together
	// it is that of the first, and Batch is theirs.
	Key, Batch string
	// Label says to a person at the CA which one it is, and what became of it.
	Label string
	At    time.Time
	// Over says that there is nothing in it to take care of.
	Over bool
	// Elsewhere says that it bears the mark of another server on the account, so
	// that nothing here need know of it.
	Elsewhere bool
}

// FindingKind sorts findings. The kinds are few and fixed, because metrics are
// labelled with them.
type FindingKind string

// The kinds.
const (
	// FindingLogin: the CA does not let us in.
	FindingLogin FindingKind = "login"
	// FindingUnreachable: nothing could be seen.
	FindingUnreachable FindingKind = "unreachable"
	// FindingProfile: what should be bought is not there, or not for us.
	FindingProfile FindingKind = "profile"
	// FindingParameters: what is sent along with a request does not fit.
	FindingParameters FindingKind = "parameters"
	// FindingBalance: little is left to buy, or nothing.
	FindingBalance FindingKind = "balance"
	// FindingDrift: what is bought is not what it was.
	FindingDrift FindingKind = "drift"
	// FindingOrphan: the CA has requests of ours that we know nothing of.
	FindingOrphan FindingKind = "orphan"
	// FindingOther is anything else that a Checker complains of.
	FindingOther FindingKind = "other"
)

// FindingKinds lists them all.
func FindingKinds() []FindingKind {
	return []FindingKind{
		FindingLogin, FindingUnreachable, FindingProfile, FindingParameters, FindingBalance, FindingDrift, FindingOrphan, FindingOther,
	}
}

// Stop says what must not be bought because of a finding.
type Stop int

// The stops, each of which includes those before it.
const (
	StopNothing Stop = iota
	// StopNew: only renewals are bought.
	StopNew
	StopAll
)

// String returns the word for it.
func (s Stop) String() string {
	switch s {
	case StopNew:
		return "new orders"
	case StopAll:
		return "all purchases"
	case StopNothing:
	}
	return "nothing"
}

// Finding is something that is not as it should be.
type Finding struct {
	Kind FindingKind
	// Text says what is the matter and what to do, to the operator.
	Text  string
	Stops Stop
}

// ErrExhausted is in the chain of an error when there is nothing left to buy
// with. The request was not sent, and waits until there is (SC-16).
var ErrExhausted = errors.New("nothing is left to buy with")

// Drift says how what is seen differs from what was agreed on, one sentence for
// each fact; none when they are the same. Groups that cannot be seen now say
// nothing, and a group that could not be seen before has nothing to differ from.
func Drift(agreed map[string]string, seen Survey) []string {
	groups := map[string]bool{}
	for name := range agreed {
		groups[group(name)] = true
	}
	var all []string
	names := maps.Clone(agreed)
	if names == nil {
		names = map[string]string{}
	}
	maps.Copy(names, seen.Facts)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if slices.Contains(seen.Unseen, group(name)) || !groups[group(name)] {
			continue
		}
		was, before := agreed[name]
		is, now := seen.Facts[name]
		switch {
		case before && !now:
			all = append(all, fmt.Sprintf("%s is gone (it was %q)", name, was))
		case !before:
			all = append(all, fmt.Sprintf("%s is new: %q", name, is))
		case was != is:
			all = append(all, fmt.Sprintf("%s was %q and is %q", name, was, is))
		}
	}
	return all
}

// Agree is what to agree on after a survey without drift: what was agreed on
// before, and the groups that can be seen for the first time.
func Agree(agreed map[string]string, seen Survey) map[string]string {
	all := maps.Clone(seen.Facts)
	if all == nil {
		all = map[string]string{}
	}
	for name, value := range agreed {
		if slices.Contains(seen.Unseen, group(name)) {
			all[name] = value
		}
	}
	return all
}

func group(name string) string {
	g, _, _ := strings.Cut(name, "/")
	return g
}
