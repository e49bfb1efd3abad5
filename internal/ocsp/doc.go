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
// record says so. A kept answer is not older than half of what its readers
// accept ([Config].Freshness), and what was asked for lately is signed anew
// ahead of time by [Responder.Run].
//
// No question costs more than there is. Whoever wants a nonce echoed, asks about
// several certificates at once or about one that was never issued has an answer
// signed for them alone; of those there are only so many in a second
// ([Config].Signatures), and nothing of them is kept. Whoever asks for more
// certificates in turn than answers are kept ([Config].Entries) makes us sign
// again what was signed before: that is bounded for each CA
// ([Config].SharedSignatures). Beyond it an answer is given that is older, up to
// three quarters of Freshness, or else tryLater. Certificates that were issued or
// revoked within Freshness have a budget to themselves, so that a new one is good
// at once whoever asks for the others; and what is in use is pushed out last.
//
// Answers are signed by a [Signer]: a key that the CA has certified for it, or
// the CA's own. Package ocsp makes neither and stores nothing.
package ocsp
