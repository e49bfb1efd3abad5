package ocsp

import (
	"encoding/asn1"
	"time"

	"golang.org/x/crypto/cryptobyte"
	cbasn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// State is what an answer says of a certificate.
type State int

// The states. The zero value claims nothing.
const (
	Unknown State = iota
	Good
	Revoked
)

// Status is the state of a certificate, and for revoked ones since when and why
// (a CRLReason of RFC 5280, section 5.3.1).
type Status struct {
	State  State
	At     time.Time
	Reason int
	// Since is when a good one became so: when it was issued. Zero is unknown.
	Since time.Time
}

// recent reports whether it became so within a time.
func (s Status) recent(now time.Time, within time.Duration) bool {
	since := s.Since
	if s.State == Revoked {
		since = s.At
	}
	return !since.IsZero() && now.Sub(since) < within
}

// same reports whether an answer for one will do for the other.
func (s Status) same(o Status) bool {
	return s.State == o.State && (s.State != Revoked || s.At.Equal(o.At) && s.Reason == o.Reason)
}

// responseStatus is the OCSPResponseStatus of RFC 6960, section 4.2.1.
type responseStatus int

const (
	successful       responseStatus = 0
	malformedRequest responseStatus = 1
	internalError    responseStatus = 2
	tryLater         responseStatus = 3
	unauthorized     responseStatus = 6
)

// failure is an OCSPResponse without an answer. Nobody signs those.
func failure(s responseStatus) []byte { return []byte{0x30, 0x03, 0x0a, 0x01, byte(s)} }

var oidBasic = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}

// single is the answer about one certificate.
type single struct {
	id     []byte
	status Status
}

// respond signs what is known of some certificates at a time, to be believed
// until another.
func (s *Signer) respond(all []single, nonce []byte, at, until time.Time) ([]byte, error) {
	b := cryptobyte.NewBuilder(make([]byte, 0, 256))
	b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(s.id)
		b.AddASN1GeneralizedTime(at)
		b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, one := range all {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddBytes(one.id)
					addStatus(b, one.status)
					b.AddASN1GeneralizedTime(at)
					b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(until) })
				})
			}
		})
		if nonce != nil {
			b.AddASN1(explicit(1), func(b *cryptobyte.Builder) {
				b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(cbasn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1ObjectIdentifier(oidNonce)
						b.AddASN1OctetString(nonce)
					})
				})
			})
		}
	})
	data, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	return s.sign(data)
}

func addStatus(b *cryptobyte.Builder, s Status) {
	switch s.State {
	case Good:
		b.AddASN1(cbasn1.Tag(0).ContextSpecific(), func(*cryptobyte.Builder) {})
	case Revoked:
		b.AddASN1(explicit(1), func(b *cryptobyte.Builder) {
			b.AddASN1GeneralizedTime(s.At.UTC().Truncate(time.Second))
			if reason := listed(s.Reason); reason != 0 {
				b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddASN1Enum(reason) })
			}
		})
	default:
		b.AddASN1(cbasn1.Tag(2).ContextSpecific(), func(*cryptobyte.Builder) {})
	}
}

// listed is the reason as an answer has it. "Unspecified" is said by saying
// none, and so is what has no meaning for a certificate that is revoked.
func listed(reason int) int64 {
	const removeFromCRL, last = 8, 10
	if reason < 0 || reason > last || reason == 7 || reason == removeFromCRL {
		return 0
	}
	return int64(reason)
}
