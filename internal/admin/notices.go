package admin

import (
	"context"
	"net/http"
	"time"

	"acmebridge/acme"
	"acmebridge/storage"
)

// Notice says that a certificate of a member ends and nothing has taken its place.
type Notice struct {
	Member      string     `json:"member"`
	Application string     `json:"application,omitempty"`
	Profile     string     `json:"profile"`
	Certificate string     `json:"certificate"`
	Serial      string     `json:"serial"`
	Identifiers []string   `json:"identifiers"`
	NotAfter    *time.Time `json:"not_after"`
}

func (h *handler) mountNotices(mux *http.ServeMux) {
	mux.HandleFunc("GET /v1/notices", h.answer(func(r *http.Request) (any, error) {
		within, err := time.ParseDuration(r.FormValue("within"))
		if err != nil || within <= 0 {
			return nil, badRequest("within is a time such as 720h")
		}
		return page(r, func(ctx context.Context, p storage.Page) ([]acme.Certificate, string, error) {
			return h.Operator.Notices(ctx, within, p)
		}, ViewNotice)
	}))
	mux.HandleFunc("GET /v1/ib1", h.answer(func(r *http.Request) (any, error) {
		if h.Frameworks == nil {
			return []FrameworkTree{}, nil
		}
		return h.Frameworks(r.Context())
	}))
}

// ViewNotice is the wire form of what a certificate is noticed for.
func ViewNotice(c acme.Certificate) Notice {
	v := viewCertificate(c)
	n := Notice{Member: v.Member, Profile: v.Profile, Certificate: v.ID, Serial: v.Serial, NotAfter: v.NotAfter, Identifiers: []string{}}
	for _, id := range c.Identifiers {
		n.Identifiers = append(n.Identifiers, id.Value)
	}
	if c.Holder != nil {
		n.Application = c.Holder.Application
	}
	return n
}

// FrameworkTree is how a tree of an IB1 framework stands that is served.
type FrameworkTree struct {
	Backend string `json:"backend"`
	Tree    string `json:"tree"`
	// Root is the end of the root, and RootList that of its revocation list,
	// absent without one.
	Root     *time.Time `json:"root_ends"`
	RootList *time.Time `json:"root_list_ends,omitempty"`
	// Covered is until when certificates of full validity can be issued.
	Covered *time.Time        `json:"covered_until"`
	Issuers []FrameworkIssuer `json:"issuers"`
	// Actions are what has to be done, the most urgent first.
	Actions []FrameworkAction `json:"actions"`
}

// FrameworkIssuer is an issuer of such a tree.
type FrameworkIssuer struct {
	Serial     string     `json:"serial"`
	Phase      string     `json:"phase"`
	Key        bool       `json:"key"`
	SignsUntil *time.Time `json:"signs_until"`
	Ends       *time.Time `json:"ends"`
	// List is its revocation list; absent before the first one. Where the list is
	// divided into Parts, it is the oldest of them, and absent while one is missing.
	List  *FrameworkList `json:"list,omitempty"`
	Parts int            `json:"list_parts,omitempty"`
}

// FrameworkList is a revocation list that is published.
type FrameworkList struct {
	Name   string     `json:"name"`
	Number int64      `json:"number"`
	At     *time.Time `json:"at"`
	Next   *time.Time `json:"next"`
}

// FrameworkAction is something to do, and until when.
type FrameworkAction struct {
	Urgent bool       `json:"urgent"`
	Due    *time.Time `json:"due"`
	Text   string     `json:"text"`
}
