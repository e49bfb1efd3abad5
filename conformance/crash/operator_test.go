package crash_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"acmebridge/internal/admin"
)

// operate asks over the admin socket until there is an answer. lost says that
// an earlier try may have taken effect.
func (s *server) operate(ctx context.Context, ask func(c *admin.Client, lost bool) error) error {
	lost := false
	for {
		if _, err := s.running(ctx); err != nil {
			return err
		}
		c, err := admin.Dial(s.data())
		if err == nil {
			if err = ask(c, lost); err == nil {
				return nil
			}
			var refused *admin.Error
			if errors.As(err, &refused) && refused.Status < http.StatusInternalServerError {
				return err
			}
			lost = true
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// createBinding makes an external account key that is good for one account.
func (s *server) createBinding(ctx context.Context) (b binding, err error) {
	err = s.operate(ctx, func(c *admin.Client, _ bool) error {
		k, err := admin.Post[admin.CreatedExternalKey](ctx, c, "/v1/external-keys", admin.NewExternalKey{
			Directory: "members", Member: "m1", Identifiers: []string{"127.0.0.1"}, Uses: 1,
		})
		b = binding{k.ID, k.HMACKey}
		return err
	})
	if err != nil {
		err = fmt.Errorf("create an external account key: %w", err)
	}
	return b, err
}

// enrol puts a member into the registry.
func (s *server) enrol(ctx context.Context, id string) error {
	err := s.operate(ctx, func(c *admin.Client, lost bool) error {
		_, err := admin.Post[admin.Member](ctx, c, "/v1/members", admin.MemberContent{ID: id, Name: "Member " + id})
		if lost && err != nil && strings.Contains(err.Error(), "already") {
			return nil
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("enrol member %s: %w", id, err)
	}
	return err
}

// hurry tells the clients of a member to renew what they have. To say it again
// is safe.
func (s *server) hurry(ctx context.Context, id string) error {
	err := s.operate(ctx, func(c *admin.Client, _ bool) error {
		_, err := admin.Post[admin.MovedRenewal](ctx, c, "/v1/renewals", admin.MoveRenewal{Member: id, AtOnce: true, Reason: "a life"})
		return err
	})
	if err != nil {
		err = fmt.Errorf("move the renewals of member %s: %w", id, err)
	}
	return err
}

// remove ends a member and all its certificates, and waits until that is done.
func (s *server) remove(ctx context.Context, id string) error {
	path := "/v1/members/" + id
	err := s.operate(ctx, func(c *admin.Client, _ bool) error {
		_, err := admin.Post[admin.Member](ctx, c, path+"/remove", admin.StopMember{Reason: "the end of a life", Revoke: true})
		return err
	})
	for err == nil {
		var m admin.Member
		err = s.operate(ctx, func(c *admin.Client, _ bool) error {
			m, err = admin.Get[admin.Member](ctx, c, path)
			return err
		})
		switch {
		case err != nil:
		case m.Status != "removed" || m.Progress == nil:
			return missing("the removal of member %s, which is %s", id, m.Status)
		case m.Progress.Done:
			return nil
		default:
			err = pause(ctx, 20*time.Millisecond)
		}
	}
	return fmt.Errorf("remove member %s: %w", id, err)
}

// newCSR makes a CSR with a key of its own, in PEM.
func newCSR() (string, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, newKey())
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})), err
}

// submitCSR brings a CSR of a member, whose names the operator answers for.
func (s *server) submitCSR(ctx context.Context, csr, member string) (o admin.Order, err error) {
	err = s.operate(ctx, func(c *admin.Client, _ bool) error {
		x, err := admin.Post[admin.SubmittedCSR](ctx, c, "/v1/csrs", admin.SubmitCSR{CSR: csr, Directory: "members", Member: member, Vouch: "a life"})
		o = x.Order
		return err
	})
	if err != nil {
		err = fmt.Errorf("submit a CSR: %w", err)
	}
	return o, err
}

// submittedOnce wants the order of a CSR to be the only one that did not come
// over ACME, and of an account that is there once.
func (v *inventory) submittedOnce(order string, mayFail bool) error {
	for id, o := range v.orders {
		if o.Submitted != nil && id != order && !mayFail {
			return fmt.Errorf("order %s came of the CSR of order %s", id, order)
		}
	}
	if o, ok := v.orders[order]; !ok || o.Submitted == nil {
		return missing("order %s of a CSR", order)
	}
	accounts := 0
	for _, a := range v.accounts {
		if a.ForCSRs {
			accounts++
		}
	}
	if accounts != 1 {
		return fmt.Errorf("%d accounts stand for the CSRs of one member", accounts)
	}
	return nil
}

// expel revokes an account.
func (s *server) expel(ctx context.Context, accountURL string) error {
	id := accountURL[strings.LastIndexByte(accountURL, '/')+1:]
	err := s.operate(ctx, func(c *admin.Client, lost bool) error {
		_, err := admin.Post[json.RawMessage](ctx, c, "/v1/accounts/"+id+"/revoke", struct{}{})
		if lost && err != nil && strings.Contains(err.Error(), "already") {
			return nil
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("revoke account %s: %w", id, err)
	}
	return err
}

// inventory is everything that is stored.
type inventory struct {
	keys           map[string]admin.ExternalKey
	members        map[string]admin.Member
	hurried        map[string]int // decisions on renewals, by member
	accounts       map[string]admin.Account
	orders         map[string]admin.Order
	submissions    map[string][]admin.Submission  // by order
	certificates   map[string][]admin.Certificate // by order
	jobs           []admin.Job
	parked         []admin.Job
	publications   map[string]int64 // numbers
	authorizations map[string]admin.Authorization
}

// inventory reads the export of the running server.
func (s *server) inventory(ctx context.Context) (*inventory, error) {
	var raw bytes.Buffer
	var parked []admin.Job
	err := s.operate(ctx, func(c *admin.Client, _ bool) error {
		raw.Reset()
		parked = nil
		if err := c.Stream(ctx, "/v1/export", &raw); err != nil {
			return err
		}
		return admin.All(ctx, c, "/v1/jobs/parked", nil, func(j admin.Job) error {
			parked = append(parked, j)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	v := &inventory{
		keys: map[string]admin.ExternalKey{}, members: map[string]admin.Member{}, hurried: map[string]int{}, accounts: map[string]admin.Account{}, orders: map[string]admin.Order{},
		submissions: map[string][]admin.Submission{}, certificates: map[string][]admin.Certificate{}, parked: parked,
		publications: map[string]int64{}, authorizations: map[string]admin.Authorization{},
	}
	d := json.NewDecoder(&raw)
	for d.More() {
		var line json.RawMessage
		if err := d.Decode(&line); err != nil {
			return nil, fmt.Errorf("read the export: %w", err)
		}
		if err := v.add(line); err != nil {
			return nil, fmt.Errorf("read the export: %w", err)
		}
	}
	return v, nil
}

func (v *inventory) add(line []byte) error {
	var kind struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(line, &kind); err != nil {
		return err
	}
	switch kind.Kind {
	case "key":
		return put(line, func(k admin.ExternalKey) { v.keys[k.ID] = k })
	case "member":
		return put(line, func(m admin.Member) { v.members[m.ID] = m })
	case "renewal-decision":
		return put(line, func(d admin.RenewalDecision) { v.hurried[d.Member]++ })
	case "account":
		return put(line, func(a admin.Account) { v.accounts[a.ID] = a })
	case "order":
		return put(line, func(o admin.Order) { v.orders[o.ID] = o })
	case "authorization":
		return put(line, func(a admin.Authorization) { v.authorizations[a.ID] = a })
	case "submission":
		return put(line, func(s admin.Submission) { v.submissions[s.Order] = append(v.submissions[s.Order], s) })
	case "certificate":
		return put(line, func(c admin.Certificate) { v.certificates[c.Order] = append(v.certificates[c.Order], c) })
	case "publication":
		return put(line, func(l admin.List) { v.publications[l.Name] = l.Number })
	case "job":
		// A job has a member kind of its own, which the export's hides.
		return put(line, func(j admin.Job) { v.jobs = append(v.jobs, j) })
	default:
		return fmt.Errorf("line of unknown kind %q", kind.Kind)
	}
}

func put[T any](line []byte, add func(T)) error {
	var x T
	if err := json.Unmarshal(line, &x); err != nil {
		return err
	}
	add(x)
	return nil
}
