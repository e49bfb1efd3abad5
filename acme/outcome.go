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

// Step is one thing that a validation did: it asked the DNS, connected to an
// address, or was sent on to another host. Nothing in it was fetched, apart from names (SV-8).
type Step struct {
	// Host is the name or address that it was about. Each redirect leads to
	// the host of a further step.
	Host string
	// Query is the type of the records that were asked for. It is empty when
	// the step was a connection, to Addr, or when there was no Addr to connect
	// to.
	Query string
	Addr  string
	// Redirect is where a web server led to, without the path: scheme and host.
	Redirect string
	// Hidden says that Addr is for the operator only: it was not connected to,
	// and may come from a DNS that the client cannot see. Foreign says the same
	// of all names: a web server led to them, who may see more than the client
	// does (SV-8).
	Hidden, Foreign bool
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
	case s.Redirect != "":
		b.WriteString("redirect to " + s.Redirect)
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

// Told describes the step as its client may read it.
func (s Step) Told() string {
	if s.Hidden {
		s.Addr = ""
	}
	if s.Foreign {
		s.Host, s.Aliases = "another host", nil
		if scheme, _, ok := strings.Cut(s.Redirect, "://"); ok {
			s.Redirect = "another host (" + scheme + ")"
		}
	}
	return s.String()
}
