package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Documentation is docs/config.md, made of the same tags as everything else.
func Documentation() []byte {
	var b strings.Builder
	b.WriteString(documentationHead)
	section(&b, reflect.TypeFor[Config](), "", "Top level", "")
	return []byte(b.String())
}

const documentationHead = `<!-- Made by "go generate ./cmd/acmebridge/config"; edit the tags in that package instead. -->

# Configuration

` + "`acmebridge serve --config FILE`" + ` reads one YAML file. Every key may be left out; a key without a value counts as left out.

- An unknown key, a key given twice, a value of the wrong kind or a name that nothing defines is an error with file, line and column.
  What is wrong with the file by itself is shown together; what does not fit together comes once each value is in order.
- ` + "`acmebridge config check FILE`" + ` shows the same without starting anything, and looks at the files that it names. ` + "`acmebridge config init FILE`" + ` writes one to start from.
- Durations have units: ` + "`90d`, `12h30m`, `500ms`" + `. Anchors, aliases and tags of YAML are not accepted.
- Every value can also come from the environment, which is stronger than the file. The name is ` + "`ACMEBRIDGE_`" + ` and the full key in capitals,
  with ` + "`_` for `.` and `-`: `ACMEBRIDGE_VALIDATION_HTTP_PORT`, `ACMEBRIDGE_DIRECTORIES_DEFAULT_EXTERNAL_ACCOUNT`" + `. Lists are separated by commas.
  Entries of ` + "`directories`, `profiles` and `backends`" + ` can be changed that way, not added. An unknown variable with this prefix is an error.
  ` + "`ACMEBRIDGE_CONFIG`" + ` names the file.
- Relative paths of files and folders begin at the working directory of the program, wherever the configuration is. Under a supervisor write absolute ones.
- Secrets are never written into the file: name a file that holds them, or use the environment.
- ` + "`directories`, `profiles` and `backends`" + ` have one entry each when they are left out: ` + "`default`, `tls` and `local`" + `. A table in the file replaces the standard one.
- Without any file, validation uses ` + "`http_port: 5002`, `tls_alpn_port: 5001` and `allow: [127.0.0.0/8, ::1/128]`, and `limits.validations_per_target` is 64" + `, so that a first try works on one machine.
  A file does not inherit this.
- Editors that know JSON Schema can use the output of ` + "`acmebridge config schema`" + `; ` + "`acmebridge config print`" + ` shows what counts in the end.
`

func section(b *strings.Builder, t reflect.Type, prefix, title, doc string) {
	fields, variants := describe(t)
	fmt.Fprintf(b, "\n## %s\n\n", title)
	if doc != "" {
		b.WriteString(doc + "\n\n")
	}
	rows(b, fields)
	for _, v := range variants {
		own, _ := describe(v.typ)
		fmt.Fprintf(b, "\nWith `type: %s`:\n\n", v.when)
		rows(b, own)
	}
	for _, f := range fields {
		key := join(prefix, f.key)
		switch {
		case isSection(f.typ):
			section(b, f.typ, key, "`"+key+"`", f.doc)
		case isTable(f.typ):
			key = join(key, "NAME")
			section(b, f.typ.Elem(), key, "`"+key+"`", f.doc)
		}
	}
	for _, v := range variants {
		own, _ := describe(v.typ)
		for _, f := range own {
			if key := join(prefix, f.key); isSection(f.typ) {
				section(b, f.typ, key, "`"+key+"` with `type: "+v.when+"`", f.doc)
			}
		}
	}
}

func rows(b *strings.Builder, fields []field) {
	b.WriteString("| Key | Value | Default | Meaning |\n|---|---|---|---|\n")
	for _, f := range fields {
		name := "`" + f.key + "`"
		if f.secret {
			name += " (environment only)"
		}
		doc := strings.NewReplacer("|", "\\|", "<", "&lt;", ">", "&gt;", "*", "\\*", "_", "\\_").Replace(f.doc)
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", name, valueKind(f), fallbackOf(f), doc)
	}
}

func valueKind(f field) string {
	t, kind := f.typ, ""
	switch {
	case isSection(t):
		return "section"
	case isTable(t):
		return "section for each name"
	case isList(t):
		t, kind = t.Elem(), "list of "
	}
	words, _ := wanted(t)
	if len(f.enum) > 0 {
		words = "`" + strings.Join(f.enum, "`, `") + "`"
	}
	kind += words
	if f.min != "" || f.max != "" {
		kind += fmt.Sprintf(", %s to %s", f.min, f.max)
	}
	return kind
}

func fallbackOf(f field) string {
	switch {
	case isSection(f.typ), isTable(f.typ), !f.given:
		return ""
	case isList(f.typ):
		return "`[" + strings.ReplaceAll(f.fallback, ",", ", ") + "]`"
	default:
		return "`" + f.fallback + "`"
	}
}
