// Package ocsp answers whether a certificate is good, revoked or unknown, as
// RFC 6960 says, in the form that RFC 5019 asks for where many ask.
//
//	request --> parse --> issuer of the first CertID --> state, read each time
//	                                                      |
//	                       answer kept for this state? ---+--- yes --> sent as it is
//	                                                      +--- no  --> signed, kept, sent
//
// The state of a certificate is read for every answer, and only signatures are
// kept: a new certificate is good and a revoked one revoked from the moment the
// record says so. A kept answer is never older than half of what its readers
// accept ([Config].Freshness), and what was asked for lately is signed anew
// ahead of time by [Responder.Run].
//
// Whoever wants a nonce echoed, asks about several certificates at once or
// about one that was never issued has an answer signed for them alone. There
// are only so many of those in a second ([Config].Signatures), and there is
// nothing of them that is kept, so strangers can use up neither the processor
// nor the memory.
//
// Answers are signed by a [Signer]: a key that the CA has certified for it, or
// the CA's own. Package ocsp makes neither and stores nothing.
package ocsp
