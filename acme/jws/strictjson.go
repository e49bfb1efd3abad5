package jws

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"unicode"
	"unicode/utf8"
)

// The limits of SL-7. They bound what one request can make us do before
// anybody knows who sent it.
const (
	maxDepth  = 16
	maxCount  = 512 // object members, and separately array elements, in all
	maxString = 16 << 10
	maxNumber = 64
)

// linearNames is how many names of one object are compared pair by pair
// before a map takes over, which would otherwise cost more than it saves.
const linearNames = 16

var (
	errNotObject = errors.New("it must be a JSON object")
	errTruncated = errors.New("it ends too early")
	errTrailing  = errors.New("something follows the closing brace")
	errUTF8      = errors.New("it is not valid UTF-8")
	errDepth     = fmt.Errorf("it nests deeper than %d levels", maxDepth)
	errCount     = fmt.Errorf("it has more than %d members or elements", maxCount)
	errLong      = errors.New("a string is too long")
	errNumber    = errors.New("a number is malformed or too long")
	errString    = errors.New("a string has a control character, a bad escape or half a surrogate pair")
)

// scanner walks over one JSON text once and refuses whatever two decoders
// could read differently: names that occur twice or differ only in case,
// trailing data, invalid UTF-8, halves of surrogate pairs (SP-5).
type scanner struct {
	data     []byte
	pos      int
	members  int
	elements int
	// longest bounds strings; wide, when set, may raise the bound for the
	// value of one member of the outermost object.
	longest int
	wide    func(name []byte) int
	// names holds those of all open objects, innermost last.
	names  [][]byte
	shapes shapes
}

// scanObject checks that data is one acceptable JSON object and calls visit,
// unless nil, for each of its members with the unescaped name and the raw
// value. When shape is the Go type that the text will be decoded into, a name
// that matches a field only when case is ignored is refused: the standard
// decoder would take it for the field, the RFC would not.
func (s *scanner) scanObject(shape reflect.Type, visit func(name, value []byte) error) error {
	if !utf8.Valid(s.data) {
		return errUTF8
	}
	s.space()
	if s.pos == len(s.data) || s.data[s.pos] != '{' {
		return errNotObject
	}
	if err := s.object(1, shape, visit); err != nil {
		return err
	}
	s.space()
	if s.pos != len(s.data) {
		return errTrailing
	}
	return nil
}

func (s *scanner) object(depth int, shape reflect.Type, visit func(name, value []byte) error) error {
	if depth > maxDepth {
		return errDepth
	}
	s.pos++ // the brace
	base := len(s.names)
	defer func() { s.names = s.names[:base] }()
	var folded map[string]struct{} // once there are more than linearNames
	s.space()
	if s.peek() == '}' {
		s.pos++
		return nil
	}
	for {
		if s.members++; s.members > maxCount {
			return errCount
		}
		s.space()
		raw, escaped, err := s.str(maxString)
		if err != nil {
			return err
		}
		name := raw[1 : len(raw)-1]
		if escaped {
			name = unescape(name)
		}
		if folded, err = s.claim(base, folded, name); err != nil {
			return err
		}
		child, err := s.shapes.member(shape, name)
		if err != nil {
			return err
		}
		s.space()
		if err := s.expect(':'); err != nil {
			return err
		}
		s.space()
		longest := s.longest
		if depth == 1 && s.wide != nil {
			longest = max(longest, s.wide(name))
		}
		start := s.pos
		if err := s.value(depth, child, longest); err != nil {
			return err
		}
		if visit != nil {
			if err := visit(name, s.data[start:s.pos]); err != nil {
				return err
			}
		}
		if more, err := s.more('}'); !more || err != nil {
			return err
		}
	}
}

// claim remembers name among those of the open object and refuses it when the
// object has it already, in whatever case.
func (s *scanner) claim(base int, folded map[string]struct{}, name []byte) (map[string]struct{}, error) {
	open := s.names[base:]
	switch {
	case len(open) < linearNames:
		for _, other := range open {
			if bytes.EqualFold(other, name) {
				return folded, errTwice(name)
			}
		}
	default:
		if folded == nil {
			folded = make(map[string]struct{}, 4*linearNames)
			for _, other := range open {
				folded[fold(other)] = struct{}{}
			}
		}
		key := fold(name)
		if _, ok := folded[key]; ok {
			return folded, errTwice(name)
		}
		folded[key] = struct{}{}
	}
	s.names = append(s.names, name)
	return folded, nil
}

func errTwice(name []byte) error {
	return fmt.Errorf("it has member %q twice, or once more in another case", shown(name))
}

func (s *scanner) array(depth int, shape reflect.Type) error {
	if depth > maxDepth {
		return errDepth
	}
	s.pos++ // the bracket
	s.space()
	if s.peek() == ']' {
		s.pos++
		return nil
	}
	child := elementOf(shape)
	for {
		if s.elements++; s.elements > maxCount {
			return errCount
		}
		s.space()
		if err := s.value(depth, child, s.longest); err != nil {
			return err
		}
		if more, err := s.more(']'); !more || err != nil {
			return err
		}
	}
}

func (s *scanner) value(depth int, shape reflect.Type, longest int) error {
	switch c := s.peek(); {
	case c == '{':
		return s.object(depth+1, shape, nil)
	case c == '[':
		return s.array(depth+1, shape)
	case c == '"':
		_, _, err := s.str(longest)
		return err
	case c == 't':
		return s.word("true")
	case c == 'f':
		return s.word("false")
	case c == 'n':
		return s.word("null")
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case s.pos == len(s.data):
		return errTruncated
	}
	return fmt.Errorf("it has an unexpected character at byte %d", s.pos)
}

// str passes over a string and returns it with its quotes, and whether it
// has escapes.
func (s *scanner) str(longest int) (raw []byte, escaped bool, err error) {
	if err := s.expect('"'); err != nil {
		return nil, false, err
	}
	start := s.pos
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; {
		case c == '"':
			if s.pos-start > longest {
				return nil, false, errLong
			}
			s.pos++
			return s.data[start-1 : s.pos], escaped, nil
		case c == '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return nil, false, err
			}
		case c < 0x20:
			return nil, false, errString
		default:
			s.pos++
		}
	}
	return nil, false, errTruncated
}

// escape passes over one escape, or over the two that make a surrogate pair.
// Half a pair has no UTF-8 form: decoders replace it, each in its own way.
func (s *scanner) escape() error {
	if s.pos+1 == len(s.data) {
		return errTruncated
	}
	switch s.data[s.pos+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos += 2
		return nil
	case 'u':
		r, ok := hex4(s.data[s.pos:])
		if !ok || r >= 0xdc00 && r < 0xe000 {
			return errString
		}
		s.pos += 6
		if r >= 0xd800 && r < 0xdc00 {
			low, ok := hex4(s.data[s.pos:])
			if !ok || low < 0xdc00 || low >= 0xe000 {
				return errString
			}
			s.pos += 6
		}
		return nil
	}
	return errString
}

func (s *scanner) number() error {
	start := s.pos
	if s.peek() == '-' {
		s.pos++
	}
	if s.peek() == '0' {
		s.pos++
	} else if !s.digits() {
		return errNumber
	}
	if s.peek() == '.' {
		s.pos++
		if !s.digits() {
			return errNumber
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.pos++
		if c := s.peek(); c == '+' || c == '-' {
			s.pos++
		}
		if !s.digits() {
			return errNumber
		}
	}
	if s.pos-start > maxNumber {
		return errNumber
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.pos
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.pos++
	}
	return s.pos > start
}

func (s *scanner) word(w string) error {
	if !bytes.HasPrefix(s.data[s.pos:], []byte(w)) {
		return fmt.Errorf("it has an unexpected word at byte %d", s.pos)
	}
	s.pos += len(w)
	return nil
}

// more passes over a comma or the closing character, and says which it was.
func (s *scanner) more(end byte) (bool, error) {
	s.space()
	switch {
	case s.pos == len(s.data):
		return false, errTruncated
	case s.data[s.pos] == ',':
		s.pos++
		return true, nil
	case s.data[s.pos] == end:
		s.pos++
		return false, nil
	}
	return false, fmt.Errorf("it has an unexpected character at byte %d", s.pos)
}

func (s *scanner) expect(c byte) error {
	if s.pos == len(s.data) {
		return errTruncated
	}
	if s.data[s.pos] != c {
		return fmt.Errorf("it has an unexpected character at byte %d", s.pos)
	}
	s.pos++
	return nil
}

// peek returns the next byte, or 0, which no JSON text has, at the end.
func (s *scanner) peek() byte {
	if s.pos == len(s.data) {
		return 0
	}
	return s.data[s.pos]
}

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
		default:
			return
		}
	}
}

// fold returns one spelling for all names that differ only in case, by the
// same simple folding as the standard decoder.
func fold(name []byte) string {
	return string(bytes.Map(func(r rune) rune {
		least := r
		for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
			least = min(least, next)
		}
		return least
	}, name))
}

// shown cuts a name of the client's to what an error text may carry.
func shown(name []byte) []byte {
	const most = 32
	if len(name) > most {
		return append(bytes.ToValidUTF8(name[:most:most], nil), "..."...)
	}
	return name
}
