package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"acmebridge/internal/admin"
)

// TestMembersByPage: no page is more than the server takes, nobody is lost, and
// who is too much alone is told of (SL-29).
func TestMembersByPage(t *testing.T) {
	t.Parallel()
	member := func(id string, names int) admin.UpdateMember {
		m := admin.UpdateMember{MemberContent: admin.MemberContent{ID: id}}
		for n := range names {
			m.Identifiers = append(m.Identifiers, fmt.Sprintf("%s.%d.example.org", strings.Repeat("n", 50), n))
		}
		return m
	}
	list := []admin.UpdateMember{member("large", 10000), member("too large", 20000)}
	for n := range 1200 {
		list = append(list, member(fmt.Sprint(n), n%50))
	}
	list = append(list, member("large too", 10000), member("as large", 10000))
	pages, refused, err := membersByPage(list)
	if err != nil || len(refused) != 1 || refused[0].Member != "too large" {
		t.Errorf("%v, %v", refused, err)
	}
	var got []string
	for _, page := range pages {
		text, err := json.Marshal(page)
		if err != nil || len(text) > importSize || len(page) == 0 || len(page) > pageOfMembers {
			t.Errorf("a page of %d members and %d bytes, %v", len(page), len(text), err)
		}
		for _, m := range page {
			got = append(got, m.ID)
		}
	}
	if len(got) != len(list)-1 || got[0] != "large" || got[len(got)-1] != "as large" {
		t.Errorf("%d of %d members, from %s", len(got), len(list), got[0])
	}
}
