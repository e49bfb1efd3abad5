package acme

import (
	"slices"
	"testing"
)

// machine is what the four kinds of status have in common.
type machine[S any] interface {
	~string
	CanBecome(S) bool
	Known() bool
	Final() bool
}

// checkMachine tries every pair of statuses, an unknown and an empty one
// included: what is not listed as legal must be refused (RFC 8555, 7.1.6).
func checkMachine[S machine[S]](t *testing.T, statuses []S, legal map[S][]S) {
	t.Helper()
	for _, from := range append(slices.Clone(statuses), "canceled", "") {
		for _, to := range append(slices.Clone(statuses), "canceled", "") {
			if got, want := from.CanBecome(to), slices.Contains(legal[from], to); got != want {
				t.Errorf("%q.CanBecome(%q) = %v, want %v", from, to, got, want)
			}
		}
		isKnown := slices.Contains(statuses, from)
		if got := from.Known(); got != isKnown {
			t.Errorf("%q.Known() = %v, want %v", from, got, isKnown)
		}
		if got, want := from.Final(), isKnown && len(legal[from]) == 0; got != want {
			t.Errorf("%q.Final() = %v, want %v", from, got, want)
		}
	}
}

func TestOrderMoves(t *testing.T) { // R8555-7.1.6-3 among others
	t.Parallel()
	checkMachine(t, []OrderStatus{OrderPending, OrderReady, OrderProcessing, OrderValid, OrderInvalid},
		map[OrderStatus][]OrderStatus{
			"pending":    {"ready", "invalid"},
			"ready":      {"processing", "invalid"},
			"processing": {"valid", "invalid"},
		})
}

func TestAuthorizationMoves(t *testing.T) {
	t.Parallel()
	checkMachine(t, []AuthorizationStatus{AuthorizationPending, AuthorizationValid, AuthorizationInvalid,
		AuthorizationDeactivated, AuthorizationExpired, AuthorizationRevoked},
		map[AuthorizationStatus][]AuthorizationStatus{
			"pending": {"valid", "invalid", "expired", "deactivated"},
			"valid":   {"expired", "deactivated", "revoked"},
		})
}

func TestChallengeMoves(t *testing.T) {
	t.Parallel()
	checkMachine(t, []ChallengeStatus{ChallengePending, ChallengeProcessing, ChallengeValid, ChallengeInvalid},
		map[ChallengeStatus][]ChallengeStatus{
			"pending":    {"processing"},
			"processing": {"processing", "valid", "invalid"},
		})
}

func TestAccountMoves(t *testing.T) {
	t.Parallel()
	checkMachine(t, []AccountStatus{AccountValid, AccountDeactivated, AccountRevoked},
		map[AccountStatus][]AccountStatus{"valid": {"deactivated", "revoked"}})
}
