package sectigotest

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

// bend changes the answer to a request that was carried out.
func (ca *CA) bend(c *call, f Fault) {
	switch f.Kind {
	case "reset-after":
		c.status = 0
	case "status-after":
		ca.fail(c, f.Status, "%s", or(f.Message, http.StatusText(f.Status)))
		if f.RetryAfter != "" {
			c.header.Set("Retry-After", f.RetryAfter)
		}
	case "html":
		c.replace("text/html;charset=UTF-8", "<!DOCTYPE html><html><body><h1>Maintenance</h1><script>alert(1)</script></body></html>")
	case "empty":
		c.replace(jsonType, "")
	case "json-error":
		c.replace(jsonType, `{"status":500,"message":"Internal error","errorCode":-1,"timestamp":0}`)
	case "invalid-json":
		if n := c.answer.Len(); n > 2 {
			c.answer.Truncate(n / 2)
		}
	case "string-numbers":
		c.stringNumbers()
	case "text-plain":
		c.header.Set("Content-Type", "text/plain; charset=ISO-8859-1")
	case "json-charset":
		c.header.Set("Content-Type", `Application/JSON; Charset="utf-8"`)
	case "huge":
		c.replace(jsonType, `{"message":"`+strings.Repeat("A", 6<<20)+`"}`)
	case "disposition-absent":
		c.header.Del("Content-Disposition")
	case "disposition-hostile":
		c.header.Set("Content-Disposition", `attachment; filename="../../../../etc/cron.d/evil"`)
	case "disposition-quoted":
		c.header.Set("Content-Disposition", `attachment; filename="my batch; \"v2\".zip"`)
	}
}

func (c *call) replace(contentType, body string) {
	c.status = http.StatusOK
	c.header.Set("Content-Type", contentType)
	c.answer.Reset()
	c.answer.WriteString(body)
}

// stringNumbers writes every number of the answer as a string.
func (c *call) stringNumbers() {
	d := json.NewDecoder(bytes.NewReader(c.answer.Bytes()))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return
	}
	c.answer.Reset()
	_ = json.NewEncoder(&c.answer).Encode(quoteNumbers(v)) // into memory
}

func quoteNumbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		return v.String()
	case map[string]any:
		for name := range v {
			v[name] = quoteNumbers(v[name])
		}
	case []any:
		for i := range v {
			v[i] = quoteNumbers(v[i])
		}
	}
	return v
}
