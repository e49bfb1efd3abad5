//go:build pkcs11

package hsm_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha512"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"

	"acmebridge/internal/hsm"
	"acmebridge/internal/hsm/hsmtest"
)

func TestMain(m *testing.M) { os.Exit(hsmtest.Main(m)) }

func config(t *testing.T) hsm.Config {
	return hsm.Config{Module: hsmtest.Module, Token: hsmtest.Token, Prefix: t.Name(), PIN: func() ([]byte, error) { return []byte(hsmtest.PIN + "\n"), nil }}
}

// TestOpenBad comes first: once anybody in the process has logged in, the module
// asks for no PIN any more.
func TestOpenBad(t *testing.T) {
	for name, change := range map[string]func(*hsm.Config){
		"cannot be loaded":              func(c *hsm.Config) { c.Module = "/dev/null" },
		"0 tokens have this label":      func(c *hsm.Config) { c.Token = "other" },
		"PIN of the token":              func(c *hsm.Config) { c.PIN = nil },
		"log in: pkcs11: 0xA0":          func(c *hsm.Config) { c.PIN = func() ([]byte, error) { return []byte("wrong"), nil } },
		"get the PIN: file has gone":    func(c *hsm.Config) { c.PIN = func() ([]byte, error) { return nil, errors.New("file has gone") } },
		"name the PKCS#11 module, a fi": func(c *hsm.Config) { c.Module = "" },
	} {
		c := config(t)
		change(&c)
		if _, err := hsm.Open(c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestKeys: a key is made once, found again by another that opens the token, and
// signs what verifies.
func TestKeys(t *testing.T) {
	h, err := hsm.Open(config(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Open("client/root"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a key that is not there: %v", err)
	}
	if has, err := h.Has("client/root"); has || err != nil {
		t.Errorf("%v, %v", has, err)
	}
	for name, curve := range map[string]elliptic.Curve{"client/root": elliptic.P384(), "client/issuer-1": elliptic.P256()} {
		made, err := h.Create(name, curve)
		if err != nil {
			t.Fatal(err)
		}
		again, err := h.Create(name, curve)
		if err != nil || !made.Public().(*ecdsa.PublicKey).Equal(again.Public()) {
			t.Errorf("made twice: %v", err)
		}
		if has, err := h.Has(name); !has || err != nil {
			t.Errorf("%v, %v", has, err)
		}
		other, err := hsm.Open(config(t))
		if err != nil {
			t.Fatal(err)
		}
		k, err := other.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		digest := sha512.Sum384([]byte("message"))
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				sig, err := k.Sign(nil, digest[:], crypto.SHA384)
				if err != nil || !ecdsa.VerifyASN1(made.Public().(*ecdsa.PublicKey), digest[:], sig) {
					t.Errorf("%s: %v", name, err)
				}
			})
		}
		all.Wait()
		if _, err := k.Sign(nil, digest[:20], crypto.SHA384); err == nil {
			t.Error("something that is no digest was signed")
		}
	}
	if _, err := h.Create("client/root", elliptic.P256()); err == nil {
		t.Error("a key on another curve was taken for the one that was asked for")
	}
	if _, err := h.Create("client/other", elliptic.P521()); err == nil {
		t.Error("a P-521 key was made")
	}
}

// TestAgain: who has lost the session logs in again.
func TestAgain(t *testing.T) {
	h, err := hsm.Open(config(t))
	if err != nil {
		t.Fatal(err)
	}
	k, err := h.Create("k", elliptic.P256())
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	digest := sha512.Sum512_256([]byte("message"))
	if _, err := k.Sign(nil, digest[:], crypto.SHA512_256); err != nil {
		t.Error(err)
	}
}
