package acme

import (
	"fmt"
	"strings"
	"time"
)

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
	// Steps are what was done on the way, in order, for the operator. What the
	// client may know of it is in Problem.
	Steps []Step
	// Expires is when the proof itself ends; zero means that it does not.
	Expires time.Time
	// ReuseFor is how long the proof may serve orders other than its own
	// (RDP-8); zero means as long as the profile says.
	ReuseFor time.Duration
	// CAA is the look at the CAA records that went with the proof, if there was
	// one.
	CAA *CAACheck
}

// Step is one thing that a validation did: it asked the DNS, or it connected
// to an address. Nothing in it was fetched, apart from names (SV-8).
type Step struct {
	// Host is the name or address that it was about. Each redirect leads to
	// the host of a further step.
	Host string
	// Query is the type of the records that were asked for. It is empty when
	// the step was a connection, to Addr, or when there was no Addr to connect
	// to.
	Query string
	Addr  string
	// Aliases are the names that the DNS led to from Host, Records how many
	// records it had at the end, and Authenticated whether DNSSEC vouches for
	// them.
	Aliases       []string
	Records       int
	Authenticated bool
	// Result says what went wrong; empty means nothing.
	Result string
}

// String describes the step in one line.
func (s Step) String() string {
	var b strings.Builder
	switch {
	case s.Query == "" && s.Addr == "":
		b.WriteString("no connection to " + s.Host)
	case s.Query == "":
		b.WriteString("connect to " + s.Addr)
		if !strings.HasPrefix(strings.Trim(s.Addr, "["), s.Host) {
			b.WriteString(" for " + s.Host)
		}
	default:
		b.WriteString(s.Query + " " + s.Host)
		for _, alias := range s.Aliases {
			b.WriteString(" -> " + alias)
		}
		if s.Records == 1 {
			b.WriteString(": 1 record")
		} else {
			fmt.Fprintf(&b, ": %d records", s.Records)
		}
		if s.Authenticated {
			b.WriteString(", authenticated")
		}
	}
	if s.Result != "" {
		b.WriteString(": " + s.Result)
	}
	return b.String()
}
