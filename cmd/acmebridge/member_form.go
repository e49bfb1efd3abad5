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
	}
}

// checkMembers says what is wrong with the form of a list in the words of
// whoever writes one; the library speaks of types of ours.
func checkMembers(root *yaml.Node) error {
	list := root
	if root.Kind == yaml.DocumentNode && len(root.Content) == 1 {
		list = root.Content[0]
	}
	if list.Kind != yaml.SequenceNode {
		return fmt.Errorf("line %d: it must be a list; begin each member with \"- id:\", and put nothing above the first", list.Line)
	}
	for _, m := range list.Content {
		if m.Kind != yaml.MappingNode {
			return fmt.Errorf("line %d: begin each member with \"- id:\"", m.Line)
		}
		if err := checkMemberForm(m); err != nil {
			return err
		}
	}
	return nil
}

func checkMemberForm(m *yaml.Node) error {
	keys := memberKeys()
	for i := 0; i+1 < len(m.Content); i += 2 {
		key, value := m.Content[i], m.Content[i+1]
		kind, known := keys[key.Value]
		switch {
		case !known:
			return fmt.Errorf("line %d: unknown key %s%s", key.Line, show(key.Value), config.Suggest(key.Value, slices.Sorted(maps.Keys(keys))))
		case value.Tag == "!!null" || value.Kind == kind:
		case kind == yaml.SequenceNode:
			return fmt.Errorf("line %d: %s wants a list, for example [a, b]", value.Line, key.Value)
		case kind == yaml.MappingNode:
			return fmt.Errorf("line %d: %s wants names with values, for example {class: exchange}", value.Line, key.Value)
		default:
			return fmt.Errorf("line %d: %s wants a single value", value.Line, key.Value)
		}
		if key.Value != "id" {
			continue
		}
		if err := checkMemberID(value.Value); err != nil {
			return fmt.Errorf("line %d: %w", value.Line, err)
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
