package config

import (
	"reflect"
	"strings"
	"time"

	"acmebridge/internal/secret"
)

// field is one key, as the tags of a struct describe it.
type field struct {
	key      string
	doc      string
	fallback string // the default, in the form of the environment
	given    bool   // whether there is a default
	enum     []string
	min, max string
	secret   bool // may come from the environment only
	typ      reflect.Type
	index    int
}

// variant is a struct whose fields belong to its parent while the parent's
// type has the given value.
type variant struct {
	when  string
	typ   reflect.Type
	index int
}

// describe returns the keys of a struct and its variants.
func describe(t reflect.Type) (fields []field, variants []variant) {
	for i := range t.NumField() {
		f := t.Field(i)
		if when, ok := f.Tag.Lookup("when"); ok {
			variants = append(variants, variant{when: when, typ: f.Type, index: i})
			continue
		}
		key, ok := f.Tag.Lookup("key")
		if !ok {
			continue
		}
		fallback, given := f.Tag.Lookup("default")
		var enum []string
		if e := f.Tag.Get("enum"); e != "" {
			enum = strings.Split(e, ",")
		}
		fields = append(fields, field{
			key: key, doc: f.Tag.Get("doc"), fallback: fallback, given: given, enum: enum,
			min: f.Tag.Get("min"), max: f.Tag.Get("max"),
			secret: f.Tag.Get("source") == "env", typ: f.Type, index: i,
		})
	}
	return fields, variants
}

// setting is a field together with its value in a Config.
type setting struct {
	field
	value reflect.Value
}

// settings returns the keys that apply to v as it stands: its own, and those of
// the variant that its type selects.
func settings(v reflect.Value) []setting {
	own, variants := describe(v.Type())
	var all []setting
	for _, f := range own {
		all = append(all, setting{f, v.Field(f.index)})
	}
	for _, a := range variants {
		if v.FieldByName("Type").String() == a.when {
			all = append(all, settings(v.Field(a.index))...)
		}
	}
	return all
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	secretType   = reflect.TypeFor[secret.Secret]()
)

// A section is a struct with keys of its own, a table maps names to sections;
// everything else is a value or a list of values.
func isSection(t reflect.Type) bool { return t.Kind() == reflect.Struct && hasKeys(t) }
func isTable(t reflect.Type) bool   { return t.Kind() == reflect.Map }
func isList(t reflect.Type) bool    { return t.Kind() == reflect.Slice }

func hasKeys(t reflect.Type) bool {
	fields, variants := describe(t)
	return len(fields)+len(variants) > 0
}

// fill sets the defaults of a section. Tables stay empty.
func fill(section reflect.Value) {
	for _, s := range settings(section) {
		switch {
		case isSection(s.typ):
			fill(s.value)
		case isTable(s.typ):
		case s.given:
			if err := parseInto(s.value, s.field, s.fallback); err != nil {
				// A test fills every section there is.
				panic("config: the default of " + s.key + " " + err.Error())
			}
		}
	}
}

// walk calls visit for every value and list of a section, with its full name.
// A change that visit makes to the value lasts.
func walk(section reflect.Value, prefix string, visit func(key string, s setting)) {
	own, variants := describe(section.Type())
	for _, f := range own {
		s, key := setting{f, section.Field(f.index)}, join(prefix, f.key)
		switch {
		case isSection(f.typ):
			walk(s.value, key, visit)
		case isTable(f.typ):
			for _, name := range sortedNames(s.value) {
				// The entry of a map cannot be changed in place.
				entry := reflect.New(f.typ.Elem()).Elem()
				entry.Set(s.value.MapIndex(reflect.ValueOf(name)))
				walk(entry, join(key, name), visit)
				s.value.SetMapIndex(reflect.ValueOf(name), entry)
			}
		default:
			visit(key, s)
		}
	}
	// After the own keys: visit may have changed the type among them.
	for _, a := range variants {
		if section.FieldByName("Type").String() == a.when {
			walk(section.Field(a.index), prefix, visit)
		}
	}
}

func sortedNames(table reflect.Value) []string {
	var names []string
	for _, k := range table.MapKeys() {
		names = append(names, k.String())
	}
	// Sorted, so that errors and prints come in the same order each time.
	return sorted(names)
}

func join(prefix, key string) string {
	if prefix == "" {
		return key
	}
	return prefix + "." + key
}
