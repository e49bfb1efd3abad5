package acme

// Outcome is what one attempt to validate a challenge found.
type Outcome struct {
	Valid bool
	// Problem says why not, with a type of RFC 8555, section 6.7.
	Problem *Problem
	// Retry says that the same attempt may well succeed a little later: nobody
	// answered, rather than somebody gave the wrong answer.
	Retry bool
	// Tried names the addresses that were connected to, for the operator.
	Tried []string
}
