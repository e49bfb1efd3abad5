// Package admin is what the operator's commands talk to: one HTTP handler over
// the engine's operator verbs and the few things that only the store or a CA
// of our own can do. While a server runs, the handler answers on a Unix socket
// in the data folder ([Listen]); while none runs, a command opens the data
// itself and calls the same handler within its own process ([InProcess]). So
// there is one way in which anything is done, and no command ever finds the
// database locked.
//
//	command -> Client -> socket ----------> Handler -> engine.Operator
//	                  \-> InProcess -------/       \-> Database, CA
//
// Health and metrics are apart from it ([Health], [Metrics]): they are served
// on admin_listen too, where everything else stays out of reach.
//
// The types in this package are the wire form. They hold no secret but two:
// the MAC key of an external account key and a token for the member API, in the
// answers that made them.
package admin
