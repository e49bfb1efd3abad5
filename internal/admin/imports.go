package admin

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"acmebridge/acme/engine"
)

// ImportMode says how a list is imported; it goes into the query.
type ImportMode struct {
	// DryRun changes nothing, and the answer says what would have been done.
	DryRun bool
	// SkipRefused leaves members out that the registry does not take, and the
	// answer names them. It is for members only.
	SkipRefused bool
	// Versioned says that each member has the version that it was made from, 0
	// for one that was not there, see UpdateMember. One that has changed since is
	// not written: the answer is an error, of which Stale is true, or with
	// SkipRefused it is in Import.Stale. It is for members only.
	Versioned bool
	// Signer names the key that signed the list, and IssuedAt is when; empty and
	// zero when nobody has to have signed it, or it does not say when.
	Signer   string
	IssuedAt time.Time
}

// Path is the path of an import in that mode.
func (m ImportMode) Path(path string) string {
	query := url.Values{}
	if m.DryRun {
		query.Set("dry_run", "true")
	}
	if m.SkipRefused {
		query.Set("skip_refused", "true")
	}
	if m.Versioned {
		query.Set("versioned", "true")
	}
	if m.Signer != "" {
		query.Set("signer", m.Signer)
	}
	if !m.IssuedAt.IsZero() {
		query.Set("issued_at", m.IssuedAt.UTC().Format(time.RFC3339))
	}
	if len(query) == 0 {
		return path
	}
	return path + "?" + query.Encode()
}

const maxSigner = 128

func importMode(r *http.Request) (mode engine.ImportMode, err error) {
	query := r.URL.Query()
	for name, into := range map[string]*bool{"dry_run": &mode.DryRun, "skip_refused": &mode.SkipRefused, "versioned": &mode.Versioned} {
		if text := query.Get(name); text != "" {
			if *into, err = strconv.ParseBool(text); err != nil {
				return mode, badRequest("%s is true or false", name)
			}
		}
	}
	if mode.Signer = query.Get("signer"); len(mode.Signer) > maxSigner {
		return mode, badRequest("signer has more than %d bytes", maxSigner)
	}
	if text := query.Get("issued_at"); text != "" {
		if mode.IssuedAt, err = time.Parse(time.RFC3339, text); err != nil {
			return mode, badRequest("issued_at is a time such as 2026-11-20T20:44:00Z")
		}
	}
	return mode, nil
}
