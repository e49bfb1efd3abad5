// Package ceremony keeps the CAs of an IB1 framework in a folder, and does with
// them what people gather for: making roots, requesting, signing, importing and
// rotating issuers, revoking, and signing revocation lists. It needs no server
// and no network.
//
// The folder of the machine that keeps the roots, and that of a machine that
// issues, are of one kind; each has what it needs:
//
//	framework.json             the settings of the framework
//	log.jsonl                  what was done, by whom and when; only ever appended to
//	client/root.pem            the root; signing/ and server/ look the same
//	client/root.key            its key, where it is kept
//	client/issuer-1.key        the key of the first issuer
//	client/issuer-1.csr.pem    the request for it
//	client/issuer-1.pem        its certificate, once imported
//	client/signed-SERIAL.pem   an issuer that the root here has signed
//	signing/list-KEY-N.crl     every list of the Signing tree, kept for ever
//	public/                    what is to be served under the public URL
//
// An issuer comes about in three steps, on one machine or on two:
//
//	request (issuing machine) --CSR--> sign (machine of the root) --certificate--> import (issuing machine)
//
// # The log
//
// Whatever is about to be signed is in the log first, with its serial or list
// number, and made durable: after a crash no number is used twice. Each record
// holds the hash of the one before, so that none can be changed, dropped or
// slipped in without the rest being rewritten; keep the last hash elsewhere to
// notice that too.
//
// # Keys
//
// [FileKeys] encrypts keys with a passphrase. Keys in hardware implement [Keys],
// and [EitherKeys] has both.
package ceremony
