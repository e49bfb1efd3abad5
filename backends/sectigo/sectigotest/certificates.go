package sectigotest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"slices"

	"acmebridge/internal/standin"
)

func (ca *CA) find(c *standin.Call) {
	var q struct {
		CommonName   string `json:"commonName"`
		SerialNumber string `json:"serialNumber"`
		Page         int    `json:"page"`
	}
	if err := json.Unmarshal(c.Content, &q); err != nil {
		ca.fail(c, http.StatusBadRequest, "Malformed request")
		return
	}
	items := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(ca.batches)) {
		for i, cert := range ca.batches[id].Issued {
			if cert == nil || (q.CommonName != "" && q.CommonName != cert.CommonName) || (q.SerialNumber != "" && !sameSerial(q.SerialNumber, cert.Serial)) {
				continue
			}
			status := "VALID"
			if cert.Revoked {
				status = "REVOKED"
			}
			items = append(items, map[string]any{
				"deviceId": fmt.Sprintf("%d-%d", id, i), "commonName": cert.CommonName, "serialNumber": cert.Serial,
				"creationDate": cert.Created.Format("2006-01-02T15:04:05.000-0700"), "status": status,
			})
		}
	}
	total := len(items)
	if ca.cfg.PageSize > 0 {
		from := min(max(q.Page, 0)*ca.cfg.PageSize, total)
		items = items[from:min(from+ca.cfg.PageSize, total)]
	}
	c.JSON(http.StatusOK, map[string]any{"totalCount": total, "items": items})
}

func sameSerial(a, b string) bool {
	m, ok := new(big.Int).SetString(a, 16)
	n, also := new(big.Int).SetString(b, 16)
	return ok && also && m.Cmp(n) == 0
}

func (ca *CA) revoke(c *standin.Call) {
	var given struct {
		Reason *int   `json:"reasonCode"`
		Serial string `json:"serialNumber"`
	}
	p := ca.profile(id(c))
	switch err := json.Unmarshal(c.Content, &given); {
	case err != nil || given.Reason == nil:
		ca.fail(c, http.StatusBadRequest, "Malformed request")
		return
	case *given.Reason < 0 || *given.Reason > 10 || *given.Reason == 7:
		ca.fail(c, http.StatusBadRequest, "Unknown revocation reason %d", *given.Reason)
		return
	case p.ID == 0:
		ca.fail(c, http.StatusNotFound, "Profile not found")
		return
	case p.ReadOnly:
		ca.fail(c, http.StatusForbidden, "Access is denied")
		return
	}
	for _, b := range ca.batches {
		for _, cert := range b.Issued {
			if cert == nil || b.ProfileID != p.ID || !sameSerial(given.Serial, cert.Serial) {
				continue
			}
			if cert.Revoked {
				ca.fail(c, http.StatusBadRequest, "Certificate is already revoked")
				return
			}
			cert.Revoked, cert.Reason = true, *given.Reason
			_ = ca.saveBatch(b) // revoked once more after a restart is no harm
			ca.Log(standin.Event{Kind: "revocation", Batch: b.ID, Serial: cert.Serial, CommonName: cert.CommonName, Reason: fmt.Sprint(cert.Reason)})
			c.Status(http.StatusOK)
			return
		}
	}
	ca.fail(c, http.StatusNotFound, "Certificate not found")
}
