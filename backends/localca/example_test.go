package localca_test

import (
	"crypto/x509"
	"fmt"
	"log"
	"os"
	"time"

	"acmebridge/backends"
	"acmebridge/backends/localca"
	"acmebridge/conformance/backendtest"
)

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "ca")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ca, err := localca.Open(localca.Config{Dir: dir, Name: "local", PublicURL: "http://localhost:14080"})
	if err != nil {
		log.Fatal(err)
	}
	request := backendtest.NewRequest(time.Now(), backends.Traits{}) // the engine makes these
	request.Contract.CommonName = "www.example.org"
	chain, err := ca.Issue(request)
	if err != nil {
		log.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(leaf.Subject, leaf.CRLDistributionPoints, len(chain))
	// Output: CN=www.example.org [http://localhost:14080/crl/local.crl] 2
}
