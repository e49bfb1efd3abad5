package acme

import "slices"

// Each table lists every legal move of RFC 8555, section 7.1.6, once: from a
// status to those that may follow. A status that is not in its table is
// unknown and goes nowhere (SP-3); one without successors is final.

// orderMoves: see the comments on the statuses for who makes each move. There
// is no way back, and a valid order stays valid whatever happens to its
// authorizations afterwards.
var orderMoves = map[OrderStatus][]OrderStatus{
	OrderPending:    {OrderReady, OrderInvalid},
	OrderReady:      {OrderProcessing, OrderInvalid},
	OrderProcessing: {OrderValid, OrderInvalid},
	OrderValid:      nil,
	OrderInvalid:    nil,
}

// authorizationMoves adds one move to the RFC's diagram: a client may give up
// a pending authorization (R8555-7.5.2-1, our policy). Expiry ends a pending
// one as well as a valid one.
var authorizationMoves = map[AuthorizationStatus][]AuthorizationStatus{
	AuthorizationPending:     {AuthorizationValid, AuthorizationInvalid, AuthorizationExpired, AuthorizationDeactivated},
	AuthorizationValid:       {AuthorizationExpired, AuthorizationDeactivated, AuthorizationRevoked},
	AuthorizationInvalid:     nil,
	AuthorizationDeactivated: nil,
	AuthorizationExpired:     nil,
	AuthorizationRevoked:     nil,
}

// challengeMoves has the one move that leads nowhere: another try, by the
// server or at the client's request, keeps a challenge in processing.
var challengeMoves = map[ChallengeStatus][]ChallengeStatus{
	ChallengePending:    {ChallengeProcessing},
	ChallengeProcessing: {ChallengeProcessing, ChallengeValid, ChallengeInvalid},
	ChallengeValid:      nil,
	ChallengeInvalid:    nil,
}

// accountMoves: neither the owner nor the operator can undo the end of an account.
var accountMoves = map[AccountStatus][]AccountStatus{
	AccountValid:       {AccountDeactivated, AccountRevoked},
	AccountDeactivated: nil,
	AccountRevoked:     nil,
}

func canBecome[S comparable](moves map[S][]S, from, to S) bool {
	return slices.Contains(moves[from], to)
}

func known[S comparable](moves map[S][]S, s S) bool {
	_, ok := moves[s]
	return ok
}

func final[S comparable](moves map[S][]S, s S) bool {
	next, ok := moves[s]
	return ok && len(next) == 0
}

// CanBecome reports whether an order may move from s to next.
func (s OrderStatus) CanBecome(next OrderStatus) bool { return canBecome(orderMoves, s, next) }

// Known reports whether s is a status that an order can have.
func (s OrderStatus) Known() bool { return known(orderMoves, s) }

// Final reports whether nothing follows s. An unknown status is not final.
func (s OrderStatus) Final() bool { return final(orderMoves, s) }

// CanBecome reports whether an authorization may move from s to next.
func (s AuthorizationStatus) CanBecome(next AuthorizationStatus) bool {
	return canBecome(authorizationMoves, s, next)
}

// Known reports whether s is a status that an authorization can have.
func (s AuthorizationStatus) Known() bool { return known(authorizationMoves, s) }

// Final reports whether nothing follows s. An unknown status is not final.
func (s AuthorizationStatus) Final() bool { return final(authorizationMoves, s) }

// CanBecome reports whether a challenge may move from s to next.
func (s ChallengeStatus) CanBecome(next ChallengeStatus) bool {
	return canBecome(challengeMoves, s, next)
}

// Known reports whether s is a status that a challenge can have.
func (s ChallengeStatus) Known() bool { return known(challengeMoves, s) }

// Final reports whether nothing follows s. An unknown status is not final.
func (s ChallengeStatus) Final() bool { return final(challengeMoves, s) }

// CanBecome reports whether an account may move from s to next.
func (s AccountStatus) CanBecome(next AccountStatus) bool { return canBecome(accountMoves, s, next) }

// Known reports whether s is a status that an account can have.
func (s AccountStatus) Known() bool { return known(accountMoves, s) }

// Final reports whether nothing follows s. An unknown status is not final.
func (s AccountStatus) Final() bool { return final(accountMoves, s) }
