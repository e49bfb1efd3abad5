package acmetest_test

// pebbleDifferences is the reviewed list of cases in which Pebble 2.10 differs from
// what the suite expects, by reason. Pebble is right in most of them as far as the RFC
// goes: where the RFC is silent it made another choice than we did, and being a test
// server it checks less than a CA has to. The rest are mistakes, and say so.
func pebbleDifferences() map[string]string {
	list := map[string]string{}
	for reason, names := range map[string][]string{
		"no-store is not among its cache directives (public, max-age=0, no-cache)": {
			"R8555-7.2-3/get-new-nonce-is-not-cached",
			"R8555-7.2-3/head-new-nonce-is-not-cached",
		},
		"answers POST-as-GET of newNonce 204, as it does GET": {
			"R8555-7.2-4/new-nonce-by-post-as-get",
		},
		"decodes JSON with encoding/json: invalid UTF-8 is replaced and the last of two equal members wins": {
			"R8555-5-1/body-is-not-utf-8",
			"R8555-5-1/payload-is-not-utf-8",
			"R8555-6.2-1/payload-names-a-member-twice",
		},
		"go-jose refuses the key while parsing the JWS, so the error is malformed": {
			"R8555-6.2-15/curve-p224",
			"R8555-6.2-15/curve-unknown",
			"R8555-6.2-15/key-type-unknown",
			"R8555-6.2-15/point-not-on-the-curve",
			"R8555-6.2-15/rsa-exponent-one",
		},
		"has no key policy: any RSA size and any curve the library knows": {
			"R8555-6.2-15/rsa-1024",
			"R8555-7.3.5-11/new-key-is-too-small",
			"R8555-7.4F-10/csr-key-p224",
			"R8555-7.4F-10/csr-key-rsa-1024",
		},
		"calls a jwk whose alg disagrees a bad public key": {
			"R8555-6.2-21/jwk-alg-disagrees",
		},
		"accepts no Ed25519 account keys": {
			"R8555-6.2-10/eddsa-account",
		},
		"calls an algorithm that does not suit the key, or none at all, badSignatureAlgorithm": {
			"R8555-6.2-17/es256-with-an-rsa-key",
			"R8555-6.2-17/es384-with-a-p256-key",
			"R8555-6.2-17/rs256-with-an-ec-key",
			"R8555-6.2-7/alg-is-a-number",
			"R8555-6.2-7/no-alg",
			"R8555-6.2-7/protected-is-empty",
			"R8555-6.2-7/protected-is-missing",
			"R8555-7.3.5-4/inner-alg-does-not-suit-the-key",
		},
		"lists the supported algorithms in the detail only": {
			"R8555-6.2-14/alg-in-lower-case",
			"R8555-6.2-14/alg-rsa1-5-of-encryption",
			"R8555-6.2-14/alg-unknown",
			"R8555-6.2-8/alg-hs256-keyed-with-the-public-key",
			"R8555-6.2-8/alg-hs512-at-new-account",
			"R8555-6.2-8/alg-none",
			"R8555-6.2-8/alg-none-in-capitals",
			"R8555-6.2-8/alg-none-with-a-signature",
		},
		"answers a url mismatch 400 malformed": {
			"R8555-6.4-1/url-of-another-host",
			"R8555-6.4-1/url-of-another-resource",
			"R8555-6.4-1/url-with-a-query",
			"R8555-6.4-2/url-with-a-host-in-capitals",
		},
		"leaves crit and b64 to go-jose, which knows b64": {
			"R8555-6.2-4/b64-false",
			"R8555-6.2-4/b64-false-listed-in-crit",
			"R8555-6.2-4/b64-true-listed-in-crit",
			"R8555-6.2-7/crit-is-empty",
		},
		"base64 is decoded leniently: line breaks and stray bits pass": {
			"R8555-6.1-6/signature-with-a-line-break",
			"R8555-6.1-6/signature-with-trailing-bits",
		},
		"looks at the length of signatures, not at its presence": {
			"R8555-6.2-3/empty-signatures-beside-signature",
		},
		"an account update that changes nothing is refused, with the advice to use POST-as-GET": {
			"R8555-6.3-4/account-with-empty-object-is-read",
			"R8555-7.3.2-1/terms-are-ignored",
			"R8555-7.3.2-1/unknown-members-are-ignored",
			"R8555-7.3.2-2/status-revoked-is-ignored",
			"R8555-7.3.2-2/status-unknown-is-ignored",
			"R8555-7.3.2-2/status-valid-is-ignored",
		},
		"unknown paths get the plain 404 of net/http": {
			"R8555-6.7-1/unknown-path-get",
			"R8555-6.7-1/unknown-path-post",
		},
		"compares the content type as text, parameters included": {
			"R8555-6.2-16/media-type-parameter-is-tolerated",
		},
		"has no limit on the body": {
			"R8555-6.2-19/oversized-body-is-refused",
		},
		"a certificate it does not know is 400": {
			"R8555-7.6-8/certificate-of-another-ca",
			"R8555-7.6-8/certificate-with-a-flipped-bit",
		},
		"reads the reason as an unsigned number and takes every code from 0 to 10 but 7": {
			"R8555-7.6-4/reason-2",
			"R8555-7.6-4/reason-negative",
		},
		"keeps no list of compromised keys": {
			"R8555-7.6-10/key-compromise-bars-the-key",
			"R8555-7.6-10/key-compromise-bars-the-key-as-an-account-key",
		},
		"lets only the issuing account and the certificate's key revoke": {
			"R8555-7.6-2/by-an-account-that-proved-all-names",
		},
		"ignores what it does not read in a CSR: extensions, common name, e-mail addresses, URIs": {
			"R8555-7.4F-11/csr-with-e-mail-address",
			"R8555-7.4F-11/csr-with-uri",
			"R8555-7.4F-4/csr-with-common-name-not-ordered",
			"R8555-7.4F-5/csr-with-basic-constraints-of-a-ca",
			"R8555-7.4F-5/csr-with-unknown-extension",
		},
		"a CSR for other names is 403 unauthorized": {
			"R8555-7.4F-11/csr-with-ip-address",
			"R8555-7.4F-3/csr-with-name-below-the-name",
			"R8555-7.4F-3/csr-with-name-with-a-trailing-dot",
			"R8555-7.4F-3/csr-with-no-names",
			"R8555-7.4F-3/csr-with-one-name-less",
			"R8555-7.4F-3/csr-with-one-name-more",
			"R8555-7.4F-3/csr-with-other-names",
			"R8555-7.4F-3/csr-with-wildcard-of-the-name",
		},
		"looks for account keys in CSRs, not for certificate keys among accounts": {
			"R8555-7.4F-8/csr-key-becomes-an-account-key",
		},
		"a CSR that cannot be parsed is malformed": {
			"R8555-7.4F-2/csr-is-cut-short",
			"R8555-7.4F-2/csr-is-not-der",
			"R8555-7.4F-2/csr-with-trailing-data",
		},
		"a second finalize is orderNotReady, also with the same CSR": {
			"R8555-7.4F-15/concurrent-finalizes-with-one-csr",
			"R8555-7.4F-15/same-csr-after-valid",
		},
		"sends no Retry-After unless configured, and then as a date half of the time": {
			"R8555-7.4F-14/processing-says-when-to-come-back",
		},
		"sends no Location with the finalize answer": {
			"R8555-7.4F-13/answer-has-the-order-as-location",
		},
		"only a pending challenge may be answered": {
			"R8555-7.5.1-4/answer-to-a-valid-challenge-changes-nothing",
		},
		"refuses the key authorization of old drafts in order to find old clients": {
			"R8555-7.5.1-6/legacy-key-authorization-is-ignored",
		},
		"links the authorization when a challenge is answered, not when it is read": {
			"R8555-7.1-3/link-up-on-a-read-challenge",
		},
		"what belongs to another account is 403, what is unknown an empty 404": {
			"R8555-10.5-3/authorization-of-another-account-looks-unknown",
			"R8555-10.5-3/certificate-of-another-account-looks-unknown",
			"R8555-10.5-3/challenge-of-another-account-looks-unknown",
			"R8555-10.5-3/order-of-another-account-looks-unknown",
			"R8555-7.4-16/finalize-order-of-another-account",
			"R8555-7.4-16/read-order-of-another-account",
			"R8555-7.4-16/read-unknown-order",
			"R8555-7.4.2-6/alternate-chain-of-another-account",
			"R8555-7.4.2-6/read-certificate-of-another-account",
			"R8555-7.4.2-6/read-unknown-certificate",
			"R8555-7.4.2-7/alternate-chain-that-is-none",
			"R8555-7.5-6/answer-challenge-of-another-account",
			"R8555-7.5-6/deactivate-authorization-of-another-account",
			"R8555-7.5-6/read-authorization-of-another-account",
			"R8555-7.5-6/read-challenge-of-another-account",
			"R8555-7.5-6/read-unknown-authorization",
			"R8555-7.5-6/read-unknown-challenge",
		},
		"takes notBefore and notAfter as texts and does not look at them": {
			"R8555-7.4-12/not-after-before-not-before",
			"R8555-7.4-12/not-after-equals-not-before",
			"R8555-7.4-12/not-after-in-the-past",
			"R8555-7.4-12/not-after-is-no-time",
			"R8555-7.4-12/not-after-without-zone",
			"R8555-7.4-12/not-before-is-no-time",
		},
		"puts IP addresses into their normal form itself": {
			"R8738-3-1/ip-ipv6-in-capitals",
			"R8738-3-1/ip-ipv6-not-compressed",
		},
		"checks the characters of a name and little else": {
			"R8555-7.4-18/name-empty-label",
			"R8555-7.4-18/name-hyphen-first",
			"R8555-7.4-18/name-hyphen-last",
			"R8555-7.4-18/name-label-too-long",
			"R8555-7.4-18/name-reserved-label",
			"R8555-7.4-5/name-a-label-of-plain-ascii",
			"R8555-7.4-5/name-a-label-that-is-no-punycode",
			"R8555-7.4-5/name-leading-dot",
		},
		"stops at the first bad name, without subproblems": {
			"R8555-6.7-3/subproblems-name-their-identifiers",
		},
		"shows names in lower case": {
			"R8555-7.4-13/names-are-echoed-as-sent",
		},
		"has no limit on the names of an order": {
			"R8555-7.4-14/far-too-many-identifiers",
		},
		"an unknown identifier type is malformed": {
			"R8555-7.4-4/identifier-type-in-capitals",
			"R8555-7.4-4/identifier-type-unknown",
			"R8555-7.4-4/one-good-and-one-unknown-type",
		},
		"does not look for a nonce in the inner JWS": {
			"R8555-7.3.5-7/inner-has-a-nonce",
		},
		"leaves the key unchanged but answers 200: it looks for a pointer where its store returns a value": {
			"R8555-7.3.5-1/concurrent-rollovers-to-one-key",
			"R8555-7.3.5-10/key-of-another-account",
		},
		"a binding for another key is 400 badPublicKey": {
			"R8555-7.3.4-8/payload-is-another-key",
			"R8555-7.3.4-8/payload-is-null",
		},
		"re-encodes the binding before parsing it, which drops unknown members and fills in missing ones": {
			"R8555-7.3.4-2/payload-missing",
			"R8555-7.3.4-2/signature-missing",
			"R8555-7.3.4-2/unprotected-header",
		},
		"a deactivated account is 403": {
			"R8555-7.3.6-2/key-change-after-deactivation",
			"R8555-7.3.6-2/old-order-after-deactivation",
			"R8555-7.3.6-2/order-after-deactivation",
			"R8555-7.3.6-2/orders-list-after-deactivation",
			"R8555-7.3.6-2/reactivation",
			"R8555-7.3.6-2/read-after-deactivation",
			"R8555-7.3.6-2/update-after-deactivation",
		},
		"knows no length of a contact, and calls too many of them malformed": {
			"R8555-7.3-3/contact-too-long",
			"R8555-7.3-3/contact-too-many",
		},
		"reads the part of a mailto URL before ? and # and ignores the rest": {
			"R8555-7.3-3/contact-bare-hash",
			"R8555-7.3-3/contact-bare-question-mark",
			"R8555-7.3-3/contact-fragment",
			"R8555-7.3-3/contact-header-fields",
		},
		"acts on the account of the signing key, whichever account URL is posted to": {
			"R8555-7.3.2-3/deactivation-of-another-account",
			"R8555-7.3.2-3/read-of-another-account",
			"R8555-7.3.2-3/update-of-another-account",
		},
		"an order with nothing in common with what it replaces is an internal error": {
			"R9773-5-2/replaces-a-certificate-for-other-names",
		},
		"a certificate counts as replaced only once its successor is issued": {
			"R9773-5-3/replaces-twice",
		},
		"an unknown issuer in a certificate identifier is 400": {
			"R9773-4.1-2/certificate-id-that-is-unknown",
		},
		"a nonce is only looked up, so that one that is no base64url is a bad nonce like any other": {
			"R8555-6.5-8/nonce-is-not-base64url",
			"R8555-6.5-8/nonce-with-padding",
		},
		"hangs: showing a deactivated authorization leaves its challenges locked": {
			"R8555-7.5-7/challenge-of-a-deactivated-authorization",
		},
		"sometimes: looks for the key and adds the account in two steps; the loser of the race gets a 500": {
			"R8555-7.3-9/concurrent-creation-with-one-key",
		},
		"sometimes: checks the order's status and sets it in two steps; several finalizes may pass": {
			"R8555-7.4F-15/concurrent-finalizes-with-different-keys",
		},
	} {
		for _, name := range names {
			list[name] = reason
		}
	}
	return list
}
