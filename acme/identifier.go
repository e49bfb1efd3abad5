package acme

// IdentifierType is the kind of thing a certificate names.
type IdentifierType string

// The identifier types of RFC 8555 and RFC 8738.
const (
	DNSIdentifier IdentifierType = "dns"
	IPIdentifier  IdentifierType = "ip"
)

// Identifier names what a certificate is for. Value is in normal form (lower
// case A-labels without a trailing dot, or a canonical address). Sent keeps
// the spelling of the client when it differs: lego compares the answer with
// what it asked for as exact strings (C-LG-3).
type Identifier struct {
	Type  IdentifierType `cbor:"1,keyasint,omitempty"`
	Value string         `cbor:"2,keyasint,omitempty"`
	Sent  string         `cbor:"3,keyasint,omitempty"`
}

// Wire returns the value as the client wrote it.
func (i Identifier) Wire() string {
	if i.Sent != "" {
		return i.Sent
	}
	return i.Value
}

// Same reports whether two identifiers name the same thing.
func (i Identifier) Same(other Identifier) bool {
	return i.Type == other.Type && i.Value == other.Value
}
