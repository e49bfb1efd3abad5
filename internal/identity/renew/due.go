package renew

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	bridge "acmebridge/acme"
)

const maxAnswer = 64 << 10

// due says whether it is time to renew, and why or why not. A server that cannot
// say when does not keep a certificate from being renewed in time.
func (r *Renewer) due(ctx context.Context, leaf *x509.Certificate) (bool, string, error) {
	now := r.Now()
	before := r.Before
	if before == 0 {
		before = leaf.NotAfter.Sub(leaf.NotBefore) / 3
	}
	at, why := leaf.NotAfter.Add(-before), "by its age"
	w, err := r.window(ctx, leaf)
	switch {
	case err == nil:
		if at = w.moment(leaf); at.After(leaf.NotAfter) {
			at = leaf.NotAfter.Add(-before)
		}
		why = "as the server suggests"
		if w.Explanation != "" {
			why += ", see " + plain(w.Explanation)
		}
	case errors.Is(err, errNoRenewalInfo):
	case ctx.Err() != nil:
		return false, "", err
	default:
		r.Say("when to renew cannot be asked: %v", err)
	}
	if now.Before(at) {
		return false, fmt.Sprintf("%s ends on %s and is to be renewed on %s, %s", r.Path, date(leaf.NotAfter), date(at), why), nil
	}
	return true, fmt.Sprintf("%s ends on %s and is to be renewed now, %s", r.Path, date(leaf.NotAfter), why), nil
}

func date(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// window is what a server suggests (RFC 9773, 4.2).
type window struct {
	Suggested struct {
		Start time.Time `json:"start"`
		End   time.Time `json:"end"`
	} `json:"suggestedWindow"`
	Explanation string `json:"explanationURL"`
}

// moment is a time in the window that this certificate always gets: runs ask
// again and again, and all have to come to the same one.
func (w window) moment(leaf *x509.Certificate) time.Time {
	h := sha256.Sum256(leaf.Raw)
	width := uint64(w.Suggested.End.Sub(w.Suggested.Start))
	return w.Suggested.Start.Add(time.Duration(binary.BigEndian.Uint64(h[:]) % width))
}

// errNoRenewalInfo: the server does not offer it, or not for this certificate.
var errNoRenewalInfo = errors.New("no renewal information")

func (r *Renewer) window(ctx context.Context, leaf *x509.Certificate) (w window, err error) {
	id := bridge.CertID(leaf.AuthorityKeyId, bridge.SerialOctets(leaf.SerialNumber))
	if id == "" {
		return w, errNoRenewalInfo
	}
	var directory struct {
		RenewalInfo string `json:"renewalInfo"`
	}
	if err := r.get(ctx, r.Directory, &directory); err != nil {
		return w, err
	}
	if directory.RenewalInfo == "" {
		return w, errNoRenewalInfo
	}
	if err := r.get(ctx, directory.RenewalInfo+"/"+id, &w); err != nil {
		return w, err
	}
	if !w.Suggested.End.After(w.Suggested.Start) {
		return w, errors.New("the window that the server suggests ends before it begins")
	}
	return w, nil
}

func (r *Renewer) get(ctx context.Context, url string, into any) (err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", r.UserAgent)
	res, err := r.HTTP.Do(req)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return errNoRenewalInfo // a certificate of another CA
	default:
		return fmt.Errorf("GET %s: %s", url, res.Status)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("GET %s: %w", url, err)
	}
	return nil
}
