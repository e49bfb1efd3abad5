package verify

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// The bounds of a record. Each signature costs a path and two look-ups.
const (
	recordBytes      = 8 << 20
	recordDepth      = 64
	recordSignatures = 1000
)

// container is a signed list: steps and further containers, and one signature
// over all of them.
type container struct {
	elements []element
	serial   string
	at       time.Time
	time     string // as it was signed
	encoded  string // the signature, base64url
}

// element is a step or a container.
type element struct {
	step  string // base64url, as it was signed
	inner *container
}

// parsed is a record of which nothing was verified.
type parsed struct {
	origins      []string
	steps        *container
	certificates map[string][]string
}

// reader reads one record.
type reader struct{ signatures int }

// parseRecord reads a record as far as it can be read without certificates. A
// field is known by its exact name: a reader that folds case would see another
// record than one that does not.
func parseRecord(text []byte, framework string) (*parsed, error) {
	if len(text) > recordBytes {
		return nil, RecordMalformed.becausef("it has more than %d bytes", recordBytes)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, RecordMalformed.becausef("%w", err)
	}
	if err := namedOnce(text, "ib1:provenance", "steps", "origins", "certificates"); err != nil {
		return nil, RecordMalformed.becausef("%w", err)
	}
	var named string
	if err := json.Unmarshal(fields["ib1:provenance"], &named); err != nil || named != framework {
		return nil, TrustFrameworkMismatch.becausef("the record is of %q and not of %q", named, framework)
	}
	p := &parsed{}
	var r reader
	var err error
	if p.steps, err = r.container(fields["steps"], 0); err != nil {
		return nil, err
	}
	if raw, ok := fields["certificates"]; ok {
		if err := json.Unmarshal(raw, &p.certificates); err != nil {
			return nil, RecordMalformed.becausef("certificates: %w", err)
		}
	}
	if err := json.Unmarshal(fields["origins"], &p.origins); err != nil {
		return nil, RecordMalformed.becausef("origins: %w", err)
	}
	return p, nil
}

// namedOnce wants each name of a JSON object once, and those given in no other
// case besides: of two values one reader takes the first, another the last, and a
// third does not tell capitals from small letters.
func namedOnce(object []byte, known ...string) error {
	d := json.NewDecoder(bytes.NewReader(object))
	if begin, err := d.Token(); err != nil || begin != json.Delim('{') {
		return errors.New("it is not a JSON object")
	}
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		name, _ := token.(string)
		if i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, name) }); i >= 0 {
			name = known[i]
		}
		if seen[name] {
			return fmt.Errorf("the name %.60q is there twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) container(raw json.RawMessage, depth int) (*container, error) {
	if r.signatures++; depth > recordDepth || r.signatures > recordSignatures {
		return nil, RecordMalformed.becausef("it has more than %d signatures or is nested deeper than %d", recordSignatures, recordDepth)
	}
	var elements []json.RawMessage
	if err := json.Unmarshal(raw, &elements); err != nil {
		return nil, RecordMalformed.becausef("steps are not a list: %w", err)
	}
	if len(elements) < 2 {
		return nil, RecordMalformed.becausef("a list has no step or no signature")
	}
	last := len(elements) - 1
	c := &container{}
	if err := c.readSignature(elements[last]); err != nil {
		return nil, err
	}
	for _, e := range elements[:last] {
		if bytes.HasPrefix(bytes.TrimSpace(e), []byte("[")) {
			inner, err := r.container(e, depth+1)
			if err != nil {
				return nil, err
			}
			c.elements = append(c.elements, element{inner: inner})
			continue
		}
		var step string
		if err := json.Unmarshal(e, &step); err != nil || step == "" || !strictBase64(step) {
			return nil, RecordMalformed.becausef("a step is not base64url with padding")
		}
		c.elements = append(c.elements, element{step: step})
	}
	return c, nil
}

// readSignature reads [0, "serial", "time", "signature"]. All of it goes into
// the string that an outer signature is over, where parts are only separated by
// dots; so none of them may contain one, or be written in two ways.
func (c *container) readSignature(raw json.RawMessage) error {
	const parts = 4
	var fields []json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil || len(fields) == 0 {
		return RecordMalformed.becausef("a list does not end with its signature")
	}
	if version := string(bytes.TrimSpace(fields[0])); version != "0" {
		return ContainerVersion.becausef("the version is %.20s, and 0 is known", version)
	}
	if len(fields) != parts {
		return RecordMalformed.becausef("a signature has %d parts", len(fields))
	}
	for i, to := range []*string{&c.serial, &c.time, &c.encoded} {
		if err := json.Unmarshal(fields[i+1], to); err != nil {
			return []Failure{SerialMalformed, SignTimeMalformed, SignatureEncoding}[i].becausef("%w", err)
		}
	}
	if !canonicalSerial(c.serial) {
		return SerialMalformed.becausef("%.60q is not a decimal number without leading zeros", c.serial)
	}
	const layout = "2006-01-02T15:04:05Z"
	at, err := time.Parse(layout, c.time)
	if err != nil || at.Format(layout) != c.time {
		return SignTimeMalformed.becausef("%.60q is not like %s", c.time, layout)
	}
	c.at = at
	if !strictBase64(c.encoded) {
		return SignatureEncoding.becausef("the signature is not base64url with padding")
	}
	return nil
}

func canonicalSerial(s string) bool {
	const most = 49 // digits of 2^159, and one more
	if s == "" || len(s) > most || s[0] == '0' {
		return false
	}
	return !slices.ContainsFunc([]byte(s), func(b byte) bool { return b < '0' || b > '9' })
}

func strictBase64(s string) bool {
	// The decoder skips line ends, which would be a second way to write the same.
	_, err := base64.URLEncoding.Strict().DecodeString(s)
	return err == nil && !strings.ContainsAny(s, "\r\n")
}

// text is what an outer signature says about c: its elements and its signature.
func (c *container) text() string {
	return c.content() + ".%.0." + c.serial + "." + c.time + "." + c.encoded + ".&"
}

func (c *container) content() string {
	parts := make([]string, len(c.elements))
	for i, e := range c.elements {
		if parts[i] = e.step; e.inner != nil {
			parts[i] = "%." + e.inner.text() + ".&"
		}
	}
	return strings.Join(parts, ".")
}

// signed is the string that the signature of c is over.
func (c *container) signed(framework string) string {
	return framework + "." + c.content() + ".0." + c.serial + "." + c.time
}

// certificate reads the certificate of a serial out of the record, or nil.
func (p *parsed) certificate(serial string, missing Failure) (*x509.Certificate, error) {
	entry, ok := p.certificates[serial]
	if !ok || len(entry) == 0 {
		return nil, nil
	}
	all, err := ParsePEM([]byte(entry[0]))
	if err != nil || len(all) != 1 {
		return nil, missing.becausef("what the record has for serial %s is not one certificate in PEM", serial)
	}
	if all[0].SerialNumber.String() != serial {
		return nil, SerialMismatch.becausef("the certificate for serial %s has serial %s", serial, all[0].SerialNumber)
	}
	return all[0], nil
}
