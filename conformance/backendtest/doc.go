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
// help of the CA is checked when the Subject can arrange it; a backend with a
// stand-in that can should give all of these:
//
//	Bought     the purchases in the journal of the CA, the measure of everything
//	LoseReply  the reply to the next purchase is lost
//	Refuse     the CA says no
//	Misissue   the CA issues something else than was ordered
//	Reissued   how often it has issued that again, where it does so for nothing;
//	           MisissueTwice and LoseReissue go with it
//	Damage     what is fetched is cut off, hostile or no certificate at all
//
// # Alone and behind the engine
//
// The first checks look at the backend alone. They use nothing but crypto/x509,
// so that a mistake in the engine's own judgement of certificates does not hide
// one in a backend.
//
// The others, whose names begin with "the engine", put a real engine on a store
// in memory in front of the backend and take orders through: one that crashes
// before and after each commit in turn, and again in its recovery, one whose
// CA delivers what was issued for somebody else, and so on. Needs and purchases
// must be the same in number, and nobody gets anything but what he ordered. The
// engine is started anew each time that it has nothing to do, and in between
// time passes, at the CA by Settle and for the engine until its next job is
// due; so no pause takes real time, and each look at the CA is one by another
// instance.
package backendtest
