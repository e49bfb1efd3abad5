// Package globalconf reads the global configuration of an X-Road instance: who
// its members are, and which Security Servers they own or use.
//
// A configuration anchor, which an operator got on a trusted way, says where the
// configuration is and who signs it. At that URL lies a directory, a signed
// multipart message with the hash of each part; the part that matters here is
// the one of the shared parameters. The format is X-Road's PR-GCONF, versions 2
// to 6, of which this needs only what has been the same in all of them.
//
//	anchor, err := ParseAnchor(file)
//	shared, err := Download(ctx, client, anchor, now)
//
// A signature that is wrong, a directory that has expired, a part with another
// hash, or one of another instance is an error; nothing of it is used.
package globalconf
