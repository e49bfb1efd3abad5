package backendtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"acmebridge/backends"
)

// several is a client that takes four requests at once.
type several struct{ *client }

func (several) Batching() (int, time.Duration) { return 4, time.Second }
func (several) MayJoin(backends.Request) bool  { return true }

// known is what a request is found by.
func known(r backends.Request) backends.Request {
	if r.Batch != "" {
		r.Key = r.Batch + "/" + r.Key
	}
	return r
}

func (s several) SubmitBatch(_ context.Context, rs []backends.Request) (tickets []backends.Ticket, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range rs {
		s.byKey[known(r).Key] = len(s.orders)
		tickets = append(tickets, backends.Ticket(fmt.Sprint("o", len(s.orders))))
		s.orders = append(s.orders, &order{request: r})
	}
	if s.loseNext {
		s.loseNext = false
		if s.fault == "lost is not sent" {
			return nil, backends.NotSent(errConnect)
		}
		if s.fault == "lost may go alone" {
			return nil, fmt.Errorf("no: %w", backends.ErrTogether)
		}
		return nil, errors.New("connection reset")
	}
	switch s.fault {
	case "swaps tickets":
		slices.Reverse(tickets)
	case "a ticket short":
		tickets = tickets[1:]
	}
	return tickets, nil
}

func (s several) Find(ctx context.Context, r backends.Request) (backends.Ticket, bool, error) {
	return s.client.Find(ctx, known(r))
}

func subjectOfSeveral(t *testing.T, fault string) Subject {
	s := subject(t, fault, false)
	c := s.Backend.(*client)
	s.Backend, s.Reopen = several{c}, func() backends.Backend { return several{c} }
	return s
}

func TestRunSeveral(t *testing.T) {
	Run(t, func(t *testing.T) Subject { return subjectOfSeveral(t, "") })
}

// TestSeveralFaults: the check of several at once notices what goes wrong.
func TestSeveralFaults(t *testing.T) {
	const name = "the engine sends several at once, and pays once for each"
	for _, fault := range []string{"lost is not sent", "lost may go alone", "swaps tickets", "finds nothing"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			if err := runNamed(t.Context(), t, name, subjectOfSeveral(t, fault)); err == nil {
				t.Error("nobody noticed")
			}
		})
	}
	t.Run("a ticket short", func(t *testing.T) {
		t.Parallel()
		// Which is an unknown outcome, and each finds its own.
		if err := runNamed(t.Context(), t, name, subjectOfSeveral(t, "a ticket short")); err != nil {
			t.Error(err)
		}
	})
}
