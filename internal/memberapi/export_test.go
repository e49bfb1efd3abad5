package memberapi

import "fmt"

// Routes lists the routes: method, path and whether it is open.
func Routes() (all []string) {
	for _, r := range routes {
		all = append(all, fmt.Sprint(r.method, " ", r.path, " ", r.open))
	}
	return all
}

// State is how a certificate stands.
var State = state

// SerialHex is a serial number as the API writes it.
var SerialHex = serialHex
