package digicerttest

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"strings"
)

// draw picks the fault of a request, the first that fits, and uses it up.
func (ca *CA) draw(name string) Fault {
	for i, f := range ca.faults {
		if f.Endpoint != "" && f.Endpoint != name {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			continue
		}
		if f.Probability > 0 && ca.chance() >= f.Probability {
			continue
		}
		found := *f
		if f.Count == 1 {
			ca.faults = append(ca.faults[:i:i], ca.faults[i+1:]...)
		} else if f.Count > 1 {
			f.Count--
		}
		return found
	}
	return Fault{}
}

// chance is a number from 0 to 1 that is the same for the same seed and turn.
func (ca *CA) chance() float64 {
	ca.draws++
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, ca.cfg.Seed), ca.draws))
	return float64(binary.BigEndian.Uint64(sum[:])>>11) / (1 << 53)
}

const page = "<!DOCTYPE html><html><body><h1>Maintenance</h1><script>alert(1)</script></body></html>"

// bend changes the answer to a request that was carried out.
func (ca *CA) bend(c *call, f Fault) {
	switch f.Kind {
	case "reset-after":
		c.status = 0
	case "status-after":
		c.fail(f.Status, or(f.Code, "fault"), http.StatusText(f.Status))
		c.retryAfter(f)
	case "html":
		c.replace(http.StatusOK, "text/html;charset=UTF-8", page)
	case "html-502":
		c.replace(http.StatusBadGateway, "text/html;charset=UTF-8", page)
	case "empty":
		c.replace(c.status, jsonType, "")
	case "invalid-json":
		if n := c.answer.Len(); n > 2 {
			c.answer.Truncate(n / 2)
		}
	case "string-numbers":
		c.rewrite(numbersAsStrings)
	case "array-organization":
		c.rewrite(organizationsAsLists)
	case "huge":
		c.replace(http.StatusOK, jsonType, `{"comment":"`+strings.Repeat("A", 6<<20)+`"}`)
	}
}

func (c *call) retryAfter(f Fault) {
	if f.RetryAfter != "" {
		c.header.Set("Retry-After", f.RetryAfter)
	}
}

func (c *call) replace(status int, contentType, body string) {
	c.status = status
	c.header.Set("Content-Type", contentType)
	c.answer.Reset()
	c.answer.WriteString(body)
}

// rewrite changes the values of a JSON answer.
func (c *call) rewrite(change func(name string, v any) any) {
	d := json.NewDecoder(bytes.NewReader(c.answer.Bytes()))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return
	}
	c.answer.Reset()
	_ = json.NewEncoder(&c.answer).Encode(walk("", v, change)) // into memory
}

func walk(name string, v any, change func(string, any) any) any {
	switch v := v.(type) {
	case map[string]any:
		for key := range v {
			v[key] = walk(key, v[key], change)
		}
	case []any:
		for i := range v {
			v[i] = walk("", v[i], change)
		}
	}
	return change(name, v)
}

func numbersAsStrings(_ string, v any) any {
	if n, ok := v.(json.Number); ok {
		return n.String()
	}
	return v
}

func organizationsAsLists(name string, v any) any {
	if name == "organization" {
		return []any{}
	}
	return v
}
