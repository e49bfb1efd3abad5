package compact

import (
	"encoding/binary"
	"time"
)

// Reader goes through what Shrink made, item by item, for who needs few fields
// of many records: expanding and decoding whole ones takes several times as
// long. It knows what records are usually made of. OK tells whether all so far
// was that; when it was not, the record is for Expand and a full decoder, which
// then also says what is wrong with it.
type Reader struct {
	rest   []byte
	failed bool
}

// NewReader returns one at the beginning of src.
func NewReader(src []byte) *Reader { return &Reader{rest: src} }

// OK reports whether everything that was read was there.
func (r *Reader) OK() bool { return !r.failed }

// GiveUp makes the rest unreadable: what was read is not what was expected.
func (r *Reader) GiveUp() { r.failed = true }

// Done reports whether everything was read, and nothing is left.
func (r *Reader) Done() bool { return !r.failed && len(r.rest) == 0 }

func (r *Reader) head(major byte) (h head, ok bool) {
	if r.failed {
		return h, false
	}
	if h, ok = readHead(r.rest); !ok || h.major != major || r.rest[0] == tagTime || r.rest[0] == tagID {
		r.failed = true
		return h, false
	}
	r.rest = r.rest[h.size:]
	return h, true
}

// Map enters a map and returns how many fields it has.
func (r *Reader) Map() int {
	h, ok := r.head(majorMap)
	if !ok || h.arg > uint64(len(r.rest)) {
		r.failed = true
		return 0
	}
	return int(h.arg)
}

// Uint reads a number that is not negative, and that fits.
func (r *Reader) Uint() int {
	h, ok := r.head(majorUint)
	if !ok || h.arg > 1<<31-1 {
		r.failed = true
		return 0
	}
	return int(h.arg)
}

func (r *Reader) content(major byte) []byte {
	h, ok := r.head(major)
	if !ok || h.arg > uint64(len(r.rest)) {
		r.failed = true
		return nil
	}
	found := r.rest[:h.arg]
	r.rest = r.rest[h.arg:]
	return found
}

// Bytes reads a byte string. It shares nothing with the source.
func (r *Reader) Bytes() []byte {
	found := r.content(majorBytes)
	if r.failed {
		return nil
	}
	return append(make([]byte, 0, len(found)), found...)
}

// Text reads text, a minted id too.
func (r *Reader) Text() string {
	if r.failed || len(r.rest) == 0 || r.rest[0] != tagID {
		return string(r.content(majorText))
	}
	if len(r.rest) < 2+IDBytes || r.rest[1] != headID {
		r.failed = true
		return ""
	}
	var id [IDLength]byte
	text := string(AppendID(id[:0], r.rest[2:2+IDBytes]))
	r.rest = r.rest[2+IDBytes:]
	return text
}

// Time reads a time in its short form, in UTC.
func (r *Reader) Time() time.Time {
	if r.failed || len(r.rest) < 10 || r.rest[0] != tagTime || r.rest[1] != 0x1b || r.rest[2]&0x80 != 0 {
		r.failed = true
		return time.Time{}
	}
	ns := int64(binary.BigEndian.Uint64(r.rest[2:]))
	r.rest = r.rest[10:]
	return time.Unix(0, ns).UTC()
}

// Skip passes over one item with all that is in it.
func (r *Reader) Skip() {
	for left := uint64(1); left > 0 && !r.failed; left-- {
		h, ok := readHead(r.rest)
		if !ok {
			r.failed = true
			return
		}
		r.rest = r.rest[h.size:]
		within := uint64(0)
		switch h.major {
		case majorBytes, majorText:
			if h.arg > uint64(len(r.rest)) {
				r.failed = true
				return
			}
			r.rest = r.rest[h.arg:]
		case majorArray:
			within = h.arg
		case majorMap:
			within = 2 * min(h.arg, 1<<32)
		case majorTag:
			within = 1
		}
		// Every item has at least a byte, so more than there are bytes are too many.
		if within > uint64(len(r.rest)) {
			r.failed = true
			return
		}
		left += within
	}
}
