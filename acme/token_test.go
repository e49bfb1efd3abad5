package acme

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io"
	"regexp"
	"testing"
	"testing/iotest"
)

func TestNewToken(t *testing.T) { // R8555-8-3, R8555-11.3-1
	t.Parallel()
	alphabet := regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
	seen := make(map[string]bool)
	for range 100 {
		token, err := NewToken(rand.Reader)
		if err != nil || !alphabet.MatchString(token) || seen[token] {
			t.Fatalf("token %q, %v", token, err)
		}
		seen[token] = true
	}
	got, err := NewToken(bytes.NewReader(bytes.Repeat([]byte{0xff}, 32)))
	if want := "__________________________________________8"; err != nil || got != want {
		t.Errorf("token %q, %v, want %q", got, err, want)
	}
	// Short randomness is no randomness.
	if _, err := NewToken(bytes.NewReader(make([]byte, 31))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("31 bytes: %v", err)
	}
	broken := errors.New("no entropy")
	if _, err := NewToken(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("broken source: %v", err)
	}
}

func TestKeyAuthorization(t *testing.T) { // R8555-8.1-1
	t.Parallel()
	got := KeyAuthorization("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA", "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI")
	if want := "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"; got != want {
		t.Errorf("got %s", got)
	}
}
