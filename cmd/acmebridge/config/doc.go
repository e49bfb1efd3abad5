// Package config reads the one configuration file of acmebridge, fills in what
// it leaves out, lets the environment override single values, and checks the
// whole before anything is opened.
//
//	file --YAML nodes--> values --defaults--> Config --ACMEBRIDGE_...--> Config --cross checks--> Config
//
// It is strict: a key that is not known, a value of the wrong kind or a name
// that nothing defines is an error with file, line and column, reported
// together with the others of its kind: first what is wrong with values by
// themselves, then what does not fit together. A typing error that silently
// turned a limit off would be found by an attacker first.
//
// The structs in this package are the only description of the file. Their tags
// say what a key is called, what it means when it is absent and what it is
// for; the decoder, the environment, the JSON Schema, the effective print and
// docs/config.md all follow them. The tags are:
//
//	key      name in the file; "-" and absent: not part of the file
//	default  value when the key is absent, written as in the environment
//	doc      what the key means, for people
//	enum     the words that are accepted, separated by commas
//	min, max bounds of a number or a duration
//	source   "env": a secret that may come from the environment only
//	when     the fields of this struct belong to its parent when the parent's
//	         type has this value
package config

//go:generate go test . -run TestDocumentation -update
