package jws

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"acmebridge/acme"
)

// maxEncodedCSR is the longest string a payload may carry: a CSR of 24 KiB
// (SL-10) in base64url does not fit the bound for all other strings (SL-7).
const maxEncodedCSR = (24 << 10) * 4 / 3

// DecodePayload decodes the JSON object data into the struct that into points
// to. Members that the struct does not know are ignored, as RFC 8555 asks;
// what decoders disagree about is refused (SP-5).
func DecodePayload(data []byte, into any) *acme.Problem {
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return acme.Problemf(acme.ServerInternal, "jws: decode a payload into a %T, which is no pointer", into)
	}
	s := scanner{data: data, longest: maxString, wide: widePayload}
	if err := s.scanObject(target.Type(), nil); err != nil {
		return acme.Problemf(acme.Malformed, "the payload is not acceptable JSON: %v", err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) && kind.Field != "" {
			return acme.Problemf(acme.Malformed, "member %q of the payload must not be a JSON %s", shown([]byte(kind.Field)), strings.Fields(kind.Value)[0])
		}
		return acme.Problemf(acme.Malformed, "a member of the payload has a value of the wrong form")
	}
	return nil
}

// widePayload names the members that hold whole DER objects.
func widePayload(name []byte) int {
	switch string(name) {
	case "csr", "certificate":
		return maxEncodedCSR
	}
	return 0
}

// shapes remembers the fields of the Go types met during one scan.
type shapes map[reflect.Type][]field

type field struct {
	name  string
	shape reflect.Type
}

// member returns the type that the value of a member will be decoded into,
// nil when nothing will. A name that equals that of a field in all but case
// is an error.
func (s *shapes) member(shape reflect.Type, name []byte) (reflect.Type, error) {
	shape = indirect(shape)
	if shape == nil {
		return nil, nil
	}
	if shape.Kind() == reflect.Map {
		return shape.Elem(), nil
	}
	if shape.Kind() != reflect.Struct {
		return nil, nil
	}
	fields, ok := (*s)[shape]
	if !ok {
		if *s == nil {
			*s = make(shapes, 2)
		}
		fields = appendFields(nil, shape)
		(*s)[shape] = fields
	}
	for _, f := range fields {
		if string(name) == f.name {
			return f.shape, nil
		}
	}
	for _, f := range fields {
		if bytes.EqualFold(name, []byte(f.name)) {
			return nil, fmt.Errorf("member %q must be spelled %q", shown(name), f.name)
		}
	}
	return nil, nil
}

func appendFields(fields []field, shape reflect.Type) []field {
	for i := range shape.NumField() {
		f := shape.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch inner := indirect(f.Type); {
		case f.Tag.Get("json") == "-":
		case f.Anonymous && name == "" && inner != nil && inner.Kind() == reflect.Struct:
			fields = appendFields(fields, inner)
		case !f.IsExported():
		case name == "":
			fields = append(fields, field{f.Name, f.Type})
		default:
			fields = append(fields, field{name, f.Type})
		}
	}
	return fields
}

// elementOf returns the type of the elements of an array decoded into shape.
func elementOf(shape reflect.Type) reflect.Type {
	shape = indirect(shape)
	if shape == nil || shape.Kind() != reflect.Slice && shape.Kind() != reflect.Array {
		return nil
	}
	return shape.Elem()
}

// indirect follows pointers. A type that decodes itself has no shape that
// could be known here.
func indirect(shape reflect.Type) reflect.Type {
	for shape != nil {
		if decodesItself(shape) || shape.Kind() != reflect.Pointer && decodesItself(reflect.PointerTo(shape)) {
			return nil
		}
		if shape.Kind() != reflect.Pointer {
			return shape
		}
		shape = shape.Elem()
	}
	return nil
}

func decodesItself(t reflect.Type) bool {
	return t.Implements(reflect.TypeFor[json.Unmarshaler]()) || t.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}
