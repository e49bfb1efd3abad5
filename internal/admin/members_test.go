package admin_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"acmebridge/internal/admin"
)

// TestMembers takes a member through its life, over the socket and within the
// process; its id holds what a path would split at.
func TestMembers(t *testing.T) {
	t.Parallel()
	f := newFixture(t, database{}, false)
	for name, c := range clients(t, f.handler) {
		ctx := t.Context()
		id := "DEV/GOV/" + name
		path := "/v1/members/DEV%2FGOV%2F" + strings.ReplaceAll(name, " ", "%20")
		content := admin.MemberContent{ID: id, Name: "One", Identifiers: []string{".a.net"}, Profiles: []string{"tls"}, Attributes: map[string]string{"class": "GOV"}}
		m, err := admin.Post[admin.Member](ctx, c, "/v1/members", content)
		if err != nil || m.ID != id || m.Version != 1 || m.Status != "active" || m.Attributes["class"] != "GOV" || m.Progress != nil {
			t.Fatalf("%s: %+v, %v", name, m, err)
		}
		content.Name = "Two"
		if m, err = admin.Post[admin.Member](ctx, c, path, admin.UpdateMember{MemberContent: content, Version: 1}); err != nil || m.Version != 2 || m.Name != "Two" {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
		var failed *admin.Error
		if _, err := admin.Post[admin.Member](ctx, c, path, admin.UpdateMember{MemberContent: content, Version: 1}); !admin.Stale(err) {
			t.Errorf("%s: an old version: %v", name, err)
		}
		m, err = admin.Post[admin.Member](ctx, c, path+"/freeze", admin.StopMember{Reason: "fees", Revoke: true})
		if err != nil || m.Status != "frozen" || m.Reason != "fees" || m.Progress == nil || !m.Progress.Revoke || m.Progress.Done {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
		if _, err := admin.Post[admin.Member](ctx, c, path+"/remove", admin.StopMember{RevocationReason: 8}); !errors.As(err, &failed) || failed.Status != 400 {
			t.Errorf("%s: a reason that revokes nothing: %v", name, err)
		}
		if m, err = admin.Post[admin.Member](ctx, c, path+"/thaw", admin.StopMember{}); err != nil || m.Status != "active" {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
		if m, err = admin.Post[admin.Member](ctx, c, path+"/remove", admin.StopMember{}); err != nil || m.Status != "removed" || m.Version != 5 {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
		if m, err = admin.Get[admin.Member](ctx, c, path); err != nil || m.Status != "removed" || m.Progress == nil {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
		// A list may be larger than other requests, and than a part of a directory
		// (SL-29).
		var list []admin.MemberContent
		for n := range 6000 {
			list = append(list, admin.MemberContent{ID: fmt.Sprintf("%s-%04d", name, n), Name: strings.Repeat("n", 200)})
		}
		done, err := admin.Post[admin.Import](ctx, c, "/v1/member-import", append(list, content))
		if err != nil || len(done.Created) != len(list) || len(done.Removed) != 1 || done.Changed == nil {
			t.Errorf("%s: %d created, %v", name, len(done.Created), err)
		}
	}
}
