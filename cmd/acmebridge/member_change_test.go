package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"acmebridge/internal/admin"
)

const xroadConfig = `
directories:
  xroad: {external_account: required, profiles: [xroad-auth, xroad-sign]}
profiles:
  xroad-auth: {backend: local, validity: 365d, lenient_replaces: true, authorization: both, xroad: {usage: auth}}
  xroad-sign: {backend: local, validity: 365d, lenient_replaces: true, authorization: both, xroad: {usage: sign, instance: EX}}
`

// colleague is somebody who changes members whenever a command is about to write
// what it has made of them: between its reading and its writing.
type colleague struct {
	t       *testing.T
	server  http.Handler
	members []string
	// left is how many times that happens.
	left, done atomic.Int32
}

func (o *colleague) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost && (r.URL.Path == "/v1/member-import" || strings.HasPrefix(r.URL.Path, "/v1/members/")) && o.left.Add(-1) >= 0 {
		o.change(r.Context())
	}
	o.server.ServeHTTP(w, r)
}

func (o *colleague) change(ctx context.Context) {
	a, n := admin.InProcess(o.server), o.done.Add(1)
	for _, id := range o.members {
		m, err := admin.Get[admin.Member](ctx, a, memberPath(id))
		if err != nil {
			o.t.Error(err)
			return
		}
		m.Identifiers = append(m.Identifiers, fmt.Sprintf("colleague-%d.example.org", n))
		m.OpenOrders = int(n)
		if _, err = admin.Post[admin.Member](ctx, a, memberPath(id), admin.UpdateMember{MemberContent: m.MemberContent, Version: m.Version}); err != nil {
			o.t.Error(err)
		}
	}
}

// office is a server with members, and a colleague who is in the way.
type office struct {
	*colleague
	env    []string
	client *admin.Client
}

func newOffice(t *testing.T, inTheWay int32, members ...string) *office {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "c.yaml")
	if err := os.WriteFile(file, []byte(xroadConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "d")
	env := []string{"ACMEBRIDGE_CONFIG=" + file, "ACMEBRIDGE_DATA_DIR=" + data}
	h, err := assembled(t, data, time.Now, env...).handler(false)
	if err != nil {
		t.Fatal(err)
	}
	o := &office{&colleague{t: t, server: h, members: members}, env, admin.InProcess(h)}
	for _, id := range members {
		if _, err := admin.Post[admin.Member](t.Context(), o.client, "/v1/members", admin.MemberContent{ID: id, Identifiers: []string{"first.example.org"}}); err != nil {
			t.Fatal(err)
		}
	}
	o.left.Store(inTheWay)
	l, err := admin.Listen(data)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: o.colleague, ReadHeaderTimeout: time.Minute, BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(t.Context()) }}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close(); <-ended })
	return o
}

// run carries out a command line as the operator.
func (o *office) run(args ...string) (code int, out, complaint string) {
	var stdout, stderr bytes.Buffer
	code = run(program{stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr, env: o.env}, args)
	return code, stdout.String(), stderr.String()
}

func (o *office) member(id string) admin.Member {
	o.t.Helper()
	m, err := admin.Get[admin.Member](o.t.Context(), o.client, memberPath(id))
	if err != nil {
		o.t.Fatal(err)
	}
	return m
}

// TestChangesOfOthersStay: what somebody has changed of a member between a
// command's reading and its writing is in what the command writes.
func TestChangesOfOthersStay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shared := filepath.Join(dir, "shared.xml")
	if err := os.WriteFile(shared, []byte(`<?xml version="1.0" encoding="UTF-8"?>
<tns:conf xmlns:tns="http://x-road.eu/xsd/xroad.xsd"><instanceIdentifier>EX</instanceIdentifier>
<member id="id1"><memberClass><code>GOV</code></memberClass><memberCode>1</memberCode><name>New</name></member>
<member id="id2"><memberClass><code>GOV</code></memberClass><memberCode>2</memberCode><name>Two</name></member>
<securityServer><owner>id1</owner><serverCode>ss1</serverCode><address>new.example.org</address></securityServer>
</tns:conf>`), 0o600); err != nil {
		t.Fatal(err)
	}
	const framework = "https://d.example.org/m/1"
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, `[{"@id": %q, "@type": "Organization", "legalName": "New"}]`, framework)
	}))
	t.Cleanup(s.Close)
	roots := filepath.Join(dir, "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	const xroad = "EX:GOV:1"
	for name, tt := range map[string]struct {
		member string
		args   []string
	}{
		"xroad member add":    {xroad, []string{"xroad", "member", "add", xroad, "--name", "New", "--server", "new.example.org", "--ca-name", "CA"}},
		"xroad member import": {xroad, []string{"xroad", "member", "import", shared}},
		"member import --url": {framework, []string{"member", "import", "--url", s.URL, "--ca-file", roots}},
		"member update":       {xroad, []string{"member", "update", xroad, "--name", "New"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, changes-1, tt.member)
			if code, out, complaint := o.run(tt.args...); code != exitDone {
				t.Fatalf("exit code %d: %s%s", code, out, complaint)
			}
			m := o.member(tt.member)
			if m.Name != "New" || m.OpenOrders != changes-1 || !slices.Contains(m.Identifiers, "first.example.org") {
				t.Errorf("%+v", m)
			}
			for n := range changes - 1 {
				if name := fmt.Sprintf("colleague-%d.example.org", n+1); !slices.Contains(m.Identifiers, name) {
					t.Errorf("%s is lost, of %q", name, m.Identifiers)
				}
			}
			if name := "new.example.org"; tt.member == xroad && tt.args[0] == "xroad" && !slices.Contains(m.Identifiers, name) {
				t.Errorf("%s is missing in %q", name, m.Identifiers)
			}
			// Somebody who is in the way each time is told of, and not written over.
			before := o.done.Load()
			o.left.Store(1000)
			args := tt.args
			if name == "member update" {
				args = []string{"member", "update", xroad, "--name", "Newer"}
			}
			code, out, complaint := o.run(args...)
			if did := o.done.Load() - before; code != exitFailed || did != changes || !strings.Contains(out+complaint, fmt.Sprintf("others have changed it %d times", changes)) {
				t.Errorf("exit code %d after %d changes: %s%s", code, did, out, complaint)
			}
			if m := o.member(tt.member); m.OpenOrders != int(before)+changes || m.Name != "New" {
				t.Errorf("%+v", m)
			}
		})
	}
}

// TestVersionSaid: who says which version a change is to be made to hears that
// somebody was faster.
func TestVersionSaid(t *testing.T) {
	t.Parallel()
	o := newOffice(t, 1, "m1")
	code, _, complaint := o.run("member", "update", "m1", "--name", "New", "--version", "1")
	if m := o.member("m1"); code != exitFailed || !strings.Contains(complaint, "at version 2, not 1") || m.Name != "" || m.Version != 2 {
		t.Errorf("exit code %d: %s, %+v", code, complaint, m)
	}
}

// TestMemberAppears: a member that somebody adds while a command is about to is
// not written over either.
func TestMemberAppears(t *testing.T) {
	t.Parallel()
	o := newOffice(t, 0)
	mode := admin.ImportMode{Versioned: true}
	list := []admin.UpdateMember{{MemberContent: admin.MemberContent{ID: "m1", Name: "One"}}}
	if done, err := admin.Post[admin.Import](t.Context(), o.client, mode.Path("/v1/member-import"), list); err != nil || len(done.Created) != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	list[0].Name = "Other"
	if _, err := admin.Post[admin.Import](t.Context(), o.client, mode.Path("/v1/member-import"), list); !admin.Stale(err) {
		t.Errorf("%v, want that it is there by now", err)
	}
	list[0].Version = 1
	if _, err := admin.Post[admin.Import](t.Context(), o.client, "/v1/member-import", list); err == nil || admin.Stale(err) {
		t.Errorf("a version that nobody would look at: %v", err)
	}
	if m := o.member("m1"); m.Name != "One" {
		t.Errorf("%+v", m)
	}
}

// TestNoHalfMember: a member whose keys cannot both be made is not added, and has
// none of them.
func TestNoHalfMember(t *testing.T) {
	t.Parallel()
	o := newOffice(t, 0)
	code, _, complaint := o.run("xroad", "member", "add", "EX-TEST:GOV:1", "--server", "ss3.example.org", "--ca-name", "CA")
	if code != exitFailed || !strings.Contains(complaint, "make the key for profile xroad-sign") || strings.Contains(complaint, "all the same") {
		t.Errorf("exit code %d: %s", code, complaint)
	}
	members, err := admin.Get[admin.Page[admin.Member]](t.Context(), o.client, "/v1/members")
	keys, err2 := admin.Get[admin.Page[admin.ExternalKey]](t.Context(), o.client, "/v1/external-keys")
	if err != nil || err2 != nil || len(members.Items)+len(keys.Items) != 0 {
		t.Errorf("%+v, %+v, %v, %v", members.Items, keys.Items, err, err2)
	}
}
