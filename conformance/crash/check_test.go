package crash_test

import (
	"context"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"acmebridge/internal/admin"
)

// settled waits until nothing is left to do but to wait for expiry, and
// returns everything that is stored then.
func (s *server) settled(ctx context.Context) (*inventory, error) {
	for {
		v, err := s.inventory(ctx)
		if err != nil {
			return nil, err
		}
		unrest := v.unrest()
		if unrest == "" {
			return v, nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return nil, fmt.Errorf("stuck: %s", unrest)
		}
	}
}

// unrest names something that is still to be done.
func (v *inventory) unrest() string {
	for _, j := range v.parked {
		return fmt.Sprintf("job %s is parked: %s", j.ID, j.Parked)
	}
	for id, o := range v.orders {
		if o.Status == "processing" {
			return fmt.Sprintf("order %s is processing", id)
		}
		if a := v.accounts[o.Account]; a.Status != "valid" && (o.Status == "pending" || o.Status == "ready") {
			return fmt.Sprintf("order %s is %s, and its account %s", id, o.Status, a.Status)
		}
	}
	for _, j := range v.jobs {
		id, isOrder := strings.CutPrefix(j.ID, "order/")
		if o := v.orders[id]; !isOrder || o.Status == "valid" || o.Status == "invalid" {
			return fmt.Sprintf("job %s is left, order %s; last error %q", j.ID, o.Status, j.LastError)
		}
	}
	for _, cs := range v.certificates {
		for _, c := range cs {
			if c.Revocation != nil && c.Revocation.DoneAt == nil {
				return fmt.Sprintf("certificate %s is revoked, and its CA does not know", c.ID)
			}
		}
	}
	return ""
}

// check holds what is stored against what a client was told, and against what
// must never be. The errors of all clients are joined.
func (v *inventory) check(clients ...*client) error {
	var errs []error
	complain := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for id, cs := range v.certificates {
		if len(cs) > 1 {
			complain("order %s has %d certificates", id, len(cs))
		}
		if o, ok := v.orders[id]; !ok || o.Certificate != cs[0].ID {
			complain("certificate %s says order %s, which has %q", cs[0].ID, id, o.Certificate)
		}
	}
	for id, o := range v.orders {
		if n := len(v.certificates[id]); (o.Status == "valid") != (n == 1) {
			complain("order %s is %s and has %d certificates", id, o.Status, n)
		}
		if n := len(v.submissions[id]); n > 1 {
			complain("order %s was submitted %d times", id, n)
		}
	}
	for id, cs := range v.certificates {
		if m := v.members[cs[0].Member]; m.Status == "removed" && cs[0].Revocation == nil {
			complain("certificate %s of order %s stands, and its member %s was removed", cs[0].ID, id, m.ID)
		}
	}
	for id, k := range v.keys {
		bound := 0
		for _, a := range v.accounts {
			if a.ExternalKey == id {
				bound++
			}
		}
		if k.Used != bound || k.Uses > 0 && k.Used > k.Uses {
			complain("external account key %s: %d accounts, used %d, good for %d", id, bound, k.Used, k.Uses)
		}
	}
	for _, c := range clients {
		if _, ok := v.accounts[path.Base(c.url)]; !ok && c.journal.account {
			complain("%w: account %s", errMissing, c.url)
		}
		for _, o := range c.journal.orders {
			if err := v.checkOrder(o); err != nil {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

func (v *inventory) checkOrder(n *orderNote) error {
	id := path.Base(n.url)
	o, ok := v.orders[id]
	if !ok {
		return missing("order %s", n.url)
	}
	x := order{Status: o.Status}
	if o.Certificate != "" && n.certificateURL != "" {
		x.Certificate = strings.Replace(n.certificateURL, path.Base(n.certificateURL), o.Certificate, 1)
	}
	if err := n.follows(x); err != nil {
		return err
	}
	cs := v.certificates[id]
	if n.chain == nil {
		return nil
	}
	leaf, err := leafOf(n.chain)
	if err != nil {
		return err
	}
	if len(cs) == 0 || cs[0].PEM != string(n.chain) || cs[0].Serial != serialText(leaf) {
		return missing("the certificate of order %s, as it was downloaded", n.url)
	}
	if n.revoked && cs[0].Revocation == nil {
		return missing("the revocation of the certificate of order %s", n.url)
	}
	return nil
}

func serialText(c *x509.Certificate) string {
	b := c.SerialNumber.Bytes()
	if len(b) == 0 || b[0]&0x80 != 0 {
		b = append([]byte{0}, b...)
	}
	return hex.EncodeToString(b)
}

// sound has the running server check its database.
func (s *server) sound(ctx context.Context) error {
	return s.operate(ctx, func(c *admin.Client, _ bool) error {
		_, err := admin.Get[json.RawMessage](ctx, c, "/v1/database/check")
		return err
	})
}

// lists remembers the revocation lists that were seen, by name and number. A
// number must never stand on two different lists (SS-21).
type lists map[string][]byte

// see fetches the list that a certificate points to and says whether it lists
// the certificate.
func (l lists) see(ctx context.Context, s *server, chain []byte) (listed bool, err error) {
	leaf, err := leafOf(chain)
	if err != nil {
		return false, err
	}
	if len(leaf.CRLDistributionPoints) != 1 {
		return false, fmt.Errorf("the certificate points to %d revocation lists", len(leaf.CRLDistributionPoints))
	}
	url := leaf.CRLDistributionPoints[0]
	_, afterHost, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.host+":14080/"+afterHost, nil)
	if err != nil {
		return false, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, nil // the server is away at the moment
	}
	defer resp.Body.Close()
	der, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return false, nil
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return false, err
	}
	key := url + " " + list.Number.String()
	if seen, ok := l[key]; ok && !slices.Equal(seen, der) {
		return false, fmt.Errorf("two revocation lists with number %v", list.Number)
	}
	l[key] = der
	for _, e := range list.RevokedCertificateEntries {
		if e.SerialNumber.Cmp(leaf.SerialNumber) == 0 {
			return true, nil
		}
	}
	return false, nil
}
