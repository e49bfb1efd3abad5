package acme_test

import (
	"fmt"

	"acmebridge/acme"
)

func ExampleParseIdentifiers() {
	policy := acme.IdentifierPolicy{Suffixes: []string{"members.test"}}
	ids, _ := acme.ParseIdentifiers([]acme.Identifier{
		{Type: acme.DNSIdentifier, Value: "WWW.members.test"},
		{Type: acme.DNSIdentifier, Value: "www.members.test"},
	}, policy)
	for _, id := range ids {
		fmt.Println(id.Value, "sent as", id.Wire())
	}

	_, problem := acme.ParseIdentifiers([]acme.Identifier{
		{Type: acme.DNSIdentifier, Value: "www.members.test"},
		{Type: acme.DNSIdentifier, Value: "*.members.test"},
		{Type: acme.DNSIdentifier, Value: "bücher.members.test"},
	}, policy)
	fmt.Println(problem.Type)
	for _, part := range problem.Subproblems {
		fmt.Println("-", part.Type, part.Detail)
	}
	// Output:
	// www.members.test sent as WWW.members.test
	// compound
	// - rejectedIdentifier "*.members.test" is a wildcard, which is not offered here; list the names
	// - malformed "bücher.members.test" is not a DNS name: write it in its ASCII form, "xn--bcher-kva.members.test"
}

func ExampleOrderStatus_CanBecome() {
	fmt.Println(acme.OrderReady.CanBecome(acme.OrderProcessing))
	fmt.Println(acme.OrderValid.CanBecome(acme.OrderInvalid))
	// Output:
	// true
	// false
}

func ExampleCertID() {
	keyID := []byte{0x69, 0x88, 0x5B, 0x6B, 0x87, 0x46, 0x40, 0x41, 0xE1, 0xB3, 0x7B, 0x84, 0x7B, 0xA0, 0xAE, 0x2C, 0xDE, 0x01, 0xC8, 0xD4}
	fmt.Println(acme.CertID(keyID, []byte{0x00, 0x87, 0x65, 0x43, 0x21}))
	// Output: aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE
}
