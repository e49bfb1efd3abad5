package digicert_test

import (
	"context"
	"fmt"
	"net"
	"time"

	"acmebridge/acme"
	"acmebridge/backends"
	"acmebridge/backends/digicert"
	"acmebridge/backends/digicert/digicerttest"
	"acmebridge/conformance/backendtest"
	"acmebridge/internal/secret"
)

// A certificate is ordered, waited for, and comes with what certifies it.
func Example() {
	ca, err := digicerttest.New(digicerttest.Config{Processing: time.Hour})
	if err != nil {
		fmt.Println(err)
		return
	}
	url, stop, err := ca.Start()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()

	client, err := digicert.New(digicert.Config{
		URL: url, Key: func() (secret.Secret, error) { return secret.New([]byte("digicert-key")), nil }, Dial: new(net.Dialer).DialContext,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	_, root := ca.Roots()
	backend, err := digicert.NewBackend(digicert.BackendConfig{Client: client, Organization: 117, Roots: [][]byte{root}})
	if err != nil {
		fmt.Println(err)
		return
	}

	request := backendtest.NewRequest(time.Now(), backends.Traits{})
	request.Contract.Subject = acme.SubjectByCA
	ctx := context.Background()
	ticket, err := backend.Submit(ctx, request)
	if err != nil {
		fmt.Println(err)
		return
	}
	waiting, err := backend.Poll(ctx, ticket)
	fmt.Println("a chain of", len(waiting.Chain), "to be asked for again:", waiting.After > 0, err)
	ca.Advance(time.Hour)
	done, err := backend.Poll(ctx, ticket)
	fmt.Println("a chain of", len(done.Chain), err)
	// Output:
	// a chain of 0 to be asked for again: true <nil>
	// a chain of 2 <nil>
}
