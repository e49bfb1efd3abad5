package main

import (
	"fmt"
	"slices"
	"strings"

	"acmebridge/acme"
	"acmebridge/internal/admin"
	"acmebridge/internal/globalconf"
)

// xroadContent is the record of a member: what the configuration says, and what
// people said before that it knows nothing of.
func xroadContent(id string, m globalconf.Member, before admin.MemberContent) admin.MemberContent {
	content := before
	content.ID, content.Name = id, forPeople(m.Name)
	content.Attributes = map[string]string{}
	for key, value := range before.Attributes {
		if !strings.HasPrefix(key, xroadServer) {
			content.Attributes[key] = value
		}
	}
	content.Identifiers = nil
	for _, name := range before.Identifiers {
		if _, imported := before.Attributes[xroadServer+name]; !imported {
			content.Identifiers = append(content.Identifiers, name)
		}
	}
	for _, s := range m.Servers {
		name, ok := serverName(s)
		if !ok {
			continue
		}
		if _, given := content.Attributes[xroadServer+name]; !given && slices.Contains(content.Identifiers, name) {
			continue // by a person, before the server was registered
		}
		role := "client of " + s.Code
		if s.Owned {
			role = "owner of " + s.Code
		}
		content.Attributes[xroadServer+name] = forPeople(role)
		if !slices.Contains(content.Identifiers, name) {
			content.Identifiers = append(content.Identifiers, name)
		}
	}
	if len(content.Attributes) == 0 {
		content.Attributes = nil
	}
	slices.Sort(content.Identifiers)
	return content
}

// serverName returns the name of a server that a certificate can be for, if it
// has one.
func serverName(s globalconf.Server) (string, bool) {
	name := strings.ToLower(s.Address)
	return name, name != "" && !strings.HasPrefix(name, ".") && !strings.Contains(name, "*") && acme.CheckIdentifierPattern(name) == nil
}

// unusable are the addresses of a member's servers that no certificate can be for.
func unusable(m globalconf.Member) (skipped []string) {
	for _, s := range m.Servers {
		if _, ok := serverName(s); !ok && s.Address != "" {
			skipped = append(skipped, fmt.Sprintf("%s of server %s", s.Address, s.Code))
		}
	}
	return skipped
}

// forPeople shortens a text that nothing depends on to what the registry takes.
func forPeople(text string) string {
	const longest = 250
	if len(text) <= longest {
		return text
	}
	return strings.ToValidUTF8(text[:longest], "") + "…"
}
