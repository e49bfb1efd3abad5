// Package pebbletest runs Pebble, Let's Encrypt's test CA, inside a test.
//
// Pebble is the reference the acmetest suite is tried on: a server written by other
// people, whose differences from RFC 8555 and from our decisions are known. Start
// gives an https directory, the roots to trust, and a port for http-01:
//
//	server := pebbletest.Start(t, pebbletest.Config{})
//	acmetest.Run(t, acmetest.Config{
//		DirectoryURL:   server.DirectoryURL,
//		RootCAs:        server.RootsPEM,
//		HTTP01Listener: server.HTTP01Listener,
//	})
//
// Every name resolves to 127.0.0.1, by a DNS server of the package's own, so nothing
// leaves the machine. Pebble is a process of its own, see the command in folder
// pebble, so its data races and its environment are not those of the test.
package pebbletest
