package config

import (
	"encoding/json"
	"net/netip"
	"reflect"
	"strconv"
)

// durationPattern is what ParseDuration reads.
const durationPattern = `^(0|([0-9]{1,6}d)?([0-9]*\.?[0-9]+(h|ms|m|s|us|µs|ns))*)$`

// Schema is the JSON Schema (draft 2020-12) of the file, for editors that
// complete and check as one types. Load checks more than a schema can say.
func Schema() []byte {
	s := sectionSchema(reflect.TypeFor[Config]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["title"] = "acmebridge configuration"
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic("config: the schema: " + err.Error()) // strings, numbers and maps of them
	}
	return append(out, '\n')
}

type schema = map[string]any

func sectionSchema(t reflect.Type) schema {
	fields, variants := describe(t)
	s := schema{"type": []string{"object", "null"}, "properties": propertySchemas(fields)}
	if len(variants) == 0 {
		s["additionalProperties"] = false
		return s
	}
	// The type decides what else there may be.
	s["type"], s["required"], s["unevaluatedProperties"] = "object", []string{"type"}, false
	var rules []schema
	for _, v := range variants {
		own, _ := describe(v.typ)
		rules = append(rules, schema{
			"if":   schema{"properties": schema{"type": schema{"const": v.when}}, "required": []string{"type"}},
			"then": schema{"properties": propertySchemas(own)},
		})
	}
	s["allOf"] = rules
	return s
}

func propertySchemas(fields []field) schema {
	properties := schema{}
	for _, f := range fields {
		if f.secret {
			continue
		}
		s := typeSchema(f)
		s["description"] = f.doc
		if f.given {
			v := reflect.New(f.typ).Elem()
			if parseInto(v, f, f.fallback) == nil {
				s["default"] = plainValue(v)
			}
		}
		properties[f.key] = s
	}
	return properties
}

func typeSchema(f field) schema {
	switch {
	case isSection(f.typ):
		return sectionSchema(f.typ)
	case isTable(f.typ):
		return schema{
			"type":                 []string{"object", "null"},
			"propertyNames":        schema{"pattern": entryName.String()},
			"additionalProperties": sectionSchema(f.typ.Elem()),
		}
	case isList(f.typ):
		item := f
		item.typ = f.typ.Elem()
		return schema{"type": []string{"array", "null"}, "items": scalarSchema(item, false)}
	default:
		return scalarSchema(f, true)
	}
}

// scalarSchema describes one value; null stands for an absent one where a key
// may be left without a value.
func scalarSchema(f field, orNull bool) schema {
	t := f.typ
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	s, name := schema{}, "string"
	switch {
	case t == durationType:
		return schema{"anyOf": nullable(orNull, schema{"type": "string", "pattern": durationPattern, "minLength": 1}, schema{"const": 0})}
	case t == rateType:
		s["pattern"] = ratePattern
	case t.Kind() == reflect.Int:
		name = "integer"
		if n, err := strconv.Atoi(f.min); err == nil {
			s["minimum"] = n
		}
		if n, err := strconv.Atoi(f.max); err == nil {
			s["maximum"] = n
		}
	case t.Kind() == reflect.Bool:
		name = "boolean"
	case t == reflect.TypeFor[netip.Prefix]():
		s["pattern"] = "^[0-9a-fA-F.:]+/[0-9]{1,3}$"
	case len(f.enum) > 0 && orNull && f.key != "type":
		words := []any{nil}
		for _, w := range f.enum {
			words = append(words, w)
		}
		return schema{"enum": words}
	case len(f.enum) > 0:
		return schema{"enum": f.enum}
	}
	s["type"] = name
	if orNull {
		s["type"] = []string{name, "null"}
	}
	return s
}

func nullable(orNull bool, choices ...schema) []schema {
	if orNull {
		choices = append(choices, schema{"type": "null"})
	}
	return choices
}

// plainValue is a value as the file has it.
func plainValue(v reflect.Value) any {
	switch {
	case isList(v.Type()):
		return append([]string{}, format(v)...)
	case v.Type() != durationType && v.Kind() == reflect.Int:
		return v.Int()
	case v.Kind() == reflect.Bool:
		return v.Bool()
	default:
		return format(v)[0]
	}
}
