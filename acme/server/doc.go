// Package server is the ACME front: it turns HTTP requests into verbs of the
// engine and their results into the objects of RFC 8555. It decides nothing
// about orders.
//
// routes.go has the one table that the router, the directory object and the
// authentication all come from. A request passes these gates in this order,
// so that strangers cost little and cannot spend what is not theirs (SP-4):
//
//	method, content type, size          routes.go, authenticate.go
//	JWS shape, algorithm, header rules  acme/jws
//	key: by account URL, or brought     authenticate.go
//	account status
//	signature                           acme/jws
//	nonce                               acme/nonce
//	url
//	payload                             the handler
//
// Links are minted from the configured base URL and never from what a request
// says about where it arrived (SP-14).
//
// What every answer has in common (Replay-Nonce, the index link, problem
// documents) is added in one place, answer.go.
package server
