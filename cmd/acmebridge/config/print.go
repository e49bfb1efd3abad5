package config

import (
	"fmt"
	"io"
	"reflect"

	"go.yaml.in/yaml/v4"
)

// Print writes the effective configuration: every setting with the value that
// counts, defaults included. Reading it back gives the same configuration,
// but for secrets, which are replaced by a comment.
func (c *Config) Print(w io.Writer) error {
	out, err := yaml.Dump(sectionNode(reflect.ValueOf(c).Elem(), ""), yaml.WithIndent(2), yaml.WithLineWidth(-1))
	if err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	if _, err := w.Write(out); err != nil {
		return fmt.Errorf("print the configuration: %w", err)
	}
	return nil
}

func sectionNode(v reflect.Value, prefix string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, s := range settings(v) {
		key := join(prefix, s.key)
		if s.secret {
			// The first key of a section always exists: it is the type.
			n.Content[len(n.Content)-2].HeadComment += secretComment(s, key)
			continue
		}
		n.Content = append(n.Content, textNode(s.key), settingNode(s.value, key))
	}
	return n
}

func secretComment(s setting, key string) string {
	if s.value.IsZero() {
		return ""
	}
	return fmt.Sprintf("# %s: [redacted], from %s", s.key, variable(key))
}

func settingNode(v reflect.Value, key string) *yaml.Node {
	switch {
	case isSection(v.Type()):
		return sectionNode(v, key)
	case isTable(v.Type()):
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for _, name := range sortedNames(v) {
			n.Content = append(n.Content, textNode(name), settingNode(v.MapIndex(reflect.ValueOf(name)), join(key, name)))
		}
		return n
	case isList(v.Type()):
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
		for _, item := range format(v) {
			n.Content = append(n.Content, textNode(item))
		}
		return n
	}
	_, tag := wanted(v.Type())
	if tag == "!!str" {
		return textNode(format(v)[0])
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: format(v)[0]}
}

// textNode is text whatever it looks like: the writer puts it in quotation
// marks where a reader would take it for a number or a word of YAML.
func textNode(text string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(text)
	return n
}
