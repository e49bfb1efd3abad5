// Load measures how fast an ACME server issues certificates and what that costs it.
//
// It is an ACME client that does nothing but orders: each client registers one
// account, then repeats newOrder, authorization, http-01 challenge, finalize and
// download until the asked number of orders or the time is used up. It answers the
// http-01 requests itself, from one listener. At the end, or when it is interrupted,
// it prints orders per second, the latency of each step, errors by kind, and, when
// it is told the server's process id, what each order cost the server in CPU time,
// memory and bytes written.
//
//	acmebridge serve &
//	go run ./conformance/load -directory https://localhost:14000/directory \
//	    -ca acmebridge-data/tls-root.pem -clients 8 -orders 2000 -pid $!
//
// The client is written by hand over net/http, because the timers and retries of a
// client library would be measured along with the server. It waits only when the
// server's own answer is not final yet, and then exactly as long as Retry-After says;
// without Retry-After it starts at 5 ms and backs off.
//
//	newOrder -> authorization -> challenge -> (poll) -> finalize -> (poll) -> certificate
//
// The "poll" line counts, per order, all the time between an answer that was not
// final and the one that was; it is zero for a server that answers in one go.
package main
