package jws_test

import (
	"crypto/ed25519"
	"fmt"

	"acmebridge/acme/jws"
)

// A server finds the key between Parse and Verify, and redeems the nonce and
// compares the URL after it.
func ExampleParse() {
	account := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	stored, problem := jws.NewKey(account.Public())
	if problem != nil {
		fmt.Println(problem)
		return
	}
	protected := encode([]byte(`{"alg":"EdDSA","kid":"https://ca.example/acme/account/1","nonce":"AAAA","url":"https://ca.example/acme/new-order"}`))
	payload := encode([]byte(`{"notAfter":"2030-01-02T03:04:05Z"}`))
	body := fmt.Appendf(nil, `{"protected":%q,"payload":%q,"signature":%q}`, protected, payload,
		encode(ed25519.Sign(account, []byte(protected+"."+payload))))

	message, problem := jws.Parse(body)
	if problem != nil {
		fmt.Println(problem)
		return
	}
	fmt.Println("signed by", message.KeyID())
	verified, problem := message.Verify(stored)
	if problem != nil {
		fmt.Println(problem)
		return
	}
	var order struct {
		NotAfter string `json:"notAfter"`
	}
	if problem := jws.DecodePayload(verified.Payload(), &order); problem != nil {
		fmt.Println(problem)
		return
	}
	fmt.Println("until", order.NotAfter)
	// Output:
	// signed by https://ca.example/acme/account/1
	// until 2030-01-02T03:04:05Z
}
