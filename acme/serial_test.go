package acme

import (
	"encoding/hex"
	"math/big"
	"testing"
)

// TestSerialOctets: a number whose first bit is set has a zero before it, in DER
// and so in the id of RFC 9773 as well. The first is that of an issuer in use.
func TestSerialOctets(t *testing.T) {
	t.Parallel()
	for decimal, want := range map[string]string{
		"249666555151730700238121225886464956167": "00bbd4078b34dcde3356d40d563acb5707",
		"108000186910061807827732694399187528584": "514014535bca684bfa26b2dda7e9ab88",
		"128": "0080", "127": "7f", "0": "00",
	} {
		n, ok := new(big.Int).SetString(decimal, 10)
		if got := hex.EncodeToString(SerialOctets(n)); !ok || got != want {
			t.Errorf("%s: %s, want %s", decimal, got, want)
		}
	}
}
