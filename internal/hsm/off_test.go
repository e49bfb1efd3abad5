//go:build !pkcs11

package hsm_test

import (
	"errors"
	"testing"

	"acmebridge/internal/hsm"
)

// TestNotBuilt: the static program says what is missing.
func TestNotBuilt(t *testing.T) {
	t.Parallel()
	_, err := hsm.Open(hsm.Config{Module: "m", Token: "t", PIN: func() ([]byte, error) { return nil, nil }})
	if !errors.Is(err, hsm.ErrNotBuilt) {
		t.Errorf("%v", err)
	}
	for _, c := range []hsm.Config{{}, {Module: "m"}, {Module: "m", Token: "t"}} {
		if _, err := hsm.Open(c); err == nil || errors.Is(err, hsm.ErrNotBuilt) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
