package acmetest_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"acmebridge/conformance/acmetest"
	"acmebridge/conformance/pebbletest"
)

var (
	directoryFlag   = flag.String("directory", "", "directory URL of the server to test; empty: Pebble, in this process")
	caFlag          = flag.String("ca", "", "PEM file with the roots of the server's TLS certificate")
	http01Flag      = flag.String("http01", "127.0.0.1:5002", "address to answer http-01 validations at")
	suffixFlag      = flag.String("suffix", "", "suffix of the names to order")
	contactFlag     = flag.String("contact", "", "account contact the server accepts")
	eabFlag         = flag.String("eab-directory", "", "directory URL that requires external account binding")
	eabKeysFlag     = flag.String("eab-keys", "", "file with one unused key per line: kid, space, base64url key")
	eabReusableFlag = flag.Bool("eab-reusable", false, "one external account key may bind several accounts")
	differencesFlag = flag.String("differences", "", "JSON file, case name to reason, of reviewed differences")
)

// TestServer checks the server named by the flags, or Pebble when none is.
func TestServer(t *testing.T) {
	if *directoryFlag == "" {
		acmetest.Run(t, againstPebble(t))
		return
	}
	cfg, err := fromFlags()
	if err != nil {
		t.Fatal(err)
	}
	acmetest.Run(t, cfg)
}

// TestClientsRetryRefusedNonces runs the good ways against a server that refuses
// one good nonce in five: a suite that could not cope would blame the server.
func TestClientsRetryRefusedNonces(t *testing.T) {
	server := pebbletest.Start(t, pebbletest.Config{RejectNonces: 20})
	report := acmetest.Run(t, acmetest.Config{
		DirectoryURL:   server.DirectoryURL,
		RootCAs:        server.RootsPEM,
		HTTP01Listener: server.HTTP01Listener,
		Match: func(c acmetest.Case) bool {
			return strings.HasPrefix(c.Name, "client-") || c.ID == "R8555-9.1-1" || c.ID == "R8555-8.3-7" ||
				strings.HasSuffix(c.FullName(), "R8555-6.2-1/signature-with-a-flipped-bit")
		},
	})
	if len(report.Passed) < 12 {
		t.Errorf("only %d cases passed", len(report.Passed))
	}
}

// TestCasesAreNamed keeps names unique and the suite as large as it claims to be.
func TestCasesAreNamed(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range acmetest.Cases() {
		if c.ID == "" || c.Name == "" || c.Run == nil || strings.ContainsAny(c.FullName(), " _") || seen[c.FullName()] {
			t.Errorf("case %q is incomplete, oddly named or there twice", c.FullName())
		}
		seen[c.FullName()] = true
	}
	if len(seen) < 200 {
		t.Errorf("%d cases, want more than 200", len(seen))
	}
}

func againstPebble(t *testing.T) acmetest.Config {
	keys := map[string]string{}
	for i := range 200 {
		keys[fmt.Sprintf("kid-%03d", i)] = base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "external account key number %09d", i))
	}
	server := pebbletest.Start(t, pebbletest.Config{AlternateRoots: 1})
	bound := pebbletest.Start(t, pebbletest.Config{ExternalAccounts: keys})
	return acmetest.Config{
		DirectoryURL:   server.DirectoryURL,
		RootCAs:        append(server.RootsPEM, bound.RootsPEM...),
		HTTP01Listener: server.HTTP01Listener,
		ExternalAccounts: &acmetest.ExternalAccounts{
			DirectoryURL: bound.DirectoryURL,
			NewKey:       keysFrom(keys),
			Reusable:     true, // Pebble never uses a key up
		},
		Differences: pebbleDifferences(),
		// Pebble locks itself out in one case; waiting longer would not help it.
		RequestTimeout: 3 * time.Second,
	}
}

// keysFrom hands out each key once.
func keysFrom(keys map[string]string) func() (acmetest.ExternalAccountKey, error) {
	var mu sync.Mutex
	return func() (acmetest.ExternalAccountKey, error) {
		mu.Lock()
		defer mu.Unlock()
		for kid, text := range keys {
			delete(keys, kid)
			secret, err := base64.RawURLEncoding.DecodeString(text)
			if err != nil {
				return acmetest.ExternalAccountKey{}, fmt.Errorf("key of %q: %w", kid, err)
			}
			return acmetest.ExternalAccountKey{KID: kid, HMAC: secret}, nil
		}
		return acmetest.ExternalAccountKey{}, errors.New("no unused external account key is left")
	}
}

func fromFlags() (acmetest.Config, error) {
	cfg := acmetest.Config{
		DirectoryURL: *directoryFlag,
		HTTP01Addr:   *http01Flag,
		NameSuffix:   *suffixFlag,
		Contact:      *contactFlag,
	}
	var err error
	if *caFlag != "" {
		if cfg.RootCAs, err = os.ReadFile(*caFlag); err != nil {
			return cfg, fmt.Errorf("-ca: %w", err)
		}
	}
	if *differencesFlag != "" {
		text, err := os.ReadFile(*differencesFlag)
		if err != nil {
			return cfg, fmt.Errorf("-differences: %w", err)
		}
		if err := json.Unmarshal(text, &cfg.Differences); err != nil {
			return cfg, fmt.Errorf("-differences %s: %w", *differencesFlag, err)
		}
	}
	if *eabFlag != "" {
		text, err := os.ReadFile(*eabKeysFlag)
		if err != nil {
			return cfg, fmt.Errorf("-eab-keys: %w", err)
		}
		keys := map[string]string{}
		for line := range strings.Lines(string(text)) {
			if kid, key, found := strings.Cut(strings.TrimSpace(line), " "); found {
				keys[kid] = strings.TrimSpace(key)
			}
		}
		cfg.ExternalAccounts = &acmetest.ExternalAccounts{DirectoryURL: *eabFlag, NewKey: keysFrom(keys), Reusable: *eabReusableFlag}
	}
	return cfg, nil
}
