package config_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"acmebridge/cmd/acmebridge/config"
)

var update = flag.Bool("update", false, "rewrite docs/config.md")

func TestDocumentation(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "..", "docs", "config.md")
	want := config.Documentation()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("docs/config.md is out of date (%v); run go generate ./cmd/acmebridge/config", err)
	}
}

// TestEveryKeyIsDescribed walks the types themselves: a field without key or
// text is one that nobody can set or understand.
func TestEveryKeyIsDescribed(t *testing.T) {
	t.Parallel()
	seen := map[reflect.Type]bool{}
	var look func(reflect.Type)
	look = func(s reflect.Type) {
		for s.Kind() == reflect.Map || s.Kind() == reflect.Slice || s.Kind() == reflect.Pointer {
			s = s.Elem()
		}
		if s.Kind() != reflect.Struct || s.PkgPath() != reflect.TypeFor[config.Config]().PkgPath() || seen[s] {
			return
		}
		if s == reflect.TypeFor[config.Rate]() {
			return // a value, written as text
		}
		seen[s] = true
		for i := range s.NumField() {
			f := s.Field(i)
			_, variant := f.Tag.Lookup("when")
			if !variant && (f.Tag.Get("key") == "" || !strings.HasSuffix(strings.TrimRight(f.Tag.Get("doc"), ")"), ".")) {
				t.Errorf("%s.%s has no key, or no doc that is a sentence: %s", s.Name(), f.Name, f.Tag)
			}
			look(f.Type)
		}
	}
	look(reflect.TypeFor[config.Config]())
	if len(seen) < 10 {
		t.Errorf("saw %d types only: %v", len(seen), seen)
	}
}

// TestSchema compares the schema with the print, which has every key: an
// editor must know each of them, with its default, and no more.
func TestSchema(t *testing.T) {
	t.Parallel()
	var root map[string]any
	if err := json.Unmarshal(config.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	if root["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("$schema is %v", root["$schema"])
	}
	at := func(node map[string]any, path ...string) map[string]any {
		for _, p := range path {
			next, ok := node[p].(map[string]any)
			if !ok {
				t.Fatalf("the schema has no %s on the way %v", p, path)
			}
			node = next
		}
		return node
	}
	validation := at(root, "properties", "validation")
	if validation["additionalProperties"] != false {
		t.Error("the schema admits unknown keys under validation")
	}
	port := at(validation, "properties", "http_port")
	if port["default"] != 80.0 || port["minimum"] != 1.0 || port["maximum"] != 65535.0 {
		t.Errorf("http_port: %v", port)
	}
	if hold := at(root, "properties", "profiles", "additionalProperties", "properties", "hold"); hold["default"] != "3s" {
		t.Errorf("hold: %v", hold)
	}
	backend := at(root, "properties", "backends", "additionalProperties")
	if backend["unevaluatedProperties"] != false {
		t.Error("the schema admits unknown keys of a backend")
	}
	rules, ok := backend["allOf"].([]any)
	if !ok || len(rules) != 7 {
		t.Fatalf("backend types: %v", backend["allOf"])
	}
	local := at(rules[0].(map[string]any), "then", "properties")
	if _, there := local["passphrase"]; there {
		t.Error("the schema offers to write a secret into the file")
	}
	if !reflect.DeepEqual(at(local, "key_type")["enum"], []any{nil, "p256", "p384"}) {
		t.Errorf("key_type: %v", local["key_type"])
	}
	for _, line := range strings.Split(printed(t), "\n") {
		key, _, found := strings.Cut(strings.TrimSpace(line), ":")
		entry := key == "default" || key == "tls" || key == "local"
		if found && !entry && !bytes.Contains(config.Schema(), []byte(`"`+key+`": {`)) {
			t.Errorf("the schema lacks %s", key)
		}
	}
}

func printed(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	if err := config.Default().Print(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
