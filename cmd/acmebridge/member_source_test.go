package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSignedList: a list that is signed is read as it was signed, in either form,
// and one that was changed is not read.
func TestSignedList(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	const list = "- id: https://directory.example.org/m/1\n  name: Example Ltd\n"
	encode := base64.RawURLEncoding.EncodeToString
	header := encode([]byte(`{"alg":"ES256","iat":1795000000}`))
	sum := sha256.Sum256([]byte(header + "." + encode([]byte(list))))
	r, s, err := ecdsa.Sign(rand.Reader, key, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := encode(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	signedBy := file("registry.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})))
	compact := file("members.jws", header+"."+encode([]byte(list))+"."+signature+"\n")
	detached := file("members.sig", header+".."+signature+"\n")
	plain, changed := file("members.yaml", list), file("changed.yaml", strings.Replace(list, "Ltd", "AG", 1))
	for name, c := range map[string]struct {
		from source
		file string
		ok   bool
	}{
		"compact":            {source{signedBy: signedBy}, compact, true},
		"detached":           {source{signedBy: signedBy, signature: detached}, plain, true},
		"not asked for":      {source{}, plain, true},
		"changed":            {source{signedBy: signedBy, signature: detached}, changed, false},
		"not signed":         {source{signedBy: signedBy}, plain, false},
		"detached, no text":  {source{signedBy: signedBy}, detached, false},
		"by nobody":          {source{signedBy: plain}, compact, false},
		"a key of ours only": {source{signature: detached}, plain, false},
	} {
		members, mode, err := c.from.members(c.file)
		if (err == nil) != c.ok || c.ok && (len(members) != 1 || members[0].Name != "Example Ltd") {
			t.Errorf("%s: %+v, %v", name, members, err)
		}
		if signed := c.from.signedBy != ""; c.ok && (signed != (mode.IssuedAt.Unix() == 1795000000) || signed != (len(mode.Signer) == 64)) {
			t.Errorf("%s: %+v", name, mode)
		}
	}
}
