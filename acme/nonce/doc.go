// Package nonce issues the anti-replay nonces of RFC 8555, section 6.5, and
// takes each of them back at most once.
//
// A nonce is a counter, encrypted: the value itself proves that it was issued
// here, so issuing remembers nothing and a flood of newNonce requests costs
// no memory (DN-1). What is remembered is which ones came back:
//
//	1 ....... floor | floor+1 .................................. last issued
//	spent, or too old | unspent, but for the ones in the used set | impossible
//
// Only redeeming moves the floor: up over the nonces that are all spent, and,
// when the used set has reached its fixed size, up to the oldest of that set,
// which gives up whatever older nonces never came back. So a nonce lives until
// at least as many newer ones as the window were redeemed, however many were
// issued meanwhile and however long that takes (DN-2).
//
// The encryption key is made at start and never leaves the process. Nonces of
// an earlier process, or of a replica, do not decrypt, so nothing is replayed
// across a restart (SP-7); their clients get badNonce and a fresh one.
package nonce
