// Package backendtest checks that a backend keeps the contract of package
// backends. A backend's own tests import it and hand it an instance:
//
//	func TestContract(t *testing.T) {
//		backendtest.Run(t, func(t *testing.T) backendtest.Subject {
//			ca := exampletest.New(t)
//			return backendtest.Subject{
//				Backend: example.Open(ca.URL),
//				Reopen:  func() backends.Backend { return example.Open(ca.URL) },
//				Settle:  ca.Release,
//			}
//		})
//	}
//
// Optional abilities are checked when the backend has them. Whatever needs the
// help of the CA, such as a reply that gets lost, is checked when the Subject
// can arrange it.
//
// The checks use nothing but crypto/x509, so that a mistake in the engine's
// own judgement of certificates does not hide one in a backend.
package backendtest
