package storage

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/fxamacker/cbor/v2"

	"acmebridge/storage/internal/compact"
)

// A stored record is one byte that says how it is encoded, a CRC-32C of that
// byte and the payload, and the payload: CBOR with small integers as field
// names, in which times and minted ids have a short form. The databases below
// check their own structure and not our bytes, so a flipped bit is found here
// or nowhere (SS-9).
const (
	encodingVersion = 1
	headerLength    = 1 + crc32.Size
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	encoding   = newEncoding()
	decoding   = newDecoding(cbor.ExtraDecErrorUnknownField)
	reading    = newDecoding(cbor.ExtraDecErrorNone)
)

// newEncoding returns the one way records are written. Times are written in
// UTC with nanoseconds, as text, since the numeric forms that the library has
// lose digits or whole fractions; package compact makes them short. Deterministic order is left off, since a struct
// is written in the order of its fields anyhow.
func newEncoding() cbor.EncMode {
	m, err := cbor.EncOptions{
		Time:          cbor.TimeRFC3339NanoUTC,
		IndefLength:   cbor.IndefLengthForbidden,
		NilContainers: cbor.NilContainerAsNull,
	}.EncMode()
	if err != nil {
		panic("storage: the encoding options contradict each other: " + err.Error())
	}
	return m
}

// newDecoding returns the one way records are read: nothing that this program
// did not write, and bounds far above what it does write, so that a damaged
// length cannot ask for memory. A field that is not known was written by a
// newer program, and a record without it would be half a record. Text that is
// not UTF-8 is let through, since the writer does not look either: what could
// be stored can be read.
func newDecoding(extra cbor.ExtraDecErrorCond) cbor.DecMode {
	m, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		IndefLength:       cbor.IndefLengthForbidden,
		TagsMd:            cbor.TagsForbidden,
		UTF8:              cbor.UTF8DecodeInvalid,
		ExtraReturnErrors: extra,
		MaxNestedLevels:   16,
		MaxArrayElements:  1 << 16,
		MaxMapPairs:       256,
	}.DecMode()
	if err != nil {
		panic("storage: the decoding options contradict each other: " + err.Error())
	}
	return m
}

// Encode returns the bytes that stand for a record in a store.
func Encode[R any](record R) ([]byte, error) {
	long, err := encoding.Marshal(record)
	if err != nil {
		return nil, fmt.Errorf("storage: encode a %T: %w", record, err)
	}
	b := make([]byte, headerLength, headerLength+len(long))
	b[0] = encodingVersion
	b, err = compact.Shrink(b, long)
	if err != nil {
		return nil, fmt.Errorf("storage: encode a %T: %w", record, err)
	}
	binary.BigEndian.PutUint32(b[1:headerLength], checksum(b))
	return b, nil
}

// Decode returns the record that Encode made b of. Anything else is
// ErrDamaged, and the record is then the zero value. The result shares no
// memory with b.
func Decode[R any](b []byte) (R, error) { return decode[R](b, decoding) }

// DecodePart is Decode for a type that has some of the fields of the record, to
// look at and not to store again.
func DecodePart[R any](b []byte) (R, error) { return decode[R](b, reading) }

// quick is a part of a record that is read by the hundred thousand. It reads what
// records usually are, and reports false for everything else: that is decoded as
// any other record is, with the errors that there are.
type quick interface {
	read(r *compact.Reader) bool
}

func decode[R any](b []byte, mode cbor.DecMode) (R, error) {
	var record, none R
	payload, err := Verify(b)
	if err != nil {
		return none, fmt.Errorf("decode a %T: %w", record, err)
	}
	if q, ok := any(&record).(quick); ok {
		if q.read(compact.NewReader(payload)) {
			return record, nil
		}
		record = none
	}
	long, err := compact.Expand(make([]byte, 0, len(payload)+len(payload)/4+128), payload)
	if err == nil {
		err = mode.Unmarshal(long, &record)
	}
	if err != nil {
		return none, fmt.Errorf("%w: decode a %T: %w", ErrDamaged, record, err)
	}
	return record, nil
}

// Verify checks the envelope of a stored record and returns the payload in it,
// which is still part of b.
func Verify(b []byte) (payload []byte, err error) {
	switch {
	case len(b) <= headerLength:
		return nil, fmt.Errorf("%w: %d bytes are too few for a record", ErrDamaged, len(b))
	case binary.BigEndian.Uint32(b[1:headerLength]) != checksum(b):
		return nil, fmt.Errorf("%w: the checksum of the record does not match; restore it from a backup", ErrDamaged)
	case b[0] != encodingVersion:
		return nil, fmt.Errorf("%w: the record has encoding version %d, this program knows %d", ErrDamaged, b[0], encodingVersion)
	}
	return b[headerLength:], nil
}

// checksum covers the version byte and the payload of the record in b.
func checksum(b []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, b[:1]), castagnoli, b[headerLength:])
}
