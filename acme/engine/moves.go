package engine

import (
	"errors"
	"fmt"

	"acmebridge/acme"
	"acmebridge/storage"
)

// errIllegal says that a verb or a step tried a move that the tables of
// package acme do not have. Nothing of its commit is stored (SS-3).
var errIllegal = errors.New("engine: illegal move")

// putOrder stores an order that is stored already, if its status may have
// moved as it did.
func putOrder(tx storage.Tx, o acme.Order) error {
	stored, err := tx.Orders().Get(o.ID)
	if err != nil {
		return err
	}
	if from := stored.Status; from != o.Status && !from.CanBecome(o.Status) && !throughProcessing(from, o.Status) {
		return fmt.Errorf("%w: order %s from %s to %s", errIllegal, o.ID, from, o.Status)
	}
	return tx.Orders().Put(o)
}

// throughProcessing is the one pair of moves that a commit may hold: a
// certificate that was there at once (R8555-7.1.6-1).
func throughProcessing(from, to acme.OrderStatus) bool {
	return from.CanBecome(acme.OrderProcessing) && acme.OrderProcessing.CanBecome(to)
}

// putAuthorization is putOrder for an authorization and its challenges.
func putAuthorization(tx storage.Tx, a acme.Authorization) error {
	stored, err := tx.Authorizations().Get(a.ID)
	if err != nil {
		return err
	}
	if from := stored.Status; from != a.Status && !from.CanBecome(a.Status) {
		return fmt.Errorf("%w: authorization %s from %s to %s", errIllegal, a.ID, from, a.Status)
	}
	for _, c := range a.Challenges {
		i := stored.Challenge(c.Type)
		if i < 0 {
			return fmt.Errorf("%w: authorization %s gets a challenge %s", errIllegal, a.ID, c.Type)
		}
		from := stored.Challenges[i].Status
		// Response and outcome may be one commit.
		if from != c.Status && !from.CanBecome(c.Status) && !(from.CanBecome(acme.ChallengeProcessing) && acme.ChallengeProcessing.CanBecome(c.Status)) {
			return fmt.Errorf("%w: challenge %s of authorization %s from %s to %s", errIllegal, c.Type, a.ID, from, c.Status)
		}
	}
	return tx.Authorizations().Put(a)
}
