// Package jws reads the signed requests of RFC 8555, section 6.2, and hands
// out what somebody signed, and nothing else. It is where hostile bytes are
// turned into values, so it reaches no store, no network and no clock.
//
//	body --Parse--> Message --Verify(key)--> Verified --DecodePayload--> the caller's struct
//	                                         Verified --ParseKeyChange--> KeyChange
//	                                         Verified --ParseBinding--> Binding --Verify(MAC key)--> ok
//
// [Parse] does everything that needs no key: the shape, the header, the
// algorithm and, when the request brings its key along, that key. The caller
// then finds the key (by [Message.KeyID], or [Message.Key] itself), judges it
// with its own policy, and calls [Message.Verify]. A [Verified] comes from
// nowhere else (SP-2), so a function that takes one cannot be reached by a
// request whose signature nobody checked. Redeeming the nonce and comparing
// the URL follow, by the caller, in that order (rfc8555 checklist, A.2).
//
// Every error is a [acme.Problem] with the status and type that the client
// should see. The signature itself is checked by go-jose, which gets the one
// algorithm that the key demands; around it stands a JSON reader that is
// stricter than both go-jose and the standard library (SP-5, F-4).
package jws
