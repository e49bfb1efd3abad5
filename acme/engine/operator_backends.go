package engine

import (
	"context"
	"fmt"

	"acmebridge/internal/failpoint"
	"acmebridge/storage"
)

// Backends says how the CAs stand, of those that can be looked at.
func (o Operator) Backends() []Standing { return o.e.Standings() }

// Backend says how one stands.
func (o Operator) Backend(name string) (Standing, error) {
	a, err := o.looking(name)
	if err != nil {
		return Standing{}, err
	}
	return a.current(), nil
}

func (o Operator) looking(name string) (*authority, error) {
	a := o.e.backends[name]
	switch {
	case a == nil:
		return nil, fmt.Errorf("backend %s: %w", name, ErrNoSuch)
	case !a.looksBack():
		return nil, fmt.Errorf("backend %s has nothing that could be looked at", name)
	}
	return a, nil
}

// Survey has a CA looked at now.
func (o Operator) Survey(ctx context.Context, name string) (Standing, error) {
	a, err := o.looking(name)
	if err != nil {
		return Standing{}, err
	}
	if err := o.e.survey(ctx, a); err != nil {
		return Standing{}, err
	}
	return a.current(), nil
}

// AcceptProfile agrees to what the profile of a backend was last seen to be: what
// the operator has been shown, and not what it may have become since. Where
// nothing was seen in this run, and no drift in an earlier one, whatever is seen
// next is agreed on.
func (o Operator) AcceptProfile(ctx context.Context, name string) (Standing, error) {
	a, err := o.looking(name)
	if err != nil {
		return Standing{}, err
	}
	if a.surveyor == nil {
		return Standing{}, fmt.Errorf("backend %s has no profile at a CA that could change", name)
	}
	s := a.standing
	s.surveying.Lock()
	defer s.surveying.Unlock()
	next := s.proposal(o.e.now())
	if err := o.e.commit(ctx, func(tx storage.Tx) error { return putAgreement(tx, a.name, next) }, failpoint.OperatorDecision); err != nil {
		return Standing{}, err
	}
	o.e.log.Info("the operator agrees to the profile as the CA has it now", "event", "ca.accepted", "backend", a.name)
	s.agree(next)
	o.e.nudge()
	return a.current(), nil
}
