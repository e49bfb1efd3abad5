//go:build pkcs11

package hsm

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/asn1"
	"testing"
)

// TestPublicKey: points are read wrapped and bare, also a bare one whose second
// byte is what the length of an OCTET STRING would be.
func TestPublicKey(t *testing.T) {
	t.Parallel()
	parameters, err := asn1.Marshal(curves[0].oid)
	if err != nil {
		t.Fatal(err)
	}
	for {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		bare, err1 := key.PublicKey.Bytes()
		wrapped, err2 := asn1.Marshal(bare)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		for _, point := range [][]byte{bare, wrapped} {
			if got, err := publicKey(parameters, point); err != nil || !got.Equal(&key.PublicKey) {
				t.Fatalf("the point %x: %v", point, err)
			}
		}
		if int(bare[1]) == len(bare)-2 {
			break
		}
	}
	for _, bad := range [][]byte{nil, {4}, make([]byte, 65), {4, 1, 4}} {
		if _, err := publicKey(parameters, bad); err == nil {
			t.Errorf("%x was read", bad)
		}
	}
}
