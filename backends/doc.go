// Package backends is the contract between the engine and a certificate
// authority. A backend is a translation of one CA's interface: it gets values
// and returns values. The engine owns persistence, retries, limits and time.
//
// What a backend owes:
//
//   - Submit asks for a certificate and returns a Ticket, by which Poll finds
//     the request again from any process, also after a restart with nothing
//     but the stored ticket. Neither waits for the CA to finish.
//   - The error says what is known. [Refused]: the CA said no, and the order
//     fails with that reason. [NotSent]: not one byte of the request left us, so
//     sending it again is safe. Every other error means that the CA may have
//     accepted the request, and the engine never repeats it without having
//     looked (D8).
//   - All methods may be called from several goroutines, and return soon after
//     their context ends.
//   - What came from the CA is returned as it came: the engine stores it and
//     then judges it. A backend does not repair a chain beyond ordering it.
//
// Abilities that only some CAs have are further interfaces in abilities.go.
// The engine asks for them once, when it is built.
package backends
