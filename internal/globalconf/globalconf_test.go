package globalconf_test

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"acmebridge/internal/globalconf"
	"acmebridge/internal/globalconf/globalconftest"
)

// document has an owner, a client with a subsystem and a member without a
// server.
var document = globalconftest.Document("EX",
	globalconftest.Entry{Class: "GOV", Code: "1", Name: "Ministry & Co", Owns: map[string]string{"ss1": "ss1.example.org"}},
	globalconftest.Entry{Class: "COM", Code: "2", Name: "Company", Uses: []string{"ss1"}},
	globalconftest.Entry{Class: "COM", Code: "1", Name: "Nobody"},
)

var members = []globalconf.Member{
	{Class: "GOV", Code: "1", Name: "Ministry & Co", Servers: []globalconf.Server{{Code: "ss1", Address: "ss1.example.org", Owned: true}}},
	{Class: "COM", Code: "2", Name: "Company", Servers: []globalconf.Server{{Code: "ss1", Address: "ss1.example.org"}}},
	{Class: "COM", Code: "1", Name: "Nobody"},
}

// download starts a source and gets what it publishes.
func download(t *testing.T, cfg globalconftest.Config) (globalconf.Shared, error) {
	t.Helper()
	source, err := globalconftest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(source)
	defer server.Close()
	anchor, err := globalconf.ParseAnchor([]byte(source.Anchor(server.URL + "/internalconf")))
	if err != nil {
		t.Fatal(err)
	}
	return globalconf.Download(t.Context(), server.Client(), anchor, time.Now())
}

func TestDownload(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]globalconftest.Config{
		"ECDSA":                  {},
		"RSA":                    {RSA: true},
		"an older version":       {Version: "2"},
		"a file with a header":   {AsFile: true},
		"a file, the end signed": {AsFile: true, SignsLineEnd: true, RSA: true},
		"no version":             {Version: ""},
		"lines end with LF":      {Newline: "\n"},
		"the line end is signed": {SignsLineEnd: true},
	} {
		cfg.Instance, cfg.Shared = "EX", document
		got, err := download(t, cfg)
		if err != nil || got.Instance != "EX" || !reflect.DeepEqual(got.Members, members) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestWhatIsNotSignedIsNotUsed(t *testing.T) {
	t.Parallel()
	replace := func(old, with string) func(string) string {
		return func(m string) string {
			if !strings.Contains(m, old) {
				t.Errorf("there is no %q to spoil", old)
			}
			return strings.Replace(m, old, with, 1)
		}
	}
	for says, cfg := range map[string]globalconftest.Config{
		"none of the certificates":     {Spoil: replace("/V4/shared-params.xml", "/V4/other-params.xml")},
		"signed by the algorithm":      {Spoil: replace("ecdsa-sha512", "ecdsa-sha1")},
		"not in base64":                {Spoil: replace("AAAA; hash", "AAAA; hash-algorithm-id=x\r\n\r\n#\r\n--outer--\r\n; hash")},
		"is no multipart/mixed":        {Spoil: replace("multipart/mixed", "multipart/other")},
		"has expired":                  {Expires: time.Now().Add(-time.Minute)},
		"not those whose hash":         {Swapped: strings.Replace(document, "ss1.example.org", "evil.example.org", 1)},
		"no shared parameters of":      {PartInstance: "OTHER"},
		"of instance OTHER":            {Shared: strings.Replace(document, "<instanceIdentifier>EX<", "<instanceIdentifier>OTHER<", 1)},
		"damaged":                      {Spoil: func(m string) string { return m[:len(m)/2] }},
		"404 Not Found":                {Version: "1"},
		"503 Service Unavailable":      {Status: http.StatusServiceUnavailable},
		"the shared parameters cannot": {Shared: document[:len(document)-20]},
	} {
		cfg.Instance = "EX"
		if cfg.Shared == "" {
			cfg.Shared = document
		}
		if got, err := download(t, cfg); err == nil || !strings.Contains(err.Error(), says) || len(got.Members) > 0 {
			t.Errorf("got %v and %d members, want %q", err, len(got.Members), says)
		}
	}
}

// Another one's key signs nothing, whatever the message says of itself.
func TestAnchorDecides(t *testing.T) {
	t.Parallel()
	source, err := globalconftest.New(globalconftest.Config{Instance: "EX", Shared: document})
	if err != nil {
		t.Fatal(err)
	}
	other, err := globalconftest.New(globalconftest.Config{Instance: "EX"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(source)
	defer server.Close()
	anchor, err := globalconf.ParseAnchor([]byte(other.Anchor(server.URL)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := globalconf.Download(t.Context(), server.Client(), anchor, time.Now()); err == nil || !strings.Contains(err.Error(), "none of the certificates") {
		t.Errorf("got %v", err)
	}
	// The next source is asked when one does not answer.
	good, err := globalconf.ParseAnchor([]byte(source.Anchor(server.URL)))
	if err != nil {
		t.Fatal(err)
	}
	anchor.Sources = append(anchor.Sources, good.Sources...)
	if _, err := globalconf.Download(t.Context(), server.Client(), anchor, time.Now()); err != nil {
		t.Error(err)
	}
}

func TestBadAnchors(t *testing.T) {
	t.Parallel()
	source, err := globalconftest.New(globalconftest.Config{Instance: "EX"})
	if err != nil {
		t.Fatal(err)
	}
	good := source.Anchor("https://cs.example.org/internalconf")
	for says, bad := range map[string]string{
		"cannot be read":      "no XML",
		"names no instance":   strings.Replace(good, ">EX<", "> <", 1),
		"without a URL":       strings.Replace(good, "https:", "file:", 1),
		"does not say who":    good[:strings.Index(good, "<verificationCert>")] + "</source></ns3:configurationAnchor>",
		"not in base64":       strings.Replace(good, "<verificationCert>", "<verificationCert>#", 1),
		"has no source":       good[:strings.Index(good, "<source>")] + "</ns3:configurationAnchor>",
		"follows":             good + "<more/>",
		"configurationAnchor": strings.ReplaceAll(good, "configurationAnchor", "conf"),
	} {
		if _, err := globalconf.ParseAnchor([]byte(bad)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
}

func TestBadSharedParameters(t *testing.T) {
	t.Parallel()
	for says, bad := range map[string]string{
		"cannot be read":           "",
		"name no instance":         globalconftest.Document(" "),
		"no class or no code":      globalconftest.Document("EX", globalconftest.Entry{Class: "GOV"}),
		"colon or slash":           globalconftest.Document("EX:1", globalconftest.Entry{Class: "GOV", Code: "1"}),
		"there twice":              globalconftest.Document("EX", globalconftest.Entry{Class: "GOV", Code: "1"}, globalconftest.Entry{Class: "GOV", Code: "1"}),
		`XML id "id0"`:             strings.Replace(document, `id="id1"`, `id="id0"`, 1),
		"which is no member":       strings.Replace(document, "<owner>id0<", "<owner>id9<", 1),
		"and no member or subsyst": strings.Replace(document, "<client>id1_sub<", "<client>id9_sub<", 1),
		"written in latin1":        strings.Replace(document, "UTF-8", "latin1", 1),
	} {
		if _, err := globalconf.ParseShared([]byte(bad)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
}

// TestRefusedMember: one that cannot be written as INSTANCE:CLASS:CODE does not
// keep the others out, also where it owns their server.
func TestRefusedMember(t *testing.T) {
	t.Parallel()
	s, err := globalconf.ParseShared([]byte(globalconftest.Document("EX",
		globalconftest.Entry{Class: "GOV", Code: "1:2", Owns: map[string]string{"ss1": "ss1.example.org"}},
		globalconftest.Entry{Class: "GO/V", Code: "1"},
		globalconftest.Entry{Class: "COM", Code: "2", Uses: []string{"ss1"}},
	)))
	if err != nil || len(s.Refused) != 2 || s.Refused[0].Code != "1:2" || s.Refused[1].Class != "GO/V" ||
		len(s.Members) != 1 || len(s.Members[0].Servers) != 1 || s.Members[0].Servers[0].Address != "ss1.example.org" {
		t.Errorf("%+v, %v", s, err)
	}
}

func FuzzParseShared(f *testing.F) {
	f.Add([]byte(document))
	f.Add([]byte("<conf/>"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := globalconf.ParseShared(text)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, m := range s.Members {
			id := m.Class + ":" + m.Code
			if strings.Count(id, ":") != 1 || seen[id] || m.Class == "" || m.Code == "" {
				t.Errorf("member %q", id)
			}
			seen[id] = true
		}
	})
}

func FuzzParseAnchor(f *testing.F) {
	source, err := globalconftest.New(globalconftest.Config{Instance: "EX"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(source.Anchor("https://cs.example.org/internalconf")))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := globalconf.ParseAnchor(text)
		if err == nil && (a.Instance == "" || len(a.Sources) == 0 || len(a.Sources[0].Certificates) == 0) {
			t.Errorf("%+v", a)
		}
	})
}
