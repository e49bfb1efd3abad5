package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/coreos/go-oidc/v3/oidc/oidctest"
	"github.com/rogpeppe/go-internal/testscript"
)

// login ISSUER CA-FILE [NAME MEMBER[,MEMBER] VARIABLE]... runs an identity
// provider until the script has ended. The first variable is set to its URL, the
// file gets its root, and each further variable an ID token for a person who may
// act for members.
func cmdLogin(ts *testscript.TestScript, _ bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	provider := &oidctest.Server{PublicKeys: []oidctest.PublicKey{{PublicKey: key.Public(), KeyID: "k1", Algorithm: oidc.ES256}}, Algorithms: []string{oidc.ES256}}
	server := httptest.NewTLSServer(provider)
	ts.Defer(server.Close)
	provider.SetIssuer(server.URL)
	ts.Setenv(args[0], server.URL)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600))
	for people := args[2:]; len(people) >= 3; people = people[3:] {
		claims, err := json.Marshal(map[string]any{
			"iss": server.URL, "aud": "directory-cli", "sub": people[0], "email": people[0] + "@example.org", "organization": strings.Split(people[1], ","),
			"exp": time.Now().Add(time.Hour).Unix(),
		})
		ts.Check(err)
		ts.Setenv(people[2], oidctest.SignIDToken(key, "k1", oidc.ES256, string(claims)))
	}
}
