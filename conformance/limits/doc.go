// Package limits is hostile to a running server: its tests start the program
// as an operator would, with small limits, and then send headers without end,
// nothing at all, half of everything, too many connections, and bytes that are
// neither TLS nor HTTP. Each attack has to be cut off by the limit that is
// there for it (SL-1 to SL-6 of the security requirements), while a client
// that behaves keeps being served, and nothing of it stays behind.
//
// The attackers come from addresses of their own in 127.0.0.0/8, so the tests
// need Linux. Nobody here sleeps: an attacker waits until it is cut off.
package limits
