package sectigo

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Parameters are what a batch was made with, as the CA shows it, in a shape that
// it does not fix. The password of a key store may be among them, so whatever
// has the name of a secret is left out when they are printed (SK-1).
type Parameters Any

// UnmarshalJSON implements json.Unmarshaler.
func (p *Parameters) UnmarshalJSON(raw []byte) error { return (*Any)(p).UnmarshalJSON(raw) }

// MarshalJSON writes them as they came, but for secrets.
func (p Parameters) MarshalJSON() ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(p))
	d.UseNumber() // a float would not be the number that was written
	var v any
	if len(p) == 0 || d.Decode(&v) != nil {
		return Any(nil).MarshalJSON()
	}
	if v, found := withoutSecrets(v); found {
		return json.Marshal(v)
	}
	return Any(p).MarshalJSON()
}

const redacted = "[redacted]"

// withoutSecrets replaces secrets: values by the name before them, values beside
// their name, and either of them in a text that is JSON itself.
func withoutSecrets(v any) (clean any, found bool) {
	switch v := v.(type) {
	case map[string]any:
		named := false
		for _, key := range []string{"name", "key", "id", "parameter"} {
			name, _ := v[key].(string)
			named = named || namesSecret(name)
		}
		for key, value := range v {
			if namesSecret(key) || named && strings.EqualFold(key, "value") {
				v[key], found = redacted, true
				continue
			}
			inner, more := withoutSecrets(value)
			v[key], found = inner, found || more
		}
	case []any:
		for i, value := range v {
			inner, more := withoutSecrets(value)
			v[i], found = inner, found || more
		}
	case string:
		var inner any
		if !looksLikeJSON([]byte(v)) || json.Unmarshal([]byte(v), &inner) != nil {
			return v, false
		}
		if inner, found = withoutSecrets(inner); !found {
			return v, false
		}
		text, err := json.Marshal(inner)
		if err != nil {
			return redacted, true
		}
		return string(text), true
	}
	return v, found
}

func namesSecret(name string) bool {
	name = squeeze(name)
	for _, word := range []string{"password", "passphrase", "secret", "token"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
