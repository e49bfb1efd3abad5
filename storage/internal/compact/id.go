package compact

// The lengths of an id as acme.MintID makes it, and of what it stands for.
const (
	IDLength = 36
	IDBytes  = 22
)

const alphabet = "0123456789abcdefghijklmnopqrstuv"

// PackID turns the 36 characters of a minted id into the 22 bytes they stand
// for. The bytes sort like the characters.
func PackID(s string) (p [IDBytes]byte, ok bool) {
	if len(s) != IDLength || s[IDLength-1] != '0' && s[IDLength-1] != 'g' {
		return p, false // the last character holds one bit
	}
	var acc, bits uint
	out := 0
	for i := range IDLength {
		var v byte
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			v = c - '0'
		case c >= 'a' && c <= 'v':
			v = c - 'a' + 10
		default:
			return p, false
		}
		acc, bits = acc<<5|uint(v), bits+5
		if bits >= 8 && out < IDBytes {
			bits -= 8
			p[out] = byte(acc >> bits)
			out++
		}
	}
	return p, true
}

// AppendID appends the characters of a packed id.
func AppendID(dst, p []byte) []byte {
	var acc, bits uint
	in := 0
	for range IDLength {
		if bits < 5 {
			acc, bits = acc<<8, bits+8
			if in < len(p) {
				acc |= uint(p[in])
				in++
			}
		}
		bits -= 5
		dst = append(dst, alphabet[acc>>bits&31])
	}
	return dst
}
