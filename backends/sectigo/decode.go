package sectigo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// decode reads JSON into what v points to, as far as possible: numbers and
// booleans may be strings, strings may be numbers, and a field that is missing,
// null or of another kind keeps its zero value. Only a field with the tag
// need:"" has to be there and readable; an error about one names it, and the
// other fields are read all the same.
//
// The CA's JSON is known from its clients only, so a reply must not become
// unreadable because of a field that nobody needs.
func decode(data []byte, v any) error {
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return fmt.Errorf("cannot decode into a %T", v)
	}
	if !json.Valid(data) {
		return errors.New("it is not JSON")
	}
	return fill(target.Elem(), bytes.TrimSpace(data))
}

var unmarshalerType = reflect.TypeFor[json.Unmarshaler]()

func fill(v reflect.Value, raw []byte) error {
	if bytes.Equal(raw, []byte("null")) {
		return nil
	}
	if reflect.PointerTo(v.Type()).Implements(unmarshalerType) {
		return v.Addr().Interface().(json.Unmarshaler).UnmarshalJSON(raw)
	}
	switch v.Kind() {
	case reflect.Pointer:
		element := reflect.New(v.Type().Elem())
		if err := fill(element.Elem(), raw); err != nil {
			return err
		}
		v.Set(element)
		return nil
	case reflect.Struct:
		return fillStruct(v, raw)
	case reflect.Slice:
		return fillSlice(v, raw)
	case reflect.Map:
		return fillMap(v, raw)
	case reflect.Int64:
		n, err := integer(raw)
		v.SetInt(n)
		return err
	case reflect.String:
		s, err := text(raw)
		v.SetString(s)
		return err
	case reflect.Bool:
		b, err := boolean(raw)
		v.SetBool(b)
		return err
	default:
		return fmt.Errorf("no way to decode into %s", v.Type())
	}
}

func fillStruct(v reflect.Value, raw []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return fmt.Errorf("%s in place of an object", kindOf(raw))
	}
	var problems []error
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		_, needed := tag.Lookup("need")
		name, _, _ := strings.Cut(tag.Get("json"), ",")
		value, ok := fields[name]
		switch {
		case !ok && needed:
			problems = append(problems, fmt.Errorf("%s: it is missing", name))
		case ok:
			if err := fill(v.Field(i), value); err != nil && needed {
				problems = append(problems, fmt.Errorf("%s: %w", name, err))
			}
		}
	}
	return errors.Join(problems...)
}

func fillSlice(v reflect.Value, raw []byte) error {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil {
		return fmt.Errorf("%s in place of a list", kindOf(raw))
	}
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	var problems []error
	for i, item := range items {
		if err := fill(list.Index(i), item); err != nil {
			problems = append(problems, fmt.Errorf("item %d: %w", i, err))
		}
	}
	v.Set(list)
	return errors.Join(problems...)
}

func fillMap(v reflect.Value, raw []byte) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return fmt.Errorf("%s in place of an object", kindOf(raw))
	}
	m := reflect.MakeMap(v.Type())
	var problems []error
	for name, value := range fields {
		element := reflect.New(v.Type().Elem()).Elem()
		if err := fill(element, value); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
			continue
		}
		m.SetMapIndex(reflect.ValueOf(name), element)
	}
	v.Set(m)
	return errors.Join(problems...)
}

// integer reads 12, "12", 12.0 and 1.2e1.
func integer(raw []byte) (int64, error) {
	s, err := text(raw)
	if err != nil {
		return 0, fmt.Errorf("%s in place of a number", kindOf(raw))
	}
	s = strings.TrimSpace(s)
	if s == "" {
		return 0, nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	// Beyond 2^53 a floating point number is not the one that was written.
	const exact = 1 << 53
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > exact {
		return 0, errors.New("it is not a whole number")
	}
	return int64(f), nil
}

// text reads a string, and takes a number or a boolean as it is written.
func text(raw []byte) (string, error) {
	switch {
	case len(raw) == 0:
		return "", errors.New("nothing in place of a string")
	case raw[0] == '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return s, err
	case raw[0] == '{' || raw[0] == '[':
		return "", fmt.Errorf("%s in place of a string", kindOf(raw))
	case bytes.Equal(raw, []byte("null")):
		return "", nil
	}
	return string(raw), nil
}

// boolean reads true, "true", 1 and "1", and their opposites.
func boolean(raw []byte) (bool, error) {
	s, err := text(raw)
	if err != nil {
		return false, fmt.Errorf("%s in place of true or false", kindOf(raw))
	}
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "1":
		return true, nil
	case "false", "0", "":
		return false, nil
	}
	return false, errors.New("neither true nor false")
}

func kindOf(raw []byte) string {
	switch {
	case len(raw) == 0:
		return "nothing"
	case raw[0] == '{':
		return "an object"
	case raw[0] == '[':
		return "a list"
	case raw[0] == '"':
		return "a string"
	}
	return "a number or a word"
}

// Time is a time of the CA. One that cannot be read is zero: no decision hangs
// on it that would justify losing the rest of the answer.
type Time struct{ time.Time }

const timeLayout = "2006-01-02T15:04:05.000-0700"

var timeLayouts = []string{timeLayout, "2006-01-02T15:04:05-0700", time.RFC3339Nano, "2006-01-02T15:04:05.999999999"}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Time) UnmarshalJSON(raw []byte) error {
	t.Time = time.Time{}
	s, err := text(raw)
	if err != nil {
		return nil //nolint:nilerr // see the type
	}
	for _, layout := range timeLayouts {
		if at, err := time.Parse(layout, s); err == nil {
			t.Time = at.UTC()
			return nil
		}
	}
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil && ms > 0 && ms < math.MaxInt64/int64(time.Millisecond) {
		t.Time = time.UnixMilli(ms).UTC()
	}
	return nil
}

// MarshalJSON writes the time as the CA does.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte(`""`), nil
	}
	return json.Marshal(t.UTC().Format(timeLayout))
}

// Any is a value whose shape the CA does not fix, as it came.
type Any json.RawMessage

// UnmarshalJSON implements json.Unmarshaler.
func (a *Any) UnmarshalJSON(raw []byte) error { *a = bytes.Clone(raw); return nil }

// MarshalJSON writes it as it came.
func (a Any) MarshalJSON() ([]byte, error) {
	if len(a) == 0 {
		return []byte("null"), nil
	}
	return a, nil
}
