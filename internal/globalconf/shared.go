package globalconf

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Shared are the shared parameters of an instance, as far as they say who may
// have certificates.
type Shared struct {
	Instance string
	Members  []Member
	// Refused are members whose identifier cannot be written as
	// INSTANCE:CLASS:CODE, because a part of it has a colon or slash.
	Refused []Member
}

// Member is a registered member.
type Member struct {
	Class, Code, Name string
	Servers           []Server
}

// Server is a Security Server that a member owns, or is a client of.
type Server struct {
	// Code is unique among the servers of their owner.
	Code string
	// Address is where other servers reach it, usually a DNS name. It may be
	// empty.
	Address string
	Owned   bool
}

// The wire form. Elements of later versions that are not listed are left out.
type sharedXML struct {
	XMLName  xml.Name    `xml:"conf"`
	Instance string      `xml:"instanceIdentifier"`
	Members  []memberXML `xml:"member"`
	Servers  []serverXML `xml:"securityServer"`
}

type memberXML struct {
	ID         string `xml:"id,attr"`
	Class      string `xml:"memberClass>code"`
	Code       string `xml:"memberCode"`
	Name       string `xml:"name"`
	Subsystems []struct {
		ID string `xml:"id,attr"`
	} `xml:"subsystem"`
}

type serverXML struct {
	Owner   string   `xml:"owner"`
	Code    string   `xml:"serverCode"`
	Address string   `xml:"address"`
	Clients []string `xml:"client"`
}

// ParseShared reads a shared-params.xml. It is for files that came on a trusted
// way: nothing in the file itself says who wrote it.
func ParseShared(text []byte) (Shared, error) {
	var in sharedXML
	if err := decode(text, &in); err != nil {
		return Shared{}, fmt.Errorf("the shared parameters cannot be read: %w", err)
	}
	in.Instance = strings.TrimSpace(in.Instance)
	if in.Instance == "" {
		return Shared{}, errors.New("the shared parameters name no instance; is this another file?")
	}
	if strings.ContainsAny(in.Instance, separators) {
		return Shared{}, fmt.Errorf("the instance %q has a colon or slash in its name, which separates the parts of an identifier", in.Instance)
	}
	out := Shared{Instance: in.Instance}
	byID := map[string]int{} // of members, and of their subsystems
	seen := map[[2]string]bool{}
	for i, m := range in.Members {
		member := Member{Class: strings.TrimSpace(m.Class), Code: strings.TrimSpace(m.Code), Name: strings.TrimSpace(m.Name)}
		switch {
		case member.Class == "" || member.Code == "":
			return Shared{}, fmt.Errorf("the %d. member has no class or no code", i+1)
		case seen[[2]string{member.Class, member.Code}]:
			return Shared{}, fmt.Errorf("member %s of class %s is there twice", member.Code, member.Class)
		}
		seen[[2]string{member.Class, member.Code}] = true
		out.Members = append(out.Members, member)
		ids := []string{m.ID}
		for _, s := range m.Subsystems {
			ids = append(ids, s.ID)
		}
		for _, id := range ids {
			if id == "" {
				continue
			}
			if _, twice := byID[id]; twice {
				return Shared{}, fmt.Errorf("the XML id %q is there twice", id)
			}
			byID[id] = i
		}
	}
	for _, s := range in.Servers {
		owner, ok := byID[strings.TrimSpace(s.Owner)]
		if !ok {
			return Shared{}, fmt.Errorf("server %s belongs to %q, which is no member", s.Code, s.Owner)
		}
		server := Server{Code: strings.TrimSpace(s.Code), Address: strings.TrimSpace(s.Address), Owned: true}
		out.Members[owner].Servers = append(out.Members[owner].Servers, server)
		server.Owned = false
		clients := map[int]bool{owner: true}
		for _, c := range s.Clients {
			client, ok := byID[strings.TrimSpace(c)]
			if !ok {
				return Shared{}, fmt.Errorf("%q is a client of server %s, and no member or subsystem", c, s.Code)
			}
			if !clients[client] {
				clients[client] = true
				out.Members[client].Servers = append(out.Members[client].Servers, server)
			}
		}
	}
	all := out.Members
	out.Members = nil
	for _, m := range all {
		if strings.ContainsAny(m.Class+m.Code, separators) {
			out.Refused = append(out.Refused, m)
		} else {
			out.Members = append(out.Members, m)
		}
	}
	return out, nil
}

// separators are between the parts of an identifier, as people write it.
const separators = ":/"

// decode reads one document, and wants nothing after it.
func decode(text []byte, into any) error {
	d := xml.NewDecoder(bytes.NewReader(text))
	d.CharsetReader = func(charset string, _ io.Reader) (io.Reader, error) {
		return nil, fmt.Errorf("it is written in %s, and X-Road writes UTF-8", charset)
	}
	if err := d.Decode(into); err != nil {
		return err
	}
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if text, ok := t.(xml.CharData); ok && len(bytes.TrimSpace(text)) == 0 {
			continue
		}
		if _, ok := t.(xml.Comment); ok {
			continue
		}
		return errors.New("something follows the document")
	}
}
