package challenges

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"

	"acmebridge/acme"
	"acmebridge/internal/egress"
)

// failure is why an attempt failed, without a byte that was fetched (SV-8).
type failure struct {
	kind  acme.ProblemType
	retry bool
	why   string
}

// trial is what the attempts of all methods have in common: whom they work
// for, what they may use of the DNS, and what they have done so far.
type trial struct {
	caller context.Context // ends when nobody wants the result any more
	looked *egress.Lookups
	tried  []string
	steps  []acme.Step
	// own is the host that the client has named; empty where nothing leads away
	// from it.
	own string
	// at are the addresses that the latest host was connected to at.
	at []netip.AddrPort
}

// begin starts an attempt that takes no longer than timeout (SV-12), and whose
// look-ups count together (SD-3).
func begin(caller context.Context, timeout time.Duration) (context.Context, *trial, context.CancelFunc) {
	ctx, done := context.WithTimeout(caller, timeout)
	ctx, looked := egress.WithLookups(ctx)
	return ctx, &trial{caller: caller, looked: looked}, done
}

// outcome ends an attempt. where says what the failure was about.
func (t *trial) outcome(failed *failure, where func() string) acme.Outcome {
	t.learn()
	out := acme.Outcome{Valid: failed == nil, Tried: t.tried, Steps: t.steps}
	if failed != nil {
		out.Retry = failed.retry
		out.Problem = acme.Problemf(failed.kind, "%s: %s", where(), failed.why)
	}
	return out
}

// foreign reports whether a host is none of the client's: neither what it has
// named, nor above or below that.
func (t *trial) foreign(host string) bool {
	return t.own != "" && host != t.own && !strings.HasSuffix(host, "."+t.own) && !strings.HasSuffix(t.own, "."+host)
}

// learn notes the look-ups that have ended.
func (t *trial) learn() {
	for _, l := range t.looked.Take() {
		t.steps = append(t.steps, acme.Step{
			Host: l.Name, Foreign: t.foreign(l.Name), Query: l.Type, Aliases: l.Aliases, Records: l.Records, Authenticated: l.Authenticated, Result: l.Outcome(),
		})
	}
}

// resolve returns the addresses of host that may be connected to, IPv6 first.
func (t *trial) resolve(ctx context.Context, d *egress.Dialer, host string) ([]netip.Addr, *failure) {
	t.at = nil
	addrs, err := d.Lookup(ctx, host)
	t.learn()
	if err != nil {
		if errors.Is(err, egress.ErrDenied) {
			t.steps = append(t.steps, acme.Step{Host: host, Foreign: t.foreign(host), Result: "no address that may be connected to"})
		}
		return nil, t.lookupFailure(err)
	}
	return addrs, nil
}

// dial connects to the first of addrs. With second, it tries one IPv4 address
// as well when IPv6 cannot be connected to (DH-7).
func (t *trial) dial(ctx context.Context, d *egress.Dialer, host string, port uint16, addrs []netip.Addr, second bool) (net.Conn, *failure) {
	t.at = nil
	candidates := addrs[:1]
	if second && addrs[0].Is6() {
		if i := slices.IndexFunc(addrs, netip.Addr.Is4); i > 0 {
			candidates = []netip.Addr{addrs[0], addrs[i]}
		}
	}
	var failed *failure
	for _, addr := range candidates {
		to := netip.AddrPortFrom(addr, port)
		c, err := d.DialAddr(ctx, to)
		step := acme.Step{Host: host, Foreign: t.foreign(host), Addr: to.String()}
		switch {
		case errors.Is(err, egress.ErrDenied):
			failed = t.refused(err)
			step.Result, step.Hidden = "not allowed", true
		case err != nil:
			t.at = append(t.at, to)
			t.tried = append(t.tried, to.String())
			failed = t.networkFailure(err, "connecting")
			step.Result = failed.why
		default:
			t.at = []netip.AddrPort{to}
			t.tried = append(t.tried, to.String())
		}
		t.steps = append(t.steps, step)
		if err == nil {
			return c, nil
		}
	}
	return nil, failed
}

// addresses says where the latest host was connected to.
func (t *trial) addresses() string {
	var b strings.Builder
	for i, ap := range t.at {
		if i == 0 {
			b.WriteString(" at ")
		} else {
			b.WriteString(" and ")
		}
		b.WriteString(ap.String())
	}
	return b.String()
}

// refused is the failure for what the policy does not allow. The client
// learns the class, so that it knows what to publish or to ask for; the
// address may come from a DNS that it cannot see, so only the operator does.
func (t *trial) refused(err error) *failure {
	why := "this server does not connect to the address of the host"
	var denied *egress.DeniedError
	if errors.As(err, &denied) {
		t.tried = append(t.tried, denied.Error())
		switch denied.Class {
		case egress.OwnListener, egress.OperatorDenied, egress.ReservedName:
		default:
			why = fmt.Sprintf("this server does not connect to %s addresses, and the host has no other", denied.Class)
		}
		if denied.Openable {
			why += "; its operator can open prefixes with validation.allow"
		}
	}
	return &failure{kind: acme.Connection, why: why}
}

func (t *trial) lookupFailure(err error) *failure {
	dns := func(retry bool, why string) *failure {
		return &failure{kind: acme.DNS, retry: retry, why: why}
	}
	switch {
	case errors.Is(err, egress.ErrDenied):
		return t.refused(err)
	case errors.Is(t.caller.Err(), context.Canceled):
		return interrupted()
	case errors.Is(err, egress.ErrNoSuchName):
		return dns(false, "the host name does not exist in the DNS (NXDOMAIN)")
	case errors.Is(err, egress.ErrNoAddress):
		return dns(false, "the host name has neither an A nor an AAAA record")
	case errors.Is(err, egress.ErrBadAlias):
		return dns(false, "the CNAME records of the host name go in a circle or on for too long")
	case errors.Is(err, egress.ErrServerFailed):
		return dns(true, "the DNS server could not look the host name up (SERVFAIL or the like)")
	case errors.Is(err, egress.ErrNotAuthenticated):
		return dns(false, "the addresses of the host name are not authenticated by DNSSEC, which this server insists on")
	case errors.Is(err, egress.ErrLimit):
		return dns(false, "looking the host name up takes more questions or larger answers than one validation may use")
	default:
		return dns(true, egress.ErrNoAnswer.Error()+" in time")
	}
}

// networkFailure says what went wrong on the network in words of our own: the
// text of err may quote what was received (SV-8). It is nil when err came from
// what was received.
func (t *trial) networkFailure(err error, doing string) *failure {
	again := func(why string) *failure {
		return &failure{kind: acme.Connection, retry: true, why: why + " while " + doing}
	}
	var timeout net.Error
	switch {
	case errors.Is(t.caller.Err(), context.Canceled):
		return interrupted()
	case errors.Is(err, egress.ErrBusy):
		return &failure{kind: acme.ServerInternal, retry: true, why: "this server is busy with other validations in the same network"}
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return again("time ran out")
	case errors.Is(err, syscall.ECONNREFUSED):
		return again("the connection was refused")
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return again("the connection was reset")
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return again("there was no route to the address")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return again("the connection was closed")
	case doing == "connecting":
		return again("no connection came about")
	default:
		return nil
	}
}

// interrupted is the failure when the caller stopped waiting, at shutdown.
func interrupted() *failure {
	return &failure{kind: acme.ServerInternal, retry: true, why: "the validation was interrupted; it will be tried again"}
}
