package storage

import (
	"acmebridge/acme"
	"acmebridge/storage/internal/compact"
)

var _ quick = (*RevokedEntry)(nil)

// read implements quick. The numbers are those of the tags; the tests hold one
// against the other.
func (e *RevokedEntry) read(r *compact.Reader) bool {
	fields(r, func(number int) {
		switch number {
		case 1:
			e.ID = acme.CertificateID(r.Text())
		case 6:
			e.Backend = r.Text()
		case 10:
			e.Serial = r.Bytes()
		case 11:
			e.AuthorityKeyID = r.Bytes()
		case 15:
			e.NotAfter = r.Time()
		case 17:
			e.Revocation = new(acme.Revocation)
			e.readRevocation(r)
		default:
			r.Skip()
		}
	})
	return r.Done()
}

func (e *RevokedEntry) readRevocation(r *compact.Reader) {
	fields(r, func(number int) {
		switch number {
		case 1:
			e.Revocation.At = r.Time()
		case 2:
			e.Revocation.Reason = acme.RevocationReason(r.Uint())
		case 3:
			e.Revocation.By = r.Text()
		case 4:
			e.Revocation.DoneAt = r.Time()
		default:
			r.Skip()
		}
	})
}

// fields goes through the fields of a map. Two of one number make the reader
// give up: which of them counts is for the full decoder to refuse.
func fields(r *compact.Reader, read func(number int)) {
	var seen uint64
	for range r.Map() {
		number := r.Uint()
		if number > 63 || seen&(1<<number) != 0 {
			r.GiveUp()
		}
		if !r.OK() {
			return
		}
		seen |= 1 << number
		read(number)
	}
}
