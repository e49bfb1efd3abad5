package egress

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Bounds of one answer (SD-3). Its size is bounded by the protocol: a message
// has 64 KiB at most.
const (
	maxTXTStrings = 50
	maxCAARecords = 50
)

var (
	contradiction = fmt.Errorf("%w: it says that there is no such name, and gives a record of it", ErrServerFailed)
	referral      = fmt.Errorf("%w: it refers to other servers; the configured server has to be a resolver", ErrServerFailed)
)

// Answer is how an answer was come by.
type Answer struct {
	// Aliases are the names that the question was led to, in order.
	Aliases []string
	// Authenticated says that a resolver has checked the signatures of every
	// part of it (the AD bit).
	Authenticated bool
	// TTL is how long the shortest-lived part may be kept.
	TTL time.Duration
}

// TXTAnswer is the TXT records of a name. The character-strings of a record
// are joined without anything between them (R8555-8.4-4).
type TXTAnswer struct {
	Answer
	Values []string
}

// CAARecord is one CAA record as it stands in the DNS (RFC 8659, 4.1).
type CAARecord struct {
	Flags      uint8
	Tag, Value string
}

// CAAAnswer is the CAA records of one name, or why they are not known.
type CAAAnswer struct {
	Answer
	Name    string
	Records []CAARecord
	Err     error
}

// LookupTXT returns the TXT records of name. Without any, the error is
// ErrNoSuchName or ErrNoRecord; every other error means that nobody could say.
// The answer says how far it got in either case.
func (r *Resolver) LookupTXT(ctx context.Context, name string) (TXTAnswer, error) {
	canonical, err := questionName(name)
	if err != nil {
		return TXTAnswer{}, err
	}
	c := newChase(canonical, dns.TypeTXT)
	r.lookup(ctx, []*chase{c}, nil)
	got := TXTAnswer{Answer: c.answer()}
	if c.err == nil {
		got.Values, c.err = textOf(c.records)
	}
	if c.err != nil {
		return got, fmt.Errorf("egress: look up TXT of %s: %w", name, c.err)
	}
	return got, nil
}

func textOf(records []dns.RR) ([]string, error) {
	if len(records) == 0 {
		return nil, ErrNoRecord
	}
	values := make([]string, 0, len(records))
	n := 0
	for _, rr := range records {
		txt, ok := rr.(*dns.TXT)
		if !ok {
			continue
		}
		if n += max(1, len(txt.Txt)); n > maxTXTStrings {
			return nil, fmt.Errorf("%w: it has more than %d character-strings", ErrLimit, maxTXTStrings)
		}
		values = append(values, unescape(strings.Join(txt.Txt, "")))
	}
	return values, nil
}

// LookupCAA asks for the CAA records of names, all at once, and returns the
// answers in the order of names. It ends with the first answer that has records
// or that is an error other than ErrNoSuchName: what lies behind that decides
// nothing (R8659-3-2).
func (r *Resolver) LookupCAA(ctx context.Context, names ...string) []CAAAnswer {
	chases := make([]*chase, 0, len(names))
	answers := make([]CAAAnswer, 0, len(names))
	for _, name := range names {
		canonical, err := questionName(name)
		if err != nil {
			return append(answers, CAAAnswer{Name: name, Err: err})
		}
		chases = append(chases, newChase(canonical, dns.TypeCAA))
	}
	decides := func(c *chase) bool {
		return len(c.records) > 0 || c.err != nil && !errors.Is(c.err, ErrNoSuchName)
	}
	r.lookup(ctx, chases, func() bool {
		for _, c := range chases {
			if !c.done {
				return false
			}
			if decides(c) {
				return true
			}
		}
		return true
	})
	for i, c := range chases {
		a := CAAAnswer{Answer: c.answer(), Name: names[i], Err: c.err}
		if len(c.records) > maxCAARecords {
			a.Err = fmt.Errorf("%w: it has more than %d records", ErrLimit, maxCAARecords)
		} else {
			for _, rr := range c.records {
				if caa, ok := rr.(*dns.CAA); ok {
					a.Records = append(a.Records, CAARecord{Flags: caa.Flag, Tag: unescape(caa.Tag), Value: caa.Value})
				}
			}
		}
		if a.Err != nil {
			a.Err = fmt.Errorf("egress: look up CAA of %s: %w", names[i], a.Err)
		}
		answers = append(answers, a)
		if decides(c) {
			break
		}
	}
	return answers
}

func (c *chase) answer() Answer {
	return Answer{Aliases: c.aliases(), Authenticated: c.ad, TTL: max(0, c.ttl)}
}

func questionName(name string) (string, error) {
	canonical := dns.CanonicalName(name)
	if _, ok := dns.IsDomainName(canonical); !ok || canonical == "." {
		return "", fmt.Errorf("egress: look up %q: %w: it is not a domain name", name, ErrNoSuchName)
	}
	return canonical, nil
}

// unescape undoes the presentation form in which the library gives texts: \"
// and \\ for themselves, \DDD for what cannot be printed.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b = append(b, s[i])
			continue
		}
		if i+3 < len(s) && isDigit(s[i+1]) && isDigit(s[i+2]) && isDigit(s[i+3]) {
			b = append(b, (s[i+1]-'0')*100+(s[i+2]-'0')*10+s[i+3]-'0')
			i += 3
			continue
		}
		b = append(b, s[i+1])
		i++
	}
	return string(b)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }
