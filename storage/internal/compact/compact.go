// Package compact shortens what records hold most of: minted ids, which are 36
// characters for 22 bytes, and times, which CBOR as we write it spells out in
// 30 characters. Nothing is lost: what does not have exactly that form is left
// as it is, and what has it comes back byte for byte, whatever it meant.
//
// Shrink and Expand go over encoded CBOR from head to head. Arrays and maps need
// no care, since their elements simply follow; strings are the only items with
// something behind the head.
package compact

import (
	"encoding/binary"
	"errors"
	"time"
)

// The short forms are marked with tags that records do not use otherwise.
const (
	tagTime = 0xc6 // followed by an unsigned number of nanoseconds since 1970
	tagID   = 0xc7 // followed by a byte string of 22
	headID  = 0x40 | IDBytes
)

// ErrMalformed says that something is no CBOR that Shrink made.
var ErrMalformed = errors.New("storage: the encoding is malformed")

// head is the first bytes of an item: its major type, its number, its length.
type head struct {
	major byte
	arg   uint64
	size  int
}

func readHead(b []byte) (h head, ok bool) {
	if len(b) == 0 {
		return h, false
	}
	h.major, h.size = b[0]>>5, 1
	switch info := b[0] & 31; {
	case info < 24:
		h.arg = uint64(info)
		return h, true
	case info > 27:
		return h, false // reserved, or of indefinite length
	default:
		n := 1 << (info - 24)
		if len(b) < 1+n {
			return h, false
		}
		for _, c := range b[1 : 1+n] {
			h.arg = h.arg<<8 | uint64(c)
		}
		h.size += n
		return h, true
	}
}

const (
	majorUint  = 0
	majorBytes = 2
	majorText  = 3
	majorArray = 4
	majorMap   = 5
	majorTag   = 6
)

// Shrink appends the short form of the CBOR in src to dst.
func Shrink(dst, src []byte) ([]byte, error) {
	for len(src) > 0 {
		h, ok := readHead(src)
		if !ok || src[0] == tagTime || src[0] == tagID {
			return nil, ErrMalformed
		}
		item := h.size
		if h.major == majorBytes || h.major == majorText {
			if h.arg > uint64(len(src)-h.size) {
				return nil, ErrMalformed
			}
			item += int(h.arg)
		}
		if h.major == majorText {
			text := src[h.size:item]
			if ns, ok := canonicalTime(text); ok {
				dst = append(dst, tagTime, 0x1b)
				dst = binary.BigEndian.AppendUint64(dst, ns)
				src = src[item:]
				continue
			}
			if len(text) == IDLength {
				if id, ok := PackID(string(text)); ok {
					dst = append(append(dst, tagID, headID), id[:]...)
					src = src[item:]
					continue
				}
			}
		}
		dst = append(dst, src[:item]...)
		src = src[item:]
	}
	return dst, nil
}

// Expand appends what Shrink made src of to dst.
func Expand(dst, src []byte) ([]byte, error) {
	for len(src) > 0 {
		switch {
		case src[0] == tagTime:
			if len(src) < 10 || src[1] != 0x1b || src[2]&0x80 != 0 {
				return nil, ErrMalformed
			}
			ns := int64(binary.BigEndian.Uint64(src[2:]))
			var text [len(time.RFC3339Nano)]byte
			t := time.Unix(0, ns).UTC().AppendFormat(text[:0], time.RFC3339Nano)
			if len(t) < 24 {
				dst = append(dst, majorText<<5|byte(len(t)))
			} else {
				dst = append(dst, majorText<<5|24, byte(len(t)))
			}
			dst, src = append(dst, t...), src[10:]
		case src[0] == tagID:
			if len(src) < 2+IDBytes || src[1] != headID {
				return nil, ErrMalformed
			}
			dst = append(dst, majorText<<5|24, IDLength)
			dst, src = AppendID(dst, src[2:2+IDBytes]), src[2+IDBytes:]
		default:
			h, ok := readHead(src)
			if !ok {
				return nil, ErrMalformed
			}
			item := h.size
			if h.major == majorBytes || h.major == majorText {
				if h.arg > uint64(len(src)-h.size) {
					return nil, ErrMalformed
				}
				item += int(h.arg)
			}
			dst, src = append(dst, src[:item]...), src[item:]
		}
	}
	return dst, nil
}

// canonicalTime reads a time that Expand would write with the same characters.
func canonicalTime(text []byte) (ns uint64, ok bool) {
	const shortest = len("2006-01-02T15:04:05Z")
	if len(text) < shortest || len(text) > shortest+10 || text[4] != '-' || text[10] != 'T' || text[len(text)-1] != 'Z' {
		return 0, false
	}
	t, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil || t.Year() < 1970 || t.Year() > 2261 {
		return 0, false // nanoseconds since 1970 end in 2262
	}
	var again [len(time.RFC3339Nano)]byte
	if string(t.UTC().AppendFormat(again[:0], time.RFC3339Nano)) != string(text) {
		return 0, false
	}
	return uint64(t.UnixNano()), true
}
