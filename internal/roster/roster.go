// Package roster reads what the directory of a trust framework publishes of its
// members and their applications, as JSON-LD in its compact form: objects with
// @id and @type, in a list or in a @graph. It knows what it needs and passes over
// the rest.
package roster

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Member is an organization of the directory.
type Member struct {
	ID, Name, Country string
	Roles             []string
	Applications      []Application
}

// Application is one of a member.
type Application struct {
	URL, Name string
	Roles     []string
}

// Page is a part of the directory.
type Page struct {
	objects []object
	// Next is the URL of the next part; empty for the last one.
	Next string
}

// Read reads one part.
func Read(text []byte) (p Page, err error) {
	if err := json.Unmarshal(text, &p.objects); err == nil {
		return p, nil
	}
	var whole object
	if err := json.Unmarshal(text, &whole); err != nil {
		return p, fmt.Errorf("roster: it is no JSON: %w", err)
	}
	p.Next = whole.text("next")
	for _, key := range []string{"@graph", "graph", "items", "member", "members"} {
		raw, ok := whole.value(key)
		if !ok {
			continue
		}
		if err := json.Unmarshal(raw, &p.objects); err != nil {
			return p, fmt.Errorf("roster: %s is no list of objects: %w", key, err)
		}
		return p, nil
	}
	if whole.id() != "" {
		p.objects = []object{whole}
		return p, nil
	}
	return p, errors.New("roster: there is neither a list of objects nor a @graph in it")
}

// Members puts the parts together. An application of a member that is in none of
// them is an error: half a directory would take from members what they have.
func Members(pages ...Page) ([]Member, error) {
	at := map[string]int{}
	var all []Member
	for _, p := range pages {
		for _, o := range p.objects {
			if !o.is("Organization") && !o.is("Member") {
				continue
			}
			m := Member{ID: o.id(), Name: o.text("legalName"), Country: o.country(), Roles: o.references("role")}
			if m.Name == "" {
				m.Name = o.text("name")
			}
			if m.ID == "" {
				return nil, errors.New("roster: there is a member without an @id")
			}
			if _, twice := at[m.ID]; twice {
				return nil, fmt.Errorf("roster: member %s is there twice", m.ID)
			}
			at[m.ID] = len(all)
			m.Applications = []Application{}
			all = append(all, m)
		}
	}
	for _, p := range pages {
		for _, o := range p.objects {
			if !o.is("Application") {
				continue
			}
			publisher := o.references("publisher")
			if o.id() == "" || len(publisher) != 1 {
				return nil, fmt.Errorf("roster: application %q has %d publishers, or no @id", o.id(), len(publisher))
			}
			i, known := at[publisher[0]]
			if !known {
				return nil, fmt.Errorf("roster: application %s is of %s, which is not there", o.id(), publisher[0])
			}
			a := Application{URL: o.id(), Name: o.text("title"), Roles: o.references("role")}
			if a.Name == "" {
				a.Name = o.text("name")
			}
			all[i].Applications = append(all[i].Applications, a)
		}
	}
	return all, nil
}

// object is one with its keys as they are written: with a prefix, or without.
type object map[string]json.RawMessage

func (o object) value(name string) (json.RawMessage, bool) {
	if v, ok := o[name]; ok {
		return v, true
	}
	for key, v := range o {
		if bare(key) == name {
			return v, true
		}
	}
	return nil, false
}

// bare is a name without the prefix or the namespace before it.
func bare(name string) string {
	if i := strings.LastIndexAny(name, ":/#"); i >= 0 {
		return name[i+1:]
	}
	return name
}

func (o object) id() string {
	if id := o.text("@id"); id != "" {
		return id
	}
	return o.text("id")
}

func (o object) is(kind string) bool {
	for _, key := range []string{"@type", "type"} {
		raw, _ := o.value(key)
		for _, t := range references(raw) {
			if bare(t) == kind {
				return true
			}
		}
	}
	return false
}

func (o object) text(name string) string {
	raw, _ := o.value(name)
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var v struct {
		Value string `json:"@value"`
		ID    string `json:"@id"`
	}
	_ = json.Unmarshal(raw, &v) // anything else is no text
	return v.Value + v.ID
}

func (o object) country() string {
	raw, _ := o.value("address")
	var address object
	if json.Unmarshal(raw, &address) != nil {
		return o.text("country")
	}
	for _, key := range []string{"addressCountry", "country"} {
		if c := address.text(key); c != "" {
			return c
		}
	}
	return ""
}

// references never returns nil: what a directory lists is all that there is.
func (o object) references(name string) []string {
	raw, _ := o.value(name)
	return references(raw)
}

// references reads one text or object with an @id, or a list of them.
func references(raw json.RawMessage) []string {
	all := []string{}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		list = []json.RawMessage{raw}
	}
	for _, r := range list {
		if s := (object{"x": r}).text("x"); s != "" {
			all = append(all, s)
		}
	}
	return all
}
