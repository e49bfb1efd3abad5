package standin

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Config says what a server is like.
type Config struct {
	// Name begins errors, "globalsigntest".
	Name string
	// Base is where the service is below its host, "/v2/".
	Base      string
	Endpoints []Endpoint
	// ContentType is that of its JSON, "application/json" unless set.
	ContentType string
	// Faults are kinds that this service has besides FaultKinds, with what they
	// do. Endpoints look at Call.Fault for them; Bend, when set, changes what they
	// have answered.
	Faults []FaultKind
	Bend   func(*Call, Fault)
	// Settle gives everything that is due its outcome. Admit looks at credentials
	// and rates, and answers by itself when it says no. Both run with Lock held.
	Settle func()
	Admit  func(*Call, string) bool
	// Fail answers with an error, in the shape that the service has for them.
	Fail func(c *Call, status int, code, message string)
	// Clock is the time, that of this machine unless set, and Offset is how far it
	// was advanced before.
	Clock  Clock
	Offset time.Duration
	// Journal gets a line of JSON for each event; nil keeps them in memory only.
	Journal io.Writer
	// Seed makes faults that come by chance come the same way again.
	Seed uint64
}

// Clock is where the time comes from; Server.Advance adds to it.
type Clock func() time.Time

// Stopped is a clock that only moves when it is advanced.
func Stopped(at time.Time) Clock { return func() time.Time { return at } }

// Server is what answers. It may be used by several goroutines.
type Server struct {
	cfg Config

	lock    sync.Mutex // guards everything below, and the imitation around it
	offset  time.Duration
	faults  []*Fault
	draws   uint64 // how often chance was asked
	journal []Event
	counts  map[string]int
}

// New makes one. Its endpoints are used as they are.
func New(cfg Config) *Server {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Settle == nil {
		cfg.Settle = func() {}
	}
	if cfg.Admit == nil {
		cfg.Admit = func(*Call, string) bool { return true }
	}
	if cfg.Bend == nil {
		cfg.Bend = func(*Call, Fault) {}
	}
	if cfg.ContentType == "" {
		cfg.ContentType = jsonType
	}
	return &Server{cfg: cfg, offset: cfg.Offset, counts: map[string]int{}}
}

// Lock is held while an endpoint, Settle or Admit runs. Methods that an imitation
// has of its own hold it too.
func (s *Server) Lock() { s.lock.Lock() }

// Unlock ends Lock.
func (s *Server) Unlock() { s.lock.Unlock() }

// Now is the time at the CA.
func (s *Server) Now() time.Time {
	s.Lock()
	defer s.Unlock()
	return s.Time()
}

// Time is Now for those who hold Lock.
func (s *Server) Time() time.Time { return s.cfg.Clock().Add(s.offset).UTC() }

// Ahead is how far the time was advanced, for those who hold Lock.
func (s *Server) Ahead() time.Duration { return s.offset }

// Advance lets time pass.
func (s *Server) Advance(d time.Duration) {
	s.Lock()
	defer s.Unlock()
	s.offset += d
	s.cfg.Settle()
}

// Event is one line of the journal.
type Event struct {
	Time time.Time `json:"time"`
	Kind string    `json:"kind"`
	// Of a request.
	Endpoint string   `json:"endpoint,omitempty"`
	Method   string   `json:"method,omitempty"`
	Path     string   `json:"path,omitempty"`
	Query    string   `json:"query,omitempty"`
	Headers  []string `json:"headers,omitempty"`
	Body     string   `json:"body,omitempty"`
	Status   int      `json:"status,omitempty"` // none when the connection was cut
	Fault    string   `json:"fault,omitempty"`
	// Of what happened to an order, or to a batch of several.
	Order       string   `json:"orderId,omitempty"`
	Certificate int64    `json:"certificateId,omitempty"`
	Reference   string   `json:"reference,omitempty"` // of the customer
	RenewalOf   string   `json:"renewalOf,omitempty"`
	Batch       int64    `json:"batchId,omitempty"`
	BatchName   string   `json:"batchName,omitempty"`
	Profile     int64    `json:"profileId,omitempty"`
	Size        int      `json:"size,omitempty"`
	CommonName  string   `json:"commonName,omitempty"`
	Names       []string `json:"dnsNames,omitempty"`
	Usages      []string `json:"usages,omitempty"`
	Serial      string   `json:"serialNumber,omitempty"`
	NotAfter    string   `json:"notAfter,omitempty"`
	// KeySHA256 is of the SubjectPublicKeyInfo, CertSHA256 of the certificate. A
	// purchase of several has the first key here, and the others in MoreKeys.
	KeySHA256  string   `json:"keySha256,omitempty"`
	MoreKeys   []string `json:"moreKeysSha256,omitempty"`
	CertSHA256 string   `json:"certSha256,omitempty"`
	Reason     string   `json:"reason,omitempty"`
}

// maxJournal bounds the journal in memory; the file has everything.
const maxJournal = 50_000

// Log writes an event down. The caller holds Lock.
func (s *Server) Log(e Event) {
	e.Time = s.Time()
	if len(s.journal) == maxJournal {
		s.journal = slices.Delete(s.journal, 0, maxJournal/2)
	}
	s.journal = append(s.journal, e)
	s.counts[e.Kind]++
	if e.Endpoint != "" {
		s.counts[e.Endpoint]++
	}
	if s.cfg.Journal == nil {
		return
	}
	if line, err := json.Marshal(e); err == nil {
		_, _ = s.cfg.Journal.Write(append(line, '\n')) // a full disk is seen by who reads the journal
	}
}

// Journal returns the events of these kinds, or all.
func (s *Server) Journal(kinds ...string) []Event {
	s.Lock()
	defer s.Unlock()
	var events []Event
	for _, e := range s.journal {
		if len(kinds) == 0 || slices.Contains(kinds, e.Kind) {
			events = append(events, e)
		}
	}
	return events
}

// Purchases are what was bought.
func (s *Server) Purchases() []Event { return s.Journal("purchase") }

// Count is how many requests an endpoint got, or how many events there were of
// a kind.
func (s *Server) Count(name string) int {
	s.Lock()
	defer s.Unlock()
	return s.counts[name]
}

// Counts are all of them.
func (s *Server) Counts() map[string]int {
	s.Lock()
	defer s.Unlock()
	return maps.Clone(s.counts)
}

// Break adds a fault.
func (s *Server) Break(f Fault) error {
	switch {
	case !slices.Contains(s.faultNames(), f.Kind):
		return fmt.Errorf("%s: there is no fault %q; there are %s", s.cfg.Name, f.Kind, strings.Join(s.faultNames(), ", "))
	case f.Endpoint != "" && !slices.Contains(Names(s.cfg.Endpoints), f.Endpoint):
		return fmt.Errorf("%s: there is no endpoint %q; there are %s", s.cfg.Name, f.Endpoint, strings.Join(Names(s.cfg.Endpoints), ", "))
	case (f.Kind == "status" || f.Kind == "status-after") && (f.Status < 300 || f.Status > 599):
		return fmt.Errorf("%s: a fault of kind %s needs a status from 300 to 599", s.cfg.Name, f.Kind)
	case f.Skip < 0 || f.Count < 0 || f.Probability < 0 || f.Probability > 1 || f.Delay < 0:
		return fmt.Errorf("%s: no number of a fault can be negative, and no probability above 1", s.cfg.Name)
	}
	s.Lock()
	defer s.Unlock()
	s.faults = append(s.faults, &f)
	return nil
}

// Mend ends all faults.
func (s *Server) Mend() {
	s.Lock()
	defer s.Unlock()
	s.faults = nil
}
