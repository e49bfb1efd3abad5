// Package xroad plays an X-Road Security Server, 7.8 with acme4j 3.5.1, against an
// ACME server, literally: what the Security Server does not do is not done here
// either. It asks for no status that is not asked for there, never waits for an
// order to be ready, finalizes only inside the branch for pending authorizations,
// and gives up after five looks.
//
//	ss := xroad.New(xroad.Config{DirectoryURL: url, HTTP: client, Challenges: answers})
//	ss.Use(xroad.Credential{KID: kid, MAC: mac})
//	issued, err := ss.Order(ctx, xroad.AuthKey(key, subject, "ss1.example.org"))
//
// An error is what the operator of a Security Server would see, an [Error] with
// the code of its message, and around it the cause that its log would have.
// The single steps are exported too, for servers that are to be tried with a part
// of them. Nothing here knows the server: any directory URL will do.
package xroad
