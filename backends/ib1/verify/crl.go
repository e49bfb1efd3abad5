package verify

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// CRLConfig says where revocation lists come from. The zero value is a cache
// that has what Add gave it.
type CRLConfig struct {
	// Fetch gets the list, in DER, for certificates of an issuer. The URL is the
	// one in the certificate, or empty if that names none. FetchHTTP is one.
	// Without it only Add brings lists.
	Fetch func(ctx context.Context, issuer *x509.Certificate, url string) ([]byte, error)
	// FetchTimeout bounds one fetch; 10 seconds without it.
	FetchTimeout time.Duration
	// MaxAge is how long a fetched list serves before a newer one is looked for;
	// an hour without it. The old one serves on, until its own end, when none
	// can be had.
	MaxAge time.Duration
	// RetryAfter is how long a failed fetch is left alone; a minute without it.
	RetryAfter time.Duration
}

// CRLs has the revocation lists of the issuers of one or more trees. Lists are
// kept by name and key of the issuer, since generations of issuers share a name.
// It is safe for concurrent use.
type CRLs struct {
	cfg     CRLConfig
	mu      sync.Mutex
	shelves map[shelfKey]*shelf
}

type shelfKey struct{ issuer, key string }

// shelf has the lists of one issuer.
type shelf struct {
	mu    sync.Mutex
	lists []*list
	tried map[string]attempt // by URL
	// dropped is what was wrong with the last list that was thrown away.
	dropped error

	fetching sync.Mutex // held by the one who fetches
}

type attempt struct {
	at  time.Time
	err error
}

// NewCRLs returns an empty cache.
func NewCRLs(cfg CRLConfig) *CRLs {
	def := func(d *time.Duration, value time.Duration) {
		if *d <= 0 {
			*d = value
		}
	}
	def(&cfg.FetchTimeout, 10*time.Second)
	def(&cfg.MaxAge, time.Hour)
	def(&cfg.RetryAfter, time.Minute)
	return &CRLs{cfg: cfg, shelves: make(map[shelfKey]*shelf)}
}

// Add takes a list in DER. Its signature is looked at when it is first needed,
// because only then its issuer is known; a list with a higher number takes the
// place of one with a lower.
func (c *CRLs) Add(der []byte) error {
	l, err := parseList(der)
	if err != nil {
		return err
	}
	if len(l.AuthorityKeyId) == 0 {
		return CRLIssuer.becausef("the list of %q does not say which key signed it", l.Issuer)
	}
	s := c.shelf(string(l.RawIssuer), string(l.AuthorityKeyId))
	s.mu.Lock()
	defer s.mu.Unlock()
	const unread = 64
	if len(s.lists) >= unread {
		s.lists = slices.Delete(s.lists, 0, 1)
	}
	s.lists = append(s.lists, l)
	return nil
}

func (c *CRLs) shelf(issuer, key string) *shelf {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := shelfKey{issuer, key}
	s := c.shelves[k]
	if s == nil {
		s = &shelf{tried: make(map[string]attempt)}
		c.shelves[k] = s
	}
	return s
}

// lookup returns the revocation of cert, or nil when a current list of its
// issuer does not name it. Everything else is an error.
func (c *CRLs) lookup(ctx context.Context, cert, issuer *x509.Certificate, now time.Time) (*revocation, error) {
	s := c.shelf(string(issuer.RawSubject), string(issuer.SubjectKeyId))
	l, err := s.best(cert, issuer, now)
	if c.cfg.Fetch != nil {
		url := publishedAt(cert)
		switch {
		case !c.due(s, url, now, l != nil):
		case l == nil:
			// Nobody can go on without a list, so all wait for the one who fetches.
			s.fetching.Lock()
			if c.due(s, url, now, false) {
				c.fetch(ctx, s, cert, issuer, url, now)
			}
			s.fetching.Unlock()
			l, err = s.best(cert, issuer, now)
		case s.fetching.TryLock():
			c.fetch(ctx, s, cert, issuer, url, now)
			s.fetching.Unlock()
			l, err = s.best(cert, issuer, now)
		}
		if l == nil {
			err = s.why(url, err)
		}
	}
	if err != nil {
		return nil, err
	}
	return l.entry(cert.SerialNumber), nil
}

// publishedAt is the first address of the list that can be fetched.
func publishedAt(cert *x509.Certificate) string {
	for _, u := range cert.CRLDistributionPoints {
		if strings.HasPrefix(u, "http://") || strings.HasPrefix(u, "https://") {
			return u
		}
	}
	return ""
}

// best returns the newest list that serves the certificate now. Without one it
// says what was wrong with the one that came nearest.
func (s *shelf) best(cert, issuer *x509.Certificate, now time.Time) (*list, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kept []*list
	for _, l := range s.lists {
		if err := l.check(issuer); err != nil {
			s.dropped = err // forged or damaged: it is of no use to anybody
			continue
		}
		kept = append(kept, l)
	}
	s.lists = newest(kept)
	var best *list
	err := s.dropped
	if err == nil {
		err = CRLUnavailable.becausef("there is no list of %q, key %x", issuer.Subject, issuer.SubjectKeyId)
	}
	for _, l := range s.lists {
		bad := l.covers(cert)
		if bad == nil {
			bad = l.current(issuer, now)
		}
		switch {
		case bad == nil && (best == nil || l.newer(best)):
			best = l
		case bad != nil && FailureOf(err) != CRLStale:
			err = bad
		}
	}
	if best == nil {
		return nil, err
	}
	return best, nil
}

// newest keeps one list of each part: an old one that is brought again must not
// undo a revocation.
func newest(lists []*list) []*list {
	var kept []*list
	for _, l := range lists {
		i := slices.IndexFunc(kept, func(k *list) bool {
			return k.user == l.user && k.ca == l.ca && k.foreign == l.foreign && slices.Equal(k.names, l.names)
		})
		switch {
		case i < 0:
			kept = append(kept, l)
		case l.newer(kept[i]):
			kept[i] = l
		}
	}
	return kept
}

func (l *list) newer(than *list) bool {
	if l.Number != nil && than.Number != nil {
		if order := l.Number.Cmp(than.Number); order != 0 {
			return order > 0
		}
	}
	return l.ThisUpdate.After(than.ThisUpdate)
}

func (c *CRLs) due(s *shelf, url string, now time.Time, have bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, ok := s.tried[url]
	wait := c.cfg.RetryAfter
	if have && last.err == nil {
		wait = c.cfg.MaxAge
	}
	return !ok || !now.Before(last.at.Add(wait))
}

// fetch gets the list and keeps it if it is good, and how it went otherwise.
func (c *CRLs) fetch(ctx context.Context, s *shelf, cert, issuer *x509.Certificate, url string, now time.Time) {
	// The fetch is for everybody: one client that goes away must not make it
	// fail for all.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.cfg.FetchTimeout)
	defer cancel()
	l, err := c.get(ctx, cert, issuer, url)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.lists = append(s.lists, l)
	}
	s.tried[url] = attempt{now, err}
}

func (c *CRLs) get(ctx context.Context, cert, issuer *x509.Certificate, url string) (*list, error) {
	der, err := c.cfg.Fetch(ctx, issuer, url)
	if err != nil {
		return nil, CRLUnavailable.becausef("fetch the list of %q from %q: %w", issuer.Subject, url, err)
	}
	l, err := parseList(der)
	if err != nil {
		return nil, CRLUnavailable.becausef("%q: %w", url, err)
	}
	if err := l.check(issuer); err != nil {
		return nil, err
	}
	return l, l.covers(cert)
}

// why prefers what the fetch said over that there is nothing.
func (s *shelf) why(url string, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.tried[url].err
	switch {
	case last == nil:
		return err
	case FailureOf(err) == CRLUnavailable:
		return last
	}
	return fmt.Errorf("%w; a newer one was not had: %w", err, last)
}
