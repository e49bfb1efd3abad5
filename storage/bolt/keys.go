package bolt

import (
	"bytes"
	"encoding/binary"
	"time"

	"acmebridge/storage/internal/compact"
)

// Keys are made of parts, each of which says itself where it ends: no two lists
// of parts make the same key, and keys sort like their parts.
//
//	id or text   0x02 and 22 bytes   what acme.MintID made, packed
//	             0x03 ... 0x00 0x01  anything else; a zero byte in it is 0x00 0xff
//	hash         its bytes           where all have one length
//	time         12 bytes            seconds since 1970 with the sign flipped, nanoseconds
//
// Minted ids are packed because ids are most of every key: 23 bytes for 36.
const (
	packed   = 0x02
	verbatim = 0x03
)

// appendText adds an id or any other text.
func appendText(b []byte, s string) []byte {
	if p, ok := compact.PackID(s); ok {
		return append(append(b, packed), p[:]...)
	}
	b = append(b, verbatim)
	for i := range len(s) {
		b = append(b, s[i])
		if s[i] == 0 {
			b = append(b, 0xff)
		}
	}
	return append(b, 0x00, 0x01)
}

// cutText takes an id or text off the front of a key.
func cutText(b []byte) (s string, rest []byte, ok bool) {
	switch {
	case len(b) > compact.IDBytes && b[0] == packed:
		return string(compact.AppendID(nil, b[1:1+compact.IDBytes])), b[1+compact.IDBytes:], true
	case len(b) == 0 || b[0] != verbatim:
		return "", b, false
	}
	var text []byte
	for b = b[1:]; ; {
		i := bytes.IndexByte(b, 0)
		if i < 0 || i+1 >= len(b) {
			return "", b, false
		}
		text = append(text, b[:i]...)
		if b[i+1] == 0x01 {
			return string(text), b[i+2:], true
		}
		text, b = append(text, 0), b[i+2:]
	}
}

const timeLength = 12

// appendTime adds a time so that keys sort by it, from the year zero to the
// last day of X.509 and beyond: nanoseconds in 64 bits would end in 2262.
func appendTime(b []byte, t time.Time) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(t.Unix())^1<<63)
	return binary.BigEndian.AppendUint32(b, uint32(t.Nanosecond()))
}

// appendLatestFirst adds a time so that keys sort against it.
func appendLatestFirst(b []byte, t time.Time) []byte {
	from := len(b)
	b = appendTime(b, t)
	for i := from; i < len(b); i++ {
		b[i] = ^b[i]
	}
	return b
}

// keyTime reads what appendTime wrote.
func keyTime(b []byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint64(b)^1<<63), int64(binary.BigEndian.Uint32(b[8:]))).UTC()
}
