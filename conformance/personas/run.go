package personas

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Persona is one client as servers see it.
type Persona struct {
	Name string
	// Release is the one whose source its behaviour was read from.
	Release string
	Stories []Story
}

// Story is something that people do with a client.
type Story struct {
	Name string // obtain, renew, revoke, bind, rollover or account
	Play func(*T)
}

// All lists the personas.
func All() []Persona {
	return []Persona{certbot(), lego(), acmeSh(), xroad(), goCrypto(), acmez(), uacme(), dehydrated(), modMD()}
}

// Report says how the stories that were played ended, by "persona/story".
type Report struct {
	Passed, Different, Failed, NotApplicable []string
	// Why holds what a failed or different story said.
	Why map[string]string
}

// Run plays every story against the server at cfg.DirectoryURL, each as a
// sub-test. When it returns all have ended and nothing listens any more.
func Run(t *testing.T, cfg Config) Report {
	t.Helper()
	s, err := newSuite(cfg)
	if err != nil {
		t.Fatalf("personas: %v", err)
	}
	defer s.close()
	report := Report{Why: map[string]string{}}
	listed := map[string]bool{}
	var mu sync.Mutex
	t.Run("personas", func(t *testing.T) { // the group waits for its parallel sub-tests
		for _, p := range All() {
			for _, story := range p.Stories {
				name := p.Name + "/" + story.Name
				listed[name] = true
				if s.cfg.Match != nil && !s.cfg.Match(p.Name, story.Name) {
					continue
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					r := s.play(t.Context(), p, story)
					mu.Lock()
					defer mu.Unlock()
					r.judge(t, name, s.cfg.Differences[name], &report)
				})
			}
		}
	})
	for name := range s.cfg.Differences {
		if !listed[name] {
			t.Errorf("personas: Differences lists %s, which is no story", name)
		}
	}
	for _, list := range []*[]string{&report.Passed, &report.Different, &report.Failed, &report.NotApplicable} {
		slices.Sort(*list)
	}
	return report
}

// Play plays the stories without a test around them: nothing is reported but the
// outcome. It is for whoever wants to see a story fail, and Differences is not
// consulted.
func Play(ctx context.Context, cfg Config) (Report, error) {
	s, err := newSuite(cfg)
	if err != nil {
		return Report{}, fmt.Errorf("personas: %w", err)
	}
	defer s.close()
	report := Report{Why: map[string]string{}}
	var (
		mu sync.Mutex
		wg sync.WaitGroup
	)
	for _, p := range All() {
		for _, story := range p.Stories {
			if s.cfg.Match != nil && !s.cfg.Match(p.Name, story.Name) {
				continue
			}
			wg.Go(func() {
				r := s.play(ctx, p, story)
				mu.Lock()
				defer mu.Unlock()
				name := p.Name + "/" + story.Name
				switch {
				case r.failure != "":
					report.Failed = append(report.Failed, name)
					report.Why[name] = r.failure
				case r.notApplicable != "":
					report.NotApplicable = append(report.NotApplicable, name)
				default:
					report.Passed = append(report.Passed, name)
				}
			})
		}
	}
	wg.Wait()
	return report, nil
}

// suite is what all stories of one run share.
type suite struct {
	cfg    Config
	http01 *responder
	named  atomic.Int64
	runID  string // makes the names of two runs differ
}

func newSuite(cfg Config) (*suite, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	var random [4]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("read random bytes: %w", err)
	}
	ln := cfg.HTTP01Listener
	if ln == nil {
		if ln, err = net.Listen("tcp", cfg.HTTP01Addr); err != nil {
			return nil, fmt.Errorf("listen for http-01 validations (set HTTP01Addr): %w", err)
		}
	}
	return &suite{cfg: cfg, http01: newResponder(ln), runID: hex.EncodeToString(random[:])}, nil
}

func (s *suite) close() { s.http01.close() }

// result is what one story came to.
type result struct{ failure, notApplicable string }

// judge is called with the report locked.
func (r result) judge(t testing.TB, name, difference string, report *Report) {
	t.Helper()
	switch {
	case r.failure != "" && difference != "":
		t.Logf("differs as reviewed (%s):\n%s", difference, r.failure)
		report.Different = append(report.Different, name)
		report.Why[name] = r.failure
	case r.failure != "":
		t.Error(r.failure)
		report.Failed = append(report.Failed, name)
		report.Why[name] = r.failure
	case difference != "" && !strings.HasPrefix(difference, "sometimes:"):
		t.Errorf("stale difference: the story passes or is not applicable; remove it from the list (%s)", difference)
		report.Failed = append(report.Failed, name)
	case r.notApplicable != "":
		t.Logf("not applicable: %s", r.notApplicable)
		report.NotApplicable = append(report.NotApplicable, name)
	default:
		report.Passed = append(report.Passed, name)
	}
}

// T is handed to a story. Like the client it plays, a story ends at the first
// thing it cannot cope with.
type T struct {
	suite   *suite
	ctx     context.Context
	clock   Clock
	persona string
	result  result
	atEnd   []func()
}

// stop unwinds a story.
type stop struct{}

// play plays one story in a time limit of its own, so that a server which stops
// answering fails what it breaks and not the whole run.
func (s *suite) play(ctx context.Context, p Persona, story Story) (r result) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Minute)
	defer cancel()
	t := &T{suite: s, ctx: ctx, clock: s.cfg.NewClock(), persona: p.Name}
	defer func() {
		for _, end := range t.atEnd {
			end()
		}
		if thrown := recover(); thrown != nil {
			if _, ours := thrown.(stop); !ours {
				panic(thrown)
			}
		}
		r = t.result
	}()
	story.Play(t)
	return t.result
}

// need ends the story unless ok. because completes the sentence "certbot would
// fail because ..."; id is the requirement that the server then breaks.
func (t *T) need(ok bool, x *exchange, id, because string, args ...any) {
	if ok {
		return
	}
	t.result.failure = fmt.Sprintf("%s would fail because %s (%s)", t.persona, fmt.Sprintf(because, args...), id)
	if x != nil {
		t.result.failure += "\n" + x.String()
	}
	panic(stop{})
}

// broken ends the story over something that is not the server's fault.
func (t *T) broken(format string, args ...any) {
	t.result.failure = fmt.Sprintf("%s could not be played: %s", t.persona, fmt.Sprintf(format, args...))
	panic(stop{})
}

// notApplicable ends the story because the server does not offer what it uses.
func (t *T) notApplicable(format string, args ...any) {
	t.result.notApplicable = fmt.Sprintf(format, args...)
	panic(stop{})
}

func (t *T) sleep(d time.Duration) {
	if d <= 0 {
		return
	}
	if err := t.clock.Sleep(t.ctx, d); err != nil {
		t.broken("sleep: %v", err)
	}
}

// newName makes a name that no other story and no other run uses.
func (t *T) newName() string {
	s := t.suite
	label := strings.ToLower(strings.Map(func(r rune) rune {
		if r == '.' || r == '_' {
			return -1
		}
		return r
	}, t.persona))
	return fmt.Sprintf("%s-%d-%s.%s", label, s.named.Add(1), s.runID, s.cfg.NameSuffix)
}
