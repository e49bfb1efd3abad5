package standin

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Fault is something that goes wrong with a request.
type Fault struct {
	// Endpoint is whose requests it meets, "order"; empty meets all.
	Endpoint string `json:"endpoint,omitempty"`
	// Kind is what goes wrong.
	Kind string `json:"kind"`
	// Status, Code, Message and RetryAfter are those of kind "status" (the request is
	// not looked at) and "status-after" (it is carried out first).
	Status     int    `json:"status,omitempty"`
	Code       string `json:"code,omitempty"`
	Message    string `json:"message,omitempty"`
	RetryAfter string `json:"retryAfter,omitempty"`
	// Delay is that of the slow kinds.
	Delay Duration `json:"delay,omitempty"`
	// Skip lets that many requests through first; Count is how often it
	// happens, zero for ever; Probability, when not zero, leaves each time to
	// chance.
	Skip        int     `json:"skip,omitempty"`
	Count       int     `json:"count,omitempty"`
	Probability float64 `json:"probability,omitempty"`
}

// FaultKind is something that can go wrong, and what that is.
type FaultKind struct{ Name, What string }

var faultKinds = []FaultKind{
	{"status", "answer with that status and code, and do nothing"},
	{"status-after", "do it and answer with that status all the same"},
	{"reset-before", "cut the connection before doing anything"},
	{"reset-after", "do it and cut the connection: the reply is lost"},
	{"half-body", "do it, and cut the connection in the middle of the answer"},
	{"slow-headers", "let the delay pass before anything is answered"},
	{"slow-body", "let the delay pass in the middle of the answer"},
	{"redirect", "send the client elsewhere"},
	{"html", "do it and answer 200 with a page for people"},
	{"html-502", "do it and answer 502 with a page for people"},
	{"html-400", "answer 400 with a page for people, and do nothing"},
	{"html-404", "answer 404 with a page for people, and do nothing"},
	{"html-422", "answer 422 with a page for people, and do nothing"},
	{"empty", "do it and answer with nothing"},
	{"invalid-json", "do it and cut the JSON short"},
	{"huge", "do it and answer with more than anybody wants"},
}

// FaultKinds lists the kinds of faults, and what they do: those that every service
// has, and further ones.
func FaultKinds(further []FaultKind) []string {
	var names []string
	for _, k := range slices.Concat(faultKinds, further) {
		names = append(names, k.Name+": "+k.What)
	}
	return names
}

// faultNames are those of all kinds.
func (s *Server) faultNames() []string {
	var names []string
	for _, k := range slices.Concat(faultKinds, s.cfg.Faults) {
		names = append(names, k.Name)
	}
	return names
}

// Duration is a time.Duration that JSON writes as "1m30s".
type Duration time.Duration

// MarshalText writes it.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads it.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}

// draw picks the fault of a request, the first that fits, and uses it up.
func (s *Server) draw(name string) Fault {
	for i, f := range s.faults {
		if f.Endpoint != "" && f.Endpoint != name {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Probability > 0 && s.chance() >= f.Probability {
			continue
		}
		found := *f
		if f.Count == 1 {
			s.faults = slices.Delete(slices.Clone(s.faults), i, i+1)
		} else if f.Count > 1 {
			f.Count--
		}
		return found
	}
	return Fault{}
}

// chance is a number from 0 to 1 that is the same for the same seed and turn.
func (s *Server) chance() float64 {
	s.draws++
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, s.cfg.Seed), s.draws))
	return float64(binary.BigEndian.Uint64(sum[:])>>11) / (1 << 53)
}

const (
	page     = "<!DOCTYPE html><html><body><h1>Maintenance</h1><script>alert(1)</script></body></html>"
	pageType = "text/html;charset=UTF-8"
)

// inFront are the pages of something in front of the service, which never gets to
// see the request.
var inFront = map[string]int{"html-400": http.StatusBadRequest, "html-404": http.StatusNotFound, "html-422": http.StatusUnprocessableEntity}

// bend changes the answer to a request that was carried out.
func (s *Server) bend(c *Call, f Fault) {
	switch f.Kind {
	case "reset-after":
		c.status = 0
	case "status-after":
		s.fail(c, f)
	case "html":
		c.Replace(http.StatusOK, pageType, []byte(page))
	case "html-502":
		c.Replace(http.StatusBadGateway, pageType, []byte(page))
	case "empty":
		c.header = http.Header{}
		c.Replace(c.status, c.label, nil)
	case "invalid-json":
		if n := c.answer.Len(); n > 2 {
			c.answer.Truncate(n / 2)
		}
	case "huge":
		c.Replace(http.StatusOK, c.label, []byte(`{"comment":"`+strings.Repeat("A", 6<<20)+`"}`))
	default:
		s.cfg.Bend(c, f)
	}
}

func (s *Server) fail(c *Call, f Fault) {
	code := f.Code
	if code == "" {
		code = "fault"
	}
	message := f.Message
	if message == "" {
		message = http.StatusText(f.Status)
	}
	s.cfg.Fail(c, f.Status, code, message)
	if f.RetryAfter != "" {
		c.header.Set("Retry-After", f.RetryAfter)
	}
}
