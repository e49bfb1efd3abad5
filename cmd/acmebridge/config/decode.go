package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"
)

// maxDepth is above any nesting that a configuration has. Parsing stops there,
// so a file of a million brackets costs no more than a short one.
const maxDepth = 24

// decode reads YAML into c, whose defaults are filled in.
//
// The library turns text into nodes and no further. Nodes know their line, and
// an alias stays one node however much it stands for, so nothing is expanded
// before we refuse it.
func decode(data []byte, c *Config, r *report) {
	if len(data) > maxFile {
		r.at(place{}, "", "is larger than %d bytes; this is not a configuration", maxFile)
		return
	}
	limits := loaderlimits.New(loaderlimits.DepthValue(maxDepth), loaderlimits.AliasNone())
	loader, err := yaml.NewLoader(bytes.NewReader(data), yaml.WithPlugin(limits), yaml.WithUniqueKeys(false))
	if err != nil {
		r.at(place{}, "", "cannot be read as YAML: %v", err)
		return
	}
	var root, second yaml.Node
	if err := loader.Load(&root); errors.Is(err, io.EOF) {
		return // nothing but comments: all defaults
	} else if err != nil {
		syntaxError(data, err, r)
		return
	}
	if err := loader.Load(&second); err == nil {
		r.at(where(&second), "", "is a second document; a configuration is one")
		return
	} else if !errors.Is(err, io.EOF) {
		syntaxError(data, err, r)
		return
	}
	if d := (decoder{r}); len(root.Content) > 0 && !absent(root.Content[0]) {
		d.section(root.Content[0], reflect.ValueOf(c).Elem(), "")
	}
}

func syntaxError(data []byte, err error, r *report) {
	var e *yaml.LoadError
	if errors.As(err, &e) {
		p := place{line: max(1, e.Mark.Line), column: max(1, e.Mark.Column)}
		if indentedWithTab(data, p.line) {
			r.at(p, "", "is not YAML: indent with blanks, not with tabs")
			return
		}
		r.at(p, "", "is not YAML: %s", e.Message)
		return
	}
	r.at(place{}, "", "is not a YAML document: %v", err)
}

// indentedWithTab reports whether there is a tab among the blanks that a line
// begins with, of which the library speaks in its own terms.
func indentedWithTab(data []byte, line int) bool {
	for n := 1; n < line; n++ {
		_, rest, ok := bytes.Cut(data, []byte("\n"))
		if !ok {
			return false
		}
		data = rest
	}
	text, _, _ := bytes.Cut(data, []byte("\n"))
	indent := text[:len(text)-len(bytes.TrimLeft(text, " \t"))]
	return bytes.ContainsRune(indent, '\t')
}

type decoder struct{ *report }

func where(n *yaml.Node) place { return place{line: n.Line, column: n.Column} }

// plain reports whether n is of the given kind and without the parts of YAML
// that a configuration has no use for.
func (d decoder) plain(n *yaml.Node, kind yaml.Kind, want, key string) bool {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		d.at(where(n), key, "uses an anchor or an alias; write the value out")
	case n.Kind != kind:
		d.at(where(n), key, "must be %s, not %s", want, called(n))
	case n.Style&yaml.TaggedStyle != 0:
		d.at(where(n), key, "has a tag; write the plain value")
	default:
		return true
	}
	return false
}

func called(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a section"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!str":
		return "text"
	case n.Tag == "!!int":
		return "a number"
	case n.Tag == "!!float":
		return "a fraction or a number out of range"
	case n.Tag == "!!bool":
		return "true or false"
	case n.Tag == "!!null":
		return "nothing"
	default:
		return "a value of type " + strings.TrimPrefix(n.Tag, "!!")
	}
}

// absent: a key without a value keeps its default, as when all lines below it
// are commented out.
func absent(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null" && n.Anchor == "" && n.Style&yaml.TaggedStyle == 0
}

// pairs returns the entries of a mapping, without those that are wrong in
// themselves.
func (d decoder) pairs(n *yaml.Node, prefix string) (pairs [][2]*yaml.Node) {
	seen := map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if !d.plain(k, yaml.ScalarNode, "a key of one word", prefix) {
			continue
		}
		if before, ok := seen[k.Value]; ok {
			d.at(where(k), join(prefix, shown(k.Value)), "is given twice; the first time in line %d", before.Line)
			continue
		}
		seen[k.Value] = k
		pairs = append(pairs, [2]*yaml.Node{k, n.Content[i+1]})
	}
	return pairs
}

// shown is a key that is not ours, in a form that stays on its line.
func shown(key string) string {
	const longest = 60
	if len(key) > longest {
		key = strings.ToValidUTF8(key[:longest], "") + "..."
	}
	if strings.ContainsFunc(key, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(key)
	}
	return key
}

// section decodes a mapping into a struct.
func (d decoder) section(n *yaml.Node, v reflect.Value, prefix string) {
	if !d.plain(n, yaml.MappingNode, "a section with keys", prefix) {
		return
	}
	pairs := d.pairs(n, prefix)
	if _, variants := describe(v.Type()); len(variants) > 0 && !d.variant(n, pairs, v, prefix) {
		return
	}
	known := settings(v)
	for _, p := range pairs {
		key := join(prefix, p[0].Value)
		i := slices.IndexFunc(known, func(s setting) bool { return s.key == p[0].Value })
		if i < 0 {
			hint := ""
			if len(d.errors) < maxErrors { // what is not shown needs no thought
				hint = suggestKey(p[0].Value, prefix, known)
			}
			d.at(where(p[0]), join(prefix, shown(p[0].Value)), "unknown key%s", hint)
			continue
		}
		d.places[key] = where(p[0])
		if known[i].secret {
			d.at(where(p[0]), key, "a secret is not written into this file; use %s_file or the variable %s", known[i].key, variable(key))
			continue
		}
		if !absent(p[1]) {
			d.setting(p[1], known[i], key)
		}
	}
}

// variant decodes the type before the other keys, because it says which ones
// there are, and fills in their defaults.
func (d decoder) variant(n *yaml.Node, pairs [][2]*yaml.Node, v reflect.Value, prefix string) bool {
	fields, _ := describe(v.Type())
	i := slices.IndexFunc(fields, func(f field) bool { return f.key == "type" })
	for _, p := range pairs {
		if p[0].Value != "type" || absent(p[1]) {
			continue
		}
		before := len(d.errors)
		d.setting(p[1], setting{fields[i], v.Field(fields[i].index)}, join(prefix, "type"))
		fill(v)
		return len(d.errors) == before
	}
	d.at(where(n), join(prefix, "type"), "is missing; it must be %s", oneOf(fields[i].enum))
	return false
}

func (d decoder) setting(n *yaml.Node, s setting, key string) {
	switch {
	case isSection(s.typ):
		d.section(n, s.value, key)
	case isTable(s.typ):
		d.table(n, s.value, key)
	case isList(s.typ):
		d.list(n, s, key)
	default:
		d.scalar(n, s.value, s.field, key)
	}
	if !isSection(s.typ) && !isTable(s.typ) && n.Kind == yaml.ScalarNode {
		d.places[key] = where(n)
	}
}

// entryName is what directories, profiles and backends may be called: the name
// is part of URLs, file names and variables.
var entryName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

func (d decoder) table(n *yaml.Node, v reflect.Value, prefix string) {
	if !d.plain(n, yaml.MappingNode, "a section with a name for each entry", prefix) {
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, p := range d.pairs(n, prefix) {
		key := join(prefix, p[0].Value)
		if !entryName.MatchString(p[0].Value) {
			d.at(where(p[0]), prefix, "a name must be of a-z, 0-9 and -, start and end with a letter or a digit, and be no longer than 40")
			continue
		}
		d.places[key] = where(p[0])
		entry := reflect.New(v.Type().Elem()).Elem()
		fill(entry)
		if absent(p[1]) {
			d.at(where(p[0]), key, "has no keys")
			continue
		}
		d.section(p[1], entry, key)
		v.SetMapIndex(reflect.ValueOf(p[0].Value), entry)
	}
}

func (d decoder) list(n *yaml.Node, s setting, key string) {
	if !d.plain(n, yaml.SequenceNode, "a list such as [a, b]", key) {
		return
	}
	list := reflect.Zero(s.typ)
	for i, item := range n.Content {
		v := reflect.New(s.typ.Elem()).Elem()
		itemKey := fmt.Sprintf("%s[%d]", key, i)
		d.places[itemKey] = where(item)
		d.scalar(item, v, s.field, itemKey)
		list = reflect.Append(list, v)
	}
	s.value.Set(list)
}

// scalar wants the kind of value that the key has: a port in quotation marks or
// an organization called 42 is a mistake more often than not.
func (d decoder) scalar(n *yaml.Node, v reflect.Value, f field, key string) {
	want, tag := wanted(v.Type())
	if len(f.enum) > 0 {
		want = oneOf(f.enum)
	}
	if !d.plain(n, yaml.ScalarNode, want, key) {
		return
	}
	// 0 is the one duration that needs no unit.
	if n.Tag != tag && (v.Type() != durationType || n.Value != "0") {
		hint := ""
		switch {
		case v.Type() == durationType:
			hint = "; write a unit, for example 90d, 12h30m or 500ms"
		case n.Tag == "!!null", len(f.enum) > 0: // the words say it all
		case v.Type() == rateType:
			hint = "; write a number and a time, for example 300/3h, or off"
		case strings.HasSuffix(f.key, "listen"):
			hint = "; write an address and a port, for example 127.0.0.1:14000"
		case tag == "!!str":
			hint = "; put it in quotation marks"
		case n.Tag == "!!str":
			hint = "; leave out the quotation marks"
			if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0 {
				hint = ""
			}
		}
		d.at(where(n), key, "must be %s, not %s%s", want, called(n), hint)
		return
	}
	if err := parseScalar(v, f, n.Value); err != nil {
		d.at(where(n), key, "%v", err)
	}
}

func wanted(t reflect.Type) (words, tag string) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == durationType:
		return "a duration", "!!str"
	case t == rateType:
		return "a rate", "!!str"
	case t.Kind() == reflect.Int:
		return "a whole number", "!!int"
	case t.Kind() == reflect.Bool:
		return "true or false", "!!bool"
	default:
		return "text", "!!str"
	}
}

// suggestKey looks for what was meant among the keys of the section, then for
// the same key elsewhere.
func suggestKey(got, prefix string, known []setting) string {
	var words []string
	for _, s := range known {
		if !s.secret {
			words = append(words, s.key)
		}
	}
	if s := suggest(got, words); s != "" {
		return s
	}
	var elsewhere []string
	eachKey(reflect.TypeFor[Config](), "", func(key string, _ field) {
		if strings.HasSuffix(key, "."+got) && key != join(prefix, got) {
			elsewhere = append(elsewhere, key)
		}
	})
	if len(elsewhere) > 0 {
		return "; did you mean " + elsewhere[0] + "?"
	}
	return ""
}

// eachKey calls visit for every key there can be, sections and tables before
// what is in them; the name of an entry is written NAME.
func eachKey(t reflect.Type, prefix string, visit func(key string, f field)) {
	fields, variants := describe(t)
	for _, f := range fields {
		key := join(prefix, f.key)
		visit(key, f)
		switch {
		case isSection(f.typ):
			eachKey(f.typ, key, visit)
		case isTable(f.typ):
			eachKey(f.typ.Elem(), join(key, "NAME"), visit)
		}
	}
	for _, a := range variants {
		eachKey(a.typ, prefix, visit)
	}
}
