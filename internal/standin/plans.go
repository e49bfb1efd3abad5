package standin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
)

// Outcome is what becomes of an order, in the words of one imitation. Check says
// what is wrong with it.
type Outcome interface{ Check() error }

// Plans say what becomes of orders.
type Plans[O Outcome] struct {
	server    *Server
	otherwise O

	// Guarded by Server.Lock:
	next []O
	all  []plan[O]
}

// plan is an outcome for what has a name of that pattern.
type plan[O Outcome] struct {
	pattern string
	outcome O
}

// NewPlans makes plans for the orders of s, which otherwise come to that.
func NewPlans[O Outcome](s *Server, otherwise O) *Plans[O] {
	return &Plans[O]{server: s, otherwise: otherwise}
}

// Next sets the outcomes of the next orders, in their order, before any plan.
func (p *Plans[O]) Next(outcomes ...O) {
	p.server.Lock()
	defer p.server.Unlock()
	p.next = append(p.next, outcomes...)
}

// Plan sets the outcome of orders whose name fits the pattern, as in path.Match. A
// later plan comes before an earlier one.
func (p *Plans[O]) Plan(pattern string, o O) error {
	if _, err := path.Match(pattern, ""); err != nil {
		return fmt.Errorf("%s: the pattern %q: %w", p.server.cfg.Name, pattern, err)
	}
	if err := o.Check(); err != nil {
		return err
	}
	p.server.Lock()
	defer p.server.Unlock()
	p.all = append([]plan[O]{{pattern, o}}, p.all...)
	return nil
}

// OutcomeFor decides what becomes of a new order. The caller holds Lock.
func (p *Plans[O]) OutcomeFor(name string) O {
	if len(p.next) > 0 {
		o := p.next[0]
		p.next = p.next[1:]
		return o
	}
	for _, plan := range p.all {
		if ok, _ := path.Match(plan.pattern, name); ok {
			return plan.outcome
		}
	}
	return p.otherwise
}

// Instructed adds both to a control port: POST /next with an outcome in JSON, and
// POST /plans with its pattern besides.
func (p *Plans[O]) Instructed(mux *http.ServeMux) {
	mux.HandleFunc("POST /next", Instruct(func(o O) error {
		if err := o.Check(); err != nil {
			return err
		}
		p.Next(o)
		return nil
	}))
	mux.HandleFunc("POST /plans", Instruct(func(given map[string]json.RawMessage) error {
		var pattern string
		if text := given["pattern"]; text != nil {
			if err := json.Unmarshal(text, &pattern); err != nil {
				return err
			}
		}
		delete(given, "pattern")
		rest, err := json.Marshal(given)
		if err != nil {
			return err
		}
		var o O
		d := json.NewDecoder(bytes.NewReader(rest))
		d.DisallowUnknownFields()
		if err := d.Decode(&o); err != nil {
			return err
		}
		return p.Plan(pattern, o)
	}))
}
