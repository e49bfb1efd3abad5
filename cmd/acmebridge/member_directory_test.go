package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"acmebridge/cmd/acmebridge/config"
	"acmebridge/internal/admin"
)

// TestDirectoryFetch: a directory is read part by part, from the one host that was
// named.
func TestDirectoryFetch(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	s := httptest.NewTLSServer(mux)
	t.Cleanup(s.Close)
	answer := func(path, text string) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, text) })
	}
	answer("/first", `{"next": "/second", "@graph": [{"@id": "https://d.example.org/m/1", "@type": "Organization", "legalName": "One"}]}`)
	answer("/second", `[{"@id": "https://d.example.org/m/2", "@type": "Organization", "legalName": "Two"}]`)
	answer("/loop", `{"next": "/loop", "@graph": []}`)
	answer("/away", `{"next": "https://elsewhere.example.org/", "@graph": []}`)
	answer("/plain", `{"next": "http://`+strings.TrimPrefix(s.URL, "https://")+`/", "@graph": []}`)
	answer("/large", `[`+strings.Repeat(" ", importSize)+`]`)
	mux.HandleFunc("GET /moved", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/first", http.StatusFound) })
	roots := filepath.Join(t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/first": "", "/loop": "more than 100 parts", "/away": "another host", "/plain": "another host", "/large": "more than", "/moved": "leads elsewhere", "/none": "404",
	} {
		d := directorySource{url: s.URL + path, caFile: roots}
		found, err := d.fetch(t.Context(), config.Default())
		switch {
		case want == "" && (err != nil || len(found) != 2 || found[1].Name != "Two"):
			t.Errorf("%s: %+v, %v", path, found, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	for _, d := range []directorySource{
		{url: s.URL + "/first"}, // the root is not the system's
		{url: "http://directory.example.org/"},
		{url: "https://"},
		{url: s.URL + "/first", caFile: roots + ".none"},
	} {
		if _, err := d.fetch(context.Background(), config.Default()); err == nil {
			t.Errorf("%+v was read", d)
		}
	}
}

// TestDirectoryFits: the server takes the largest directory that is read, in one
// piece, with what the registry adds to it.
func TestDirectoryFits(t *testing.T) {
	t.Parallel()
	if most := directoryPages * importSize; most+most/5 > admin.MaxMemberImport {
		t.Errorf("a directory may have %d bytes, and the server takes %d", most, admin.MaxMemberImport)
	}
}
