package config

import _ "embed"

//go:embed production.yaml
var production []byte

// exampleHost stands in it for the name of the server.
const exampleHost = "acme.example.org"

// Production is a commented file to start from when others will use the
// server. It is complete: all that it leaves out has a safe default.
func Production() []byte { return production }
