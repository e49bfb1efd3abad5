package acmetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Case is one check, named by the requirement it comes from.
type Case struct {
	ID   string // requirement row, such as "R8555-6.2-5"
	Name string // what is checked, in words joined by hyphens
	Run  func(*T)
}

// FullName is how the case appears as a sub-test and in Config.Differences.
func (c Case) FullName() string { return c.ID + "/" + c.Name }

// Cases lists every case in the order of the RFC's sections.
func Cases() []Case {
	return slices.Concat(
		transportCases(), methodCases(), linkCases(),
		envelopeCases(), headerCases(), signatureCases(), jwkCases(), payloadCases(),
		nonceCases(), limitCases(),
		directoryCases(), profileCases(), renewalInfoCases(),
		accountCases(), accountUpdateCases(), contactCases(), deactivationCases(),
		bindingCases(), bindingHeaderCases(),
		keyChangeCases(), keyChangeInnerCases(),
		orderCases(), identifierCases(), orderTimeCases(), ownershipCases(),
		authorizationCases(), reuseCases(), preAuthorizationCases(),
		challengeCases(), validationCases(),
		finalizeCases(), csrCases(), csrNameCases(),
		certificateCases(),
		revokeCases(), revokeRequestCases(),
		clientCases(),
	)
}

// Report says how the cases that ran ended.
type Report struct {
	Passed        []string
	Different     []string // failed, and are listed in Config.Differences
	Failed        []string
	NotApplicable []string // the server does not offer what the case needs
}

// Run checks the server at cfg.DirectoryURL, one sub-test per case. When it
// returns all cases have ended and nothing listens any more.
func Run(t *testing.T, cfg Config) Report {
	t.Helper()
	cfg, err := cfg.withDefaults()
	if err != nil {
		t.Fatalf("acmetest: %v", err)
	}
	cases := Cases()
	for _, problem := range checkNames(cases, cfg.Differences) {
		t.Error(problem)
	}
	s, err := newSuite(t.Context(), cfg)
	if err != nil {
		t.Fatalf("acmetest: %v", err)
	}
	defer s.close()

	var (
		mu     sync.Mutex
		report Report
	)
	// The group makes Run wait for its parallel sub-tests, so that a caller may
	// stop its server in a defer.
	t.Run("acme", func(t *testing.T) {
		for _, c := range cases {
			if cfg.Match != nil && !cfg.Match(c) {
				continue
			}
			t.Run(c.FullName(), func(t *testing.T) {
				t.Parallel()
				result := s.run(t.Context(), c)
				list := result.judge(t, cfg.Differences[c.FullName()], &report)
				mu.Lock()
				defer mu.Unlock()
				*list = append(*list, c.FullName())
			})
		}
	})
	for _, list := range []*[]string{&report.Passed, &report.Different, &report.Failed, &report.NotApplicable} {
		slices.Sort(*list)
	}
	t.Logf("acmetest: %d passed, %d differ as reviewed, %d failed, %d not applicable",
		len(report.Passed), len(report.Different), len(report.Failed), len(report.NotApplicable))
	return report
}

// checkNames finds names used twice and differences that name no case: after a
// rename such an entry would silently excuse nothing.
func checkNames(cases []Case, differences map[string]string) (problems []string) {
	known := map[string]bool{}
	for _, c := range cases {
		if known[c.FullName()] {
			problems = append(problems, fmt.Sprintf("acmetest: two cases are called %s", c.FullName()))
		}
		known[c.FullName()] = true
	}
	for name, reason := range differences {
		if !known[name] {
			problems = append(problems, fmt.Sprintf("acmetest: Differences lists %s, which is no case", name))
		}
		if reason == "" {
			problems = append(problems, fmt.Sprintf("acmetest: Differences lists %s without a reason", name))
		}
	}
	slices.Sort(problems)
	return problems
}

// result is what one case came to, before the list of differences is consulted.
type result struct {
	failures      []string
	notApplicable string
}

// judge turns a result into the verdict of the sub-test and returns the list of
// the report it belongs to.
func (r result) judge(t testing.TB, difference string, report *Report) *[]string {
	t.Helper()
	switch {
	case r.notApplicable != "" && len(r.failures) == 0:
		if difference != "" {
			t.Errorf("stale difference: the case is not applicable here (%s); remove it from the list (%s)", r.notApplicable, difference)
			return &report.Failed
		}
		t.Logf("not applicable: %s", r.notApplicable)
		return &report.NotApplicable
	case len(r.failures) == 0:
		if difference != "" && !strings.HasPrefix(difference, "sometimes:") {
			t.Errorf("stale difference: the case passes; remove it from the list (%s)", difference)
			return &report.Failed
		}
		return &report.Passed
	case difference != "":
		t.Logf("differs as reviewed (%s):\n%s", difference, strings.Join(r.failures, "\n"))
		return &report.Different
	default:
		for _, f := range r.failures {
			t.Error(f)
		}
		return &report.Failed
	}
}

// T is handed to a case. Its failures are collected and judged afterwards,
// because a case listed as a difference has to fail without failing the run.
type T struct {
	suite *suite
	ctx   context.Context

	mu     sync.Mutex // cases may fail from several goroutines
	result result
}

// stop unwinds a case after Fatalf or NotApplicable.
type stop struct{}

// Errorf records a failure and goes on.
func (t *T) Errorf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.result.failures = append(t.result.failures, fmt.Sprintf(format, args...))
}

// Fatalf records a failure and ends the case. Only the goroutine of the case may
// call it.
func (t *T) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	panic(stop{})
}

// NotApplicable ends the case because the server does not offer what it checks.
func (t *T) NotApplicable(format string, args ...any) {
	t.mu.Lock()
	t.result.notApplicable = fmt.Sprintf(format, args...)
	t.mu.Unlock()
	panic(stop{})
}

// run runs one case in a time limit of its own, so that a server that stops
// answering fails the cases it breaks and not the whole run.
func (s *suite) run(ctx context.Context, c Case) result {
	ctx, cancel := context.WithTimeout(ctx, 2*s.cfg.PollTimeout+10*time.Second)
	defer cancel()
	t := &T{suite: s, ctx: ctx}
	t.guard(c.Run)
	return t.result
}

// guard runs fn and stops at what Fatalf and NotApplicable throw.
func (t *T) guard(fn func(*T)) {
	defer func() {
		if r := recover(); r != nil {
			if _, ours := r.(stop); !ours {
				panic(r)
			}
		}
	}()
	fn(t)
}

// shared is something several cases only read, such as an issued certificate. The
// first case to ask makes it; when that fails, all of them fail with the reason.
type shared[V any] struct {
	once   sync.Once
	value  V
	result result
}

func (s *shared[V]) get(t *T, make func(*T) V) V {
	s.once.Do(func() {
		maker := &T{suite: t.suite, ctx: t.ctx}
		maker.guard(func(m *T) { s.value = make(m) })
		s.result = maker.result
	})
	if len(s.result.failures) > 0 {
		t.Fatalf("what this case needs could not be made: %s", strings.Join(s.result.failures, "; "))
	}
	if s.result.notApplicable != "" {
		t.NotApplicable("%s", s.result.notApplicable)
	}
	return s.value
}
