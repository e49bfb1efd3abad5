// Package caclient carries requests to a certificate authority that costs
// money, and says of each that failed what that proves. Clients of one CA are
// built on it: they know its calls, and this package knows what is common to all
// calls.
//
//	web, err := caclient.New(caclient.Config{Name: "example", URL: url, Like: "https://HOST/v2", Dial: dialer.DialContext})
//	reply, err := web.Do(ctx, caclient.Call{Op: "order a certificate", Method: "POST", Path: "certificates", Body: wish, Purchase: true})
//	if caclient.OutcomeOf(err) == caclient.Unknown { ... look before doing it again ... }
//
// # Money
//
// A [Call] that is a Purchase uses a connection that was never used before, and
// is made once: nothing here repeats it, and the transport has nothing to repeat
// it with (SC-5). Its error is NotSent only with proof that no octet of it left,
// or when the CA says that it turned it away unread; Refused only by a status
// that is documented as one, with an error that [Config.Complaint] understands,
// because a page of a gateway says nothing of an order; and Unknown in all other cases (SC-3).
//
// # What is believed
//
// Nothing is followed: a redirect is an error (SC-10), and an address that the
// CA names is only read, by [Client.Below], when it lies below the one that was
// configured (SC-11). Bodies, headers and time are bounded. Credentials that a
// CA repeats in a message are taken out of it, and so is whatever would break a
// line of a log (SA-5, LG-1).
package caclient
