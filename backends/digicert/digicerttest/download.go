package digicerttest

import (
	"crypto/x509"
	"net/http"
	"slices"

	"acmebridge/internal/standin"
)

func (ca *CA) download(c *call) {
	o, cert := ca.certificate(c)
	if cert == nil {
		c.fail(http.StatusNotFound, "not_found|certificate", "no such certificate")
		return
	}
	if c.Fault == "sibling" {
		for _, other := range o.certificates {
			if other != cert {
				cert = other
				break
			}
		}
	}
	ca.sendPEM(c, o, cert)
}

// downloadOrder sends the first certificate of an order, whatever was reissued
// since: who asks by order gets a sibling.
func (ca *CA) downloadOrder(c *call) {
	o := ca.find(c)
	switch {
	case o == nil:
	case len(o.certificates) == 0:
		c.fail(http.StatusNotFound, "not_found|certificate", "nothing was issued yet")
	default:
		ca.sendPEM(c, o, o.certificates[0])
	}
}

func (ca *CA) sendPEM(c *call, o *order, cert *issued) {
	chain := []*x509.Certificate{cert.cert, ca.keys.Issuing, ca.keys.Root}
	format := c.PathValue("format")
	switch format {
	case "pem_all":
	case "pem_noroot":
		chain = chain[:2]
	case "pem_nointermediate":
		chain = chain[:1]
	default:
		c.fail(http.StatusBadRequest, "bad_request_format", "there is no format "+format)
		return
	}
	switch c.Fault {
	case "pem-leaf-only":
		chain = chain[:1]
	case "pem-no-root":
		chain = chain[:min(len(chain), 2)]
	case "pem-shuffled":
		slices.Reverse(chain)
	case "pem-extra":
		chain = slices.Insert(chain, 1, ca.keys.stranger)
	}
	content := standin.EncodePEM(chain...)
	if c.Fault == "pem-truncated" {
		content = content[:len(content)/5]
	}
	c.Replace(http.StatusOK, "application/x-pem-file", content)
	ca.Log(standin.Event{Kind: "download", Order: o.text(), Certificate: cert.id, Serial: cert.serial()})
}

func (ca *CA) chainJSON(cert *issued) []map[string]string {
	list := []map[string]string{}
	for _, x := range []*x509.Certificate{cert.cert, ca.keys.Issuing, ca.keys.Root} {
		list = append(list, map[string]string{"subject_common_name": x.Subject.CommonName, "pem": string(standin.EncodePEM(x))})
	}
	return list
}

func (ca *CA) chain(c *call) {
	_, cert := ca.certificate(c)
	if cert == nil {
		c.fail(http.StatusNotFound, "not_found|certificate", "no such certificate")
		return
	}
	c.JSON(http.StatusOK, map[string]any{"intermediates": ca.chainJSON(cert)})
}
