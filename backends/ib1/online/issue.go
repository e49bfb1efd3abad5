package online

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/ib1"
)

// IssueMember makes the client or signing certificate of an application for a
// request: leaf and issuer, in DER. The same request gets the same contents.
// Who the holder is, and that the key is in no other tree, is for the caller to
// know.
func (c *CA) IssueMember(t ib1.Tree, h ib1.Holder, r backends.Request) ([][]byte, error) {
	return c.issue(t, r, func(a *ib1.Authority, i ib1.Issuance, key any) (*x509.Certificate, error) {
		return a.IssueMember(h, key, i)
	})
}

// IssueServer makes a server certificate for a request, as IssueMember does.
func (c *CA) IssueServer(names []string, r backends.Request) ([][]byte, error) {
	return c.issue(ib1.Server, r, func(a *ib1.Authority, i ib1.Issuance, key any) (*x509.Certificate, error) {
		return a.IssueServer(names, key, i)
	})
}

func (c *CA) issue(name ib1.Tree, r backends.Request, make func(*ib1.Authority, ib1.Issuance, any) (*x509.Certificate, error)) ([][]byte, error) {
	chain, err := c.issueFor(name, r, make)
	if errors.Is(err, ib1.ErrLint) || errors.Is(err, ib1.ErrProfile) {
		// The same comes of every repetition, until the registry says otherwise.
		err = backends.RefusedAs(acme.ServerInternal, "the certificate would not be what the rules of the framework demand, so it was not signed; ask the operator", err)
	}
	if err != nil {
		return nil, fmt.Errorf("ib1: issue for request %s: %w", r.Key, err)
	}
	return chain, nil
}

func (c *CA) issueFor(name ib1.Tree, r backends.Request, make func(*ib1.Authority, ib1.Issuance, any) (*x509.Certificate, error)) ([][]byte, error) {
	s := c.current()
	t := s.tree(name)
	if t == nil {
		return nil, fmt.Errorf("the %s tree is not served here", name)
	}
	if r.At.IsZero() || len(r.Key) < 16 {
		return nil, errors.New("the request has no key, or does not say when its order was finalized")
	}
	key, err := x509.ParsePKIXPublicKey(r.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("read the public key: %w", err)
	}
	a := s.signing(t, r)
	if a == nil {
		return nil, fmt.Errorf("%w: no issuer of the %s tree covers a certificate that begins now; rotate the issuer", ib1.ErrRotate, name)
	}
	serial, err := c.serial(s, name, r)
	if err != nil {
		return nil, err
	}
	leaf, err := make(a, ib1.Issuance{Serial: serial, Now: r.At}, key)
	if err != nil {
		return nil, err
	}
	return [][]byte{leaf.Raw, a.Certificate().Raw}, nil
}

// signing picks the issuer for a request.
func (s *state) signing(t *tree, r backends.Request) *ib1.Authority {
	best := s.framework.Current(t.name, t.signers(), r.At)
	for _, a := range t.issuers {
		if a.Certificate() == best {
			return a
		}
	}
	return nil
}

// serial draws the number of a request's certificate. What it is drawn from is a
// secret of the CA's own and the request, so that a request that is signed again
// after a crash gets its number again and no other one does.
func (c *CA) serial(s *state, name ib1.Tree, r backends.Request) (*big.Int, error) {
	secret, err := c.serialSecret()
	if err != nil {
		return nil, err
	}
	taken := map[string]bool{}
	for _, t := range s.trees {
		taken[t.root.Certificate().SerialNumber.String()] = true
		for _, a := range t.issuers {
			taken[a.Certificate().SerialNumber.String()] = true
		}
	}
	return ib1.NewSerial(&stream{secret: secret, label: fmt.Sprintf("%s/%s", name, r.Key)}, func(n *big.Int) (bool, error) {
		return taken[n.String()], nil
	})
}

// stream is the randomness of one request: HMAC in counter mode.
type stream struct {
	secret []byte
	label  string
	block  byte
	rest   []byte
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		if len(s.rest) == 0 {
			s.block++
			mac := hmac.New(sha256.New, s.secret)
			mac.Write([]byte{s.block})
			mac.Write([]byte(s.label))
			s.rest = mac.Sum(nil)
		}
		used := copy(p[n:], s.rest)
		n, s.rest = n+used, s.rest[used:]
	}
	return n, nil
}
