package xroad

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Error is what the operator of a Security Server sees: the suffix of a message
// code. Only its log has the cause.
type Error struct {
	Code  string
	Cause error
}

func (e *Error) Error() string { return e.Code + ": " + e.Cause.Error() }
func (e *Error) Unwrap() error { return e.Cause }

func seen(code string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{code, err}
}

// Issued is what an order led to.
type Issued struct {
	Leaf  *x509.Certificate
	Chain []*x509.Certificate
	Order string // its URL
}

// Order takes a key to its certificate, as a person does by a click. The button is
// there when the directory can be read, and the member has a credential. At the end
// it is planned when to renew, which no order fails by.
func (s *SecurityServer) Order(ctx context.Context, k Key) (*Issued, error) {
	s.agent, s.session = acme4j, session{url: s.cfg.DirectoryURL}
	if err := s.discover(ctx); err != nil {
		return nil, seen("fetching_metadata_error", err)
	}
	if s.credential.KID == "" {
		return nil, seen("eab_credentials_missing", errNoCredential) // also where none is required
	}
	s.agent = "X-Road/7.8.0 " + acme4j
	if _, err := s.Login(ctx, false); err != nil {
		return nil, seen("account_creation_failure", err)
	}
	issued, err := s.flow(ctx, k, "", s.finalizeAgent(k))
	if err != nil {
		return nil, err
	}
	s.agent = acme4j
	s.plan(ctx, issued.Leaf)
	return issued, nil
}

// finalizeAgent carries the profile id of the Central Server. That of signing alone
// sends nothing, that of authentication alone the word null for signing keys.
func (s *SecurityServer) finalizeAgent(k Key) string {
	if s.cfg.AuthProfileID == "" {
		return s.agent
	}
	id := s.cfg.AuthProfileID
	if k.sign {
		if id = s.cfg.SignProfileID; id == "" {
			id = "null"
		}
	}
	return "profile_id=" + id + " " + s.agent
}

// Begin sends newOrder and returns the URL of the order and the order.
func (s *SecurityServer) Begin(ctx context.Context, name, replaces string) (string, map[string]any, error) {
	url, err := s.resource(ctx, "newOrder")
	if err != nil {
		return "", nil, err
	}
	end := time.Now().Add(s.cfg.Lifetime).UTC().Format("2006-01-02T15:04:05.000000000Z")
	payload := fmt.Sprintf(`{"identifiers":[{"type":"dns","value":%q}],"notAfter":%q`, name, end)
	if replaces != "" {
		payload += fmt.Sprintf(`,"replaces":%q`, replaces)
	}
	a, order, err := s.post(ctx, url, payload+"}")
	if err != nil {
		return "", nil, err
	}
	if a.Header.Get("Location") == "" {
		return "", nil, errors.New("newOrder: no Location")
	}
	return a.Header.Get("Location"), order, nil
}

func (s *SecurityServer) flow(ctx context.Context, k Key, replaces, finalizeAgent string) (*Issued, error) {
	location, order, err := s.Begin(ctx, k.name, replaces)
	if err != nil {
		return nil, seen("order_creation_failure", err)
	}
	finalize, _ := order["finalize"].(string)
	authorizations, _ := order["authorizations"].([]any)
	for _, a := range authorizations {
		_, authorization, err := s.post(ctx, fmt.Sprint(a), "")
		if err != nil {
			return nil, seen("authorization_failure", err)
		}
		// All of it stands inside of the branch for pending ones, finalize too: an
		// authorization that is valid already leads to an order that nobody ends.
		if authorization["status"] != "pending" {
			continue
		}
		if err := s.prove(ctx, authorization); err != nil {
			return nil, err
		}
		csr, err := k.csr()
		if err != nil {
			return nil, err
		}
		usual := s.agent
		s.agent = finalizeAgent
		_, err = s.Post(ctx, finalize, fmt.Sprintf(`{"csr":%q}`, b64(csr)), "application/json")
		s.agent = usual
		if err != nil {
			return nil, seen("order_finalization_failure", err)
		}
	}
	// The answer to finalize is forgotten, so it looks before it begins to wait.
	if _, order, err = s.post(ctx, location, ""); err == nil {
		order, err = s.await(ctx, location, "order", order, nil)
	}
	if err != nil {
		return nil, seen("certificate_failure", err)
	}
	return s.download(ctx, location, fmt.Sprint(order["certificate"]))
}

// prove answers the one http-01 challenge of an authorization and waits for it.
func (s *SecurityServer) prove(ctx context.Context, authorization map[string]any) error {
	challenge, err := challengeOf(authorization)
	if err != nil {
		return seen("http_challenge_missing", err)
	}
	url, _ := challenge["url"].(string)
	token, _ := challenge["token"].(string)
	if !isBase64URL(token) {
		return seen("http_challenge_file_creation", fmt.Errorf("the token %q is not base64url", token))
	}
	remove := s.cfg.Challenges.put(token, &s.Key.PublicKey)
	defer remove()
	same := func(o map[string]any) error {
		if o["url"] != url || o["type"] != "http-01" {
			return fmt.Errorf("the challenge %s has become %v at %v", url, o["type"], o["url"])
		}
		return nil
	}
	_, o, err := s.post(ctx, url, "{}")
	if err == nil {
		err = same(o)
	}
	if err != nil {
		return seen("challenge_trigger_failure", err)
	}
	_, err = s.await(ctx, url, "challenge", o, same)
	return seen("authorization_failure", err)
}

func challengeOf(authorization map[string]any) (found map[string]any, err error) {
	all, _ := authorization["challenges"].([]any)
	for _, c := range all {
		if c, _ := c.(map[string]any); c["type"] == "http-01" {
			if found != nil {
				return nil, errors.New("two http-01 challenges")
			}
			found = c
		}
	}
	if found == nil {
		return nil, errors.New("no http-01 challenge")
	}
	return found, nil
}

// errNegative is a sleep into the past, which ends an order without a word.
var errNegative = errors.New("timeout value is negative")

// await looks five times, with five seconds or Retry-After between two looks, unless
// what it was told already ends it. It sleeps after the look that ends it too.
func (s *SecurityServer) await(ctx context.Context, url, what string, o map[string]any, check func(map[string]any) error) (map[string]any, error) {
	for range 5 {
		switch o["status"] {
		case "valid":
			return o, nil
		case "invalid":
			return nil, fmt.Errorf("the %s is invalid: %v", what, o["error"])
		}
		begun := time.Now()
		a, next, err := s.post(ctx, url, "")
		if err == nil && check != nil {
			err = check(next)
		}
		if err != nil {
			return nil, err
		}
		o = next
		pause := 5 * time.Second
		if a.Header.Get("Retry-After") != "" {
			again, err := a.retryAfter()
			if err != nil {
				return nil, err
			}
			if pause = again.Sub(begun); pause < 0 {
				return nil, errNegative
			}
			// It would sleep through this one, with a person before its screen.
			if status := o["status"]; status == "valid" || status == "invalid" {
				return nil, fmt.Errorf("a Retry-After on a %s that is %v keeps a person waiting for nothing", what, status)
			}
		}
		if err := s.cfg.Sleep(ctx, pause); err != nil {
			return nil, err
		}
	}
	if o["status"] == "valid" {
		return o, nil
	}
	return nil, fmt.Errorf("the %s is still %v after 5 looks", what, o["status"])
}

// retryAfter is the moment that Retry-After names: a date, or seconds after that of
// the answer.
func (a *Answer) retryAfter() (time.Time, error) {
	text := a.Header.Get("Retry-After")
	seconds, err := strconv.Atoi(text)
	if err != nil {
		at, err := http.ParseTime(text)
		if err != nil {
			return at, fmt.Errorf("Retry-After %q: %w", text, err)
		}
		return at, nil
	}
	date, err := http.ParseTime(a.Header.Get("Date"))
	if err != nil {
		date = a.At
	}
	return date.Add(time.Duration(seconds) * time.Second), nil
}

func (s *SecurityServer) download(ctx context.Context, order, url string) (*Issued, error) {
	const chainType = "application/pem-certificate-chain"
	a, err := s.Post(ctx, url, "", chainType)
	if err != nil {
		return nil, seen("certificate_failure", err)
	}
	if a.mediaType() != chainType {
		return nil, seen("certificate_failure", fmt.Errorf("the chain is %q", a.Header.Get("Content-Type")))
	}
	i := &Issued{Order: order}
	for block, rest := pem.Decode(a.Body); block != nil; block, rest = pem.Decode(rest) {
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, seen("certificate_failure", err)
		}
		i.Chain = append(i.Chain, c)
	}
	if len(i.Chain) == 0 {
		return nil, seen("certificate_failure", errors.New("the chain is empty"))
	}
	i.Leaf = i.Chain[0]
	return i, nil
}
