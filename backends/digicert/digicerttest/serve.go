package digicerttest

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"acmebridge/internal/standin"
)

// base is where the service is below its host.
const base = "/services/v2/"

// endpoints are all of them. The names are those of faults and counters.
func (ca *CA) endpoints() []standin.Endpoint {
	return []standin.Endpoint{
		{Name: "user", Method: http.MethodGet, Pattern: "user/me", Serve: on(ca.user)},
		{Name: "products", Method: http.MethodGet, Pattern: "product", Serve: on(ca.listProducts)},
		{Name: "product", Method: http.MethodGet, Pattern: "product/{id}", Serve: on(ca.showProduct)},
		{Name: "organizations", Method: http.MethodGet, Pattern: "organization", Serve: on(ca.listOrganizations)},
		{Name: "domains", Method: http.MethodGet, Pattern: "domain", Serve: on(ca.listDomains)},
		{Name: "metadata", Method: http.MethodGet, Pattern: "account/metadata", Serve: on(ca.metadata)},
		{Name: "order", Method: http.MethodPost, Pattern: "order/certificate/{id}", Serve: on(ca.placeOrder)},
		{Name: "orders", Method: http.MethodGet, Pattern: "order/certificate", Serve: on(ca.listOrders)},
		{Name: "changes", Method: http.MethodGet, Pattern: "order/certificate/status-changes", Serve: on(ca.statusChanges)},
		{Name: "alternate", Method: http.MethodGet, Pattern: "order/alternate/{id}", Serve: on(ca.alternate)},
		{Name: "info", Method: http.MethodGet, Pattern: "order/certificate/{id}", Serve: on(ca.showOrder)},
		{Name: "validation", Method: http.MethodGet, Pattern: "order/certificate/{id}/validation", Serve: on(ca.validation)},
		{Name: "random", Method: http.MethodPut, Pattern: "order/certificate/{id}/dcv-random-value", Serve: on(ca.randomValue)},
		{Name: "check-dcv", Method: http.MethodPut, Pattern: "order/certificate/{id}/check-dcv", Serve: on(ca.checkDCV)},
		{Name: "cancel", Method: http.MethodPut, Pattern: "order/certificate/{id}/status", Serve: on(ca.cancel)},
		{Name: "swap", Method: http.MethodPut, Pattern: "order/certificate/{id}/csr", Serve: on(ca.swap)},
		{Name: "reissue", Method: http.MethodPost, Pattern: "order/certificate/{id}/reissue", Serve: on(ca.reissueOrder)},
		{Name: "reissues", Method: http.MethodGet, Pattern: "order/certificate/{id}/reissue", Serve: on(ca.listReissues)},
		{Name: "duplicate", Method: http.MethodPost, Pattern: "order/certificate/{id}/duplicate", Serve: on(ca.duplicateOrder)},
		{Name: "duplicates", Method: http.MethodGet, Pattern: "order/certificate/{id}/duplicate", Serve: on(ca.listDuplicates)},
		{Name: "download", Method: http.MethodGet, Pattern: "certificate/{id}/download/format/{format}", Serve: on(ca.download)},
		{Name: "download-order", Method: http.MethodGet, Pattern: "certificate/download/order/{id}/format/{format}", Serve: on(ca.downloadOrder)},
		{Name: "chain", Method: http.MethodGet, Pattern: "certificate/{id}/chain", Serve: on(ca.chain)},
		{Name: "revoke", Method: http.MethodPut, Pattern: "certificate/{id}/revoke", Serve: on(ca.revoke)},
		{Name: "request", Method: http.MethodPut, Pattern: "request/{id}/status", Serve: on(ca.decideRequest)},
	}
}

// Endpoints are the names of all endpoints.
func Endpoints() []string { return standin.Names((*CA)(nil).endpoints()) }

// call is a request and what is answered to it. The handlers run with Server.Lock
// held.
type call struct{ *standin.Call }

func on(serve func(*call)) func(*standin.Call) {
	return func(c *standin.Call) { serve(&call{c}) }
}

// fail answers in the shape that the real service has for errors.
func fail(c *standin.Call, status int, code, message string) {
	if code == "NOT_FOUND" { // as a route that nobody has is called everywhere
		code = "not_found|route"
	}
	c.JSON(status, map[string]any{"errors": []map[string]string{{"code": code, "message": message}}})
}

func (c *call) fail(status int, code, message string) { fail(c.Call, status, code, message) }

func (c *call) id() int64 {
	n, err := strconv.ParseInt(c.PathValue("id"), 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// read decodes the body, and says so when it cannot.
func (c *call) read(v any, loose bool) bool {
	err := c.Read(v, loose)
	if err != nil {
		c.fail(http.StatusBadRequest, "bad_request_format", err.Error())
	}
	return err == nil
}

// admit looks at the key and at how much it was used.
func (ca *CA) admit(with *standin.Call, _ string) bool {
	c := &call{with}
	switch key := c.Header.Get("X-DC-DEVKEY"); {
	case key == "":
		c.fail(http.StatusUnauthorized, "access_denied|missing_api_key", "no API key")
		return false
	case key == ca.cfg.ReadOnlyKey:
		if c.Method != http.MethodGet {
			c.fail(http.StatusForbidden, "access_denied|missing_permission", "this key may only look")
			return false
		}
	case key != ca.cfg.Key:
		c.fail(http.StatusUnauthorized, "access_denied|invalid_api_key", "unknown API key")
		return false
	}
	now := ca.Time()
	ca.taken = slices.DeleteFunc(ca.taken, func(t time.Time) bool { return !t.After(now.Add(-3 * time.Minute)) })
	short := 0
	for _, t := range ca.taken {
		if t.After(now.Add(-5 * time.Second)) {
			short++
		}
	}
	if ca.cfg.ShortRate > 0 && short >= ca.cfg.ShortRate || ca.cfg.LongRate > 0 && len(ca.taken) >= ca.cfg.LongRate {
		c.fail(http.StatusTooManyRequests, "request_limit_exceeded", "too many requests")
		return false
	}
	ca.taken = append(ca.taken, now)
	return true
}
