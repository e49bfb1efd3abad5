package sectigotest

import (
	"fmt"
	"net/http"

	"acmebridge/internal/standin"
)

// endpoints are all of them. The names are those of faults and counters. What has
// a password or a token in it stays out of the journal.
func (ca *CA) endpoints() []standin.Endpoint {
	const get, post = http.MethodGet, http.MethodPost
	return []standin.Endpoint{
		{Name: "login", Method: post, Pattern: "auth/pwd", Serve: ca.login, Private: true},
		{Name: "refresh", Method: post, Pattern: "auth/refresh", Serve: ca.refresh, Private: true},
		{Name: "create", Method: http.MethodPut, Pattern: "api/v1/batches/createSingleCertBatch", Serve: ca.createSingle, Private: true},
		{Name: "upload", Method: post, Pattern: "api/v1/batches/upload", Serve: ca.uploadBatch, Private: true},
		{Name: "batches", Method: get, Pattern: "api/v1/batches", Serve: ca.listBatches},
		{Name: "batch", Method: get, Pattern: "api/v1/batches/{id}", Serve: ca.showBatch},
		{Name: "status", Method: get, Pattern: "api/v1/batches/{id}/status", Serve: ca.showStatus},
		{Name: "processing", Method: get, Pattern: "api/v1/batches/{id}/processing_info", Serve: ca.showProcessing},
		{Name: "audit", Method: get, Pattern: "api/v1/batches/{id}/auditLog", Serve: ca.showAudit},
		{Name: "download", Method: get, Pattern: "api/v1/batches/{id}/download", Serve: ca.download},
		{Name: "licenses", Method: get, Pattern: "api/v1/devices", Serve: ca.licenses},
		{Name: "authorities", Method: get, Pattern: "api/v1/authorities/allowed", Serve: ca.authorities},
		{Name: "balance", Method: get, Pattern: "api/v1/authorities/{id}/balanceavailable", Serve: ca.balance},
		{Name: "profiles", Method: get, Pattern: "api/v1/profiles", Serve: ca.profiles},
		{Name: "params", Method: get, Pattern: "api/v1/profiles/{id}/parameters", Serve: ca.params},
		{Name: "profile", Method: get, Pattern: "api/v1/profiles/{id}", Serve: ca.showProfile},
		{Name: "organization", Method: get, Pattern: "api/v1/organizations/user", Serve: ca.organization},
		{Name: "find", Method: post, Pattern: "api/v1/certificates/find", Serve: ca.find},
		{Name: "revoke", Method: post, Pattern: "api/v1/certificates/{id}/revoke", Serve: ca.revoke},
	}
}

// Endpoints are the names of all endpoints.
func Endpoints() []string { return standin.Names((*CA)(nil).endpoints()) }

// admit looks at the token.
func (ca *CA) admit(c *standin.Call, endpoint string) bool {
	switch endpoint {
	case "login", "refresh", "unknown":
		return true
	}
	if !ca.authenticate(c) {
		ca.fail(c, http.StatusUnauthorized, "Full authentication is required to access this resource")
		return false
	}
	return true
}

// fail answers in the shape that the real service has for errors.
func (ca *CA) fail(c *standin.Call, status int, format string, args ...any) {
	c.JSON(status, map[string]any{
		"status": status, "message": fmt.Sprintf(format, args...), "errorCode": -status, "timestamp": ca.Time().UnixMilli(),
	})
}
