package digicerttest

import (
	"bytes"
	"encoding/json"

	"acmebridge/internal/standin"
)

// bend changes the answer to a request that was carried out.
func bend(c *standin.Call, f Fault) {
	switch f.Kind {
	case "string-numbers":
		rewrite(c, numbersAsStrings)
	case "array-organization":
		rewrite(c, organizationsAsLists)
	}
}

// rewrite changes the values of a JSON answer.
func rewrite(c *standin.Call, change func(name string, v any) any) {
	d := json.NewDecoder(bytes.NewReader(c.Answer()))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return
	}
	var b bytes.Buffer
	_ = json.NewEncoder(&b).Encode(walk("", v, change)) // into memory
	c.Revise(b.Bytes())
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
