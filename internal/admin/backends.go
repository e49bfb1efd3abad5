package admin

import (
	"net/http"
	"time"

	"acmebridge/acme/engine"
	"acmebridge/backends"
)

// Backend is how the CA of a backend stands, as far as it can be looked at.
type Backend struct {
	Name string `json:"name"`
	// SeenAt is when the CA was last looked at with success, in this run.
	SeenAt  *time.Time `json:"seen_at,omitempty"`
	Subject string     `json:"subject,omitempty"`
	Balance *int64     `json:"balance,omitempty"`
	// Stops is "nothing", "new orders" or "all purchases".
	Stops    string            `json:"stops"`
	Findings []Finding         `json:"findings"`
	Facts    map[string]string `json:"facts,omitempty"`
	AgreedAt *time.Time        `json:"agreed_at,omitempty"`
	Drift    []string          `json:"drift,omitempty"`
	Orphans  []Orphan          `json:"orphans,omitempty"`
}

// Finding is something that is not as it should be.
type Finding struct {
	Kind  string `json:"kind"`
	Text  string `json:"text"`
	Stops string `json:"stops"`
}

// Orphan is a request of ours at a CA that nothing here knows of.
type Orphan struct {
	Label string     `json:"label"`
	Key   string     `json:"key"`
	At    *time.Time `json:"at,omitempty"`
}

func (h *handler) mountBackends(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/backends", h.answer(func(*http.Request) (any, error) {
		return Page[Backend]{Items: views(h.Operator.Backends(), viewBackend)}, nil
	}))
	one := func(get func(r *http.Request, name string) (engine.Standing, error)) http.HandlerFunc {
		return h.answer(func(r *http.Request) (any, error) {
			s, err := get(r, r.PathValue("name"))
			if err != nil {
				return nil, err
			}
			return viewBackend(s), nil
		})
	}
	mux.HandleFunc("GET /v1/backends/{name}", one(func(_ *http.Request, name string) (engine.Standing, error) { return h.Operator.Backend(name) }))
	mux.HandleFunc("POST /v1/backends/{name}/survey", one(func(r *http.Request, name string) (engine.Standing, error) {
		if h.Offline {
			return h.Operator.Backend(name) // a command over the data logs in nowhere
		}
		return h.Operator.Survey(r.Context(), name)
	}))
	mux.HandleFunc("POST /v1/backends/{name}/accept", one(func(r *http.Request, name string) (engine.Standing, error) {
		return h.Operator.AcceptProfile(r.Context(), name)
	}))
}

func viewBackend(s engine.Standing) Backend {
	return Backend{
		Name: s.Backend, SeenAt: timeOf(s.At), Subject: s.Subject, Balance: s.Balance, Stops: s.Stops().String(),
		Findings: views(s.Findings, func(f backends.Finding) Finding {
			return Finding{Kind: string(f.Kind), Text: f.Text, Stops: f.Stops.String()}
		}),
		Facts: s.Facts, AgreedAt: timeOf(s.AgreedAt), Drift: s.Drift,
		Orphans: views(s.Orphans, func(r backends.Sighting) Orphan { return Orphan{Label: r.Label, Key: r.Key, At: timeOf(r.At)} }),
	}
}
