package config

import _ "embed"

//go:embed production.yaml
var production []byte

// Production is a commented file to start from when others will use the
// server. It is complete: all that it leaves out has a safe default.
func Production() []byte { return production }
