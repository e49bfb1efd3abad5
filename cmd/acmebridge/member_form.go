package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"

	"acmebridge/cmd/acmebridge/config"
)

// memberKeys returns those of an entry, with the kind of value that each has.
func memberKeys() map[string]yaml.Kind {
	return map[string]yaml.Kind{
		"id": yaml.ScalarNode, "name": yaml.ScalarNode, "identifiers": yaml.SequenceNode, "profiles": yaml.SequenceNode,
		"attributes": yaml.MappingNode, "open_orders": yaml.ScalarNode, "certificates": yaml.ScalarNode,
		"country": yaml.ScalarNode, "roles": yaml.SequenceNode, "applications": yaml.SequenceNode,
	}
}

// listForm is what the entries of a list look like. first is the key that each
// begins with, and names a member.
type listForm struct {
	keys  map[string]yaml.Kind
	first string
}

func memberForm() listForm { return listForm{memberKeys(), "id"} }

// check says what is wrong with the form of a list in the words of whoever writes
// one; the library speaks of types of ours.
func (f listForm) check(root *yaml.Node) error {
	list := root
	if root.Kind == yaml.DocumentNode && len(root.Content) == 1 {
		list = root.Content[0]
	}
	begin := fmt.Sprintf("begin each member with \"- %s:\"", f.first)
	if list.Kind != yaml.SequenceNode {
		return fmt.Errorf("line %d: it must be a list; %s, and put nothing above the first", list.Line, begin)
	}
	return f.checkEntries(list, begin)
}

func (f listForm) checkEntries(list *yaml.Node, begin string) error {
	for _, m := range list.Content {
		if m.Kind != yaml.MappingNode {
			return fmt.Errorf("line %d: %s", m.Line, begin)
		}
		if err := f.checkEntry(m); err != nil {
			return err
		}
	}
	return nil
}

func (f listForm) checkEntry(m *yaml.Node) error {
	for i := 0; i+1 < len(m.Content); i += 2 {
		key, value := m.Content[i], m.Content[i+1]
		kind, known := f.keys[key.Value]
		switch {
		case !known:
			return fmt.Errorf("line %d: unknown key %s%s", key.Line, show(key.Value), config.Suggest(key.Value, slices.Sorted(maps.Keys(f.keys))))
		case value.Tag == "!!null" || value.Kind == kind:
		case kind == yaml.SequenceNode:
			return fmt.Errorf("line %d: %s wants a list, for example [a, b]", value.Line, key.Value)
		case kind == yaml.MappingNode:
			return fmt.Errorf("line %d: %s wants names with values, for example {class: exchange}", value.Line, key.Value)
		default:
			return fmt.Errorf("line %d: %s wants a single value", value.Line, key.Value)
		}
		switch key.Value {
		case "applications":
			inner := listForm{applicationKeys(), "url"}
			delete(inner.keys, "member")
			if err := inner.checkEntries(value, "begin each application with \"- url:\""); err != nil {
				return err
			}
		case f.first:
			if err := checkMemberID(value.Value); err != nil {
				return fmt.Errorf("line %d: %w", value.Line, err)
			}
		}
	}
	return nil
}

// checkMemberID refuses ids that look like two in a list or in a log.
func checkMemberID(id string) error {
	if strings.ContainsFunc(id, unicode.IsSpace) {
		return fmt.Errorf("the id %q of a member has a blank in it; write for example vasp-17 or DEV/GOV/1234", id)
	}
	return nil
}
