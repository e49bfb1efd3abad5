package acmetest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
)

// member is one name and value of a JSON object. Objects are kept as lists here,
// because some attacks are about order and repetition, which maps cannot hold.
type member struct {
	name  string
	value any
}

type object []member

// set replaces the value of a member or appends it.
func (o *object) set(name string, value any) {
	for i := range *o {
		if (*o)[i].name == name {
			(*o)[i].value = value
			return
		}
	}
	o.add(name, value)
}

// add appends a member, also one that is there already.
func (o *object) add(name string, value any) { *o = append(*o, member{name, value}) }

func (o *object) remove(name string) {
	kept := object{}
	for _, m := range *o {
		if m.name != name {
			kept = append(kept, m)
		}
	}
	*o = kept
}

func (o object) value(name string) any {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// MarshalJSON writes the members as listed.
func (o object) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			out.WriteByte(',')
		}
		name, err := json.Marshal(m.name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		out.Write(name)
		out.WriteByte(':')
		out.Write(value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// message is one signed request. Left alone it is a correct one; each hook bends
// the part it is named after, at the moment that part exists.
type message struct {
	url     string // where it is posted, and what its "url" header says
	key     *key
	kid     string // empty: "jwk" carries the key
	payload []byte // nil: POST-as-GET
	nonce   string // empty: a fresh one; then badNonce is answered by trying again
	once    bool   // never try again, also not with a nonce of the suite's choice

	header        func(*object)       // the protected header
	protectedText func(string) string // its base64url form, signed as changed
	payloadText   func(string) string // the payload's base64url form, signed as changed
	signature     func([]byte) []byte // the signature's octets
	signatureText func(string) string // their base64url form
	members       func(*object)       // the members of the flattened JWS
	body          func([]byte) []byte // the finished request body
	http          func(*http.Request) // the HTTP request around it
	signInput     func([]byte) []byte // what is signed instead of header.payload
}

// bent returns a copy changed by fn; cases start from a correct message.
func (m message) bent(fn func(*message)) message {
	fn(&m)
	return m
}

// protected is the header a correct client would send.
func (m message) protected(nonce string) object {
	h := object{{"alg", m.key.alg}}
	if m.kid != "" {
		h.add("kid", m.kid)
	} else {
		h.add("jwk", m.key.jwk)
	}
	if nonce != "" {
		h.add("nonce", nonce)
	}
	h.add("url", m.url)
	return h
}

// encode signs the message and returns the request body and, for reports, the
// protected header in the clear.
func (m message) encode(nonce string) (body []byte, header string, err error) {
	h := m.protected(nonce)
	if m.header != nil {
		m.header(&h)
	}
	clear, err := json.Marshal(h)
	if err != nil {
		return nil, "", fmt.Errorf("encode the protected header: %w", err)
	}
	protected, payload := b64(clear), b64(m.payload)
	if m.protectedText != nil {
		protected = m.protectedText(protected)
	}
	if m.payloadText != nil {
		payload = m.payloadText(payload)
	}
	input := []byte(protected + "." + payload)
	if m.signInput != nil {
		input = m.signInput(input)
	}
	octets := m.key.sign(input)
	if m.signature != nil {
		octets = m.signature(octets)
	}
	signature := b64(octets)
	if m.signatureText != nil {
		signature = m.signatureText(signature)
	}
	jws := object{{"protected", protected}, {"payload", payload}, {"signature", signature}}
	if m.members != nil {
		m.members(&jws)
	}
	body, err = json.Marshal(jws)
	if err != nil {
		return nil, "", fmt.Errorf("encode the JWS: %w", err)
	}
	if m.body != nil {
		body = m.body(body)
	}
	return body, string(clear), nil
}

// nested signs m without a nonce, for use as a payload: the inner JWS of a key
// change and the binding of an external account are made this way.
func (t *T) nested(m message) json.RawMessage {
	body, _, err := m.encode("")
	if err != nil {
		t.Fatalf("%v", err)
	}
	return body
}
