package upstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	xacme "golang.org/x/crypto/acme"

	"acmebridge/internal/accountjws"
)

// Requests that the client library has no call for: it finalizes only together
// with waiting, hides how long the CA wants us to wait, and knows nothing of
// renewal information.

// answer is a reply of the CA with a status that says yes.
type answer struct {
	body   []byte
	header http.Header
}

// wait is how long the CA wants us to wait; zero when it does not say.
func (a answer) wait(now time.Time) time.Duration {
	text := a.header.Get("Retry-After")
	if n, err := strconv.Atoi(text); err == nil {
		return max(0, time.Duration(min(n, 1<<31))*time.Second)
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// post sends a payload, or nil for a POST-as-GET (RFC 8555, 6.3), signed by the
// account. What is refused for its nonce is signed anew with the nonce that
// came with the refusal (R8555-6.5-5); nothing else is repeated.
func (s *session) post(ctx context.Context, url string, payload any) (answer, error) {
	var nonce string
	for attempt := 0; ; attempt++ {
		if nonce == "" {
			var err error
			if nonce, err = s.nonce(ctx); err != nil {
				return answer{}, err
			}
		}
		body, err := s.sign(url, nonce, payload)
		if err != nil {
			return answer{}, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
		if err != nil {
			return answer{}, err
		}
		req.Header.Set("Content-Type", "application/jose+json")
		got, err := s.do(req)
		var refused *xacme.Error
		if !errors.As(err, &refused) || !isProblem(refused, "badNonce") || attempt == maxNonces {
			return got, err
		}
		nonce = refused.Header.Get("Replay-Nonce")
	}
}

// nonce asks for one. Those of the library are its own.
func (s *session) nonce(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, s.newNonce, nil)
	if err != nil {
		return "", err
	}
	got, err := s.do(req)
	if err != nil {
		return "", fmt.Errorf("get a nonce: %w", err)
	}
	nonce := got.header.Get("Replay-Nonce")
	if nonce == "" {
		return "", errors.New("get a nonce: the CA gave none")
	}
	return nonce, nil
}

// do sends a request. An error of the CA comes back as the library's.
func (s *session) do(req *http.Request) (answer, error) {
	if s.UserAgent != "" {
		req.Header.Set("User-Agent", s.UserAgent)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = resp.Body.Close() }() // only read
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, fmt.Errorf("read the reply: %w", err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return answer{body: body, header: resp.Header}, nil
	}
	var problem struct{ Type, Detail string }
	if err := json.Unmarshal(body, &problem); err != nil {
		problem.Detail = http.StatusText(resp.StatusCode) // a page of something in between
	}
	return answer{}, &xacme.Error{StatusCode: resp.StatusCode, ProblemType: problem.Type, Detail: problem.Detail, Header: resp.Header}
}

// sign makes the JWS: accountKey gives no key but on P-256.
func (s *session) sign(url, nonce string, payload any) (body []byte, err error) {
	var content []byte
	if payload != nil {
		if content, err = json.Marshal(payload); err != nil {
			return nil, err
		}
	}
	return accountjws.Sign(s.key, string(s.KID), url, nonce, content)
}

// discover reads the directory: once for the library, and once for what it
// leaves out.
func (s *session) discover(ctx context.Context, url string) error {
	directory, err := s.Discover(ctx)
	if err != nil {
		return err
	}
	s.newNonce, s.newOrder = directory.NonceURL, directory.OrderURL
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	got, err := s.do(req)
	if err != nil {
		return err
	}
	var more struct {
		RenewalInfo string `json:"renewalInfo"`
	}
	if err := json.Unmarshal(got.body, &more); err != nil {
		return fmt.Errorf("it is no JSON: %w", err)
	}
	s.renewalInfo = strings.TrimSuffix(more.RenewalInfo, "/")
	return nil
}

// order is an order as the CA shows it.
type order struct {
	URL            string    `json:"-"`
	Status         string    `json:"status"`
	Expires        time.Time `json:"expires"`
	Authorizations []string  `json:"authorizations"`
	Finalize       string    `json:"finalize"`
	Certificate    string    `json:"certificate"`
	Error          *struct {
		Type   string `json:"type"`
		Detail string `json:"detail"`
	} `json:"error"`
	wait time.Duration
}

// issued reports whether there is a certificate. Some CAs call an order invalid
// whose proofs have gone since; what it was issued stays what it is.
func (o order) issued() bool { return o.Certificate != "" || o.Status == xacme.StatusValid }

func (b *Backend) readOrder(url string, a answer) (order, error) {
	o := order{URL: url, wait: a.wait(b.cfg.Now())}
	if err := json.Unmarshal(a.body, &o); err != nil {
		return o, fmt.Errorf("upstream: the order is not readable: %w", err)
	}
	if o.Status == "" {
		return o, errors.New("upstream: the order has no status")
	}
	return o, nil
}
