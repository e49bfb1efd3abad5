package sectigotest

import (
	"bytes"
	"encoding/json"
	"net/http"

	"acmebridge/internal/standin"
)

// Fault is something that goes wrong with a request, one of FaultKinds.
type Fault = standin.Fault

// Duration is a time.Duration that JSON writes as "1m30s".
type Duration = standin.Duration

// Event is one line of the journal.
type Event = standin.Event

// faults are what can go wrong here besides what can everywhere. Those of archives
// are brought about when one is made, and all others by bend.
func faults() []standin.FaultKind {
	return []standin.FaultKind{
		{Name: "string-numbers", What: "do it and write numbers as strings"},
		{Name: "text-plain", What: "do it and label the answer as text"},
		{Name: "json-charset", What: "do it and label the answer as JSON in another way"},
		{Name: "json-error", What: "do it and answer 200 with the JSON of an error"},
		{Name: "zip-truncated", What: "leave out the end of the archive"},
		{Name: "zip-empty", What: "send an archive without members"},
		{Name: "zip-traversal", What: "name members so that they leave their folder"},
		{Name: "zip-bomb", What: "send an archive that inflates without end"},
		{Name: "zip-missing", What: "leave out the first certificate"},
		{Name: "zip-twins", What: "put in a second certificate for the same key"},
		{Name: "zip-swapped", What: "send the archive of the latest other batch that has one"},
		{Name: "zip-nested", What: "put the archive into an archive"},
		{Name: "disposition-absent", What: "do not name the archive"},
		{Name: "disposition-hostile", What: "name the archive so that it leaves its folder"},
		{Name: "disposition-quoted", What: "name the archive in quotes and with blanks"},
	}
}

// FaultKinds lists the kinds of faults, and what they do.
func FaultKinds() []string { return standin.FaultKinds(faults()) }

// bend changes the answer to a request that was carried out.
func bend(c *standin.Call, f Fault) {
	switch f.Kind {
	case "json-error":
		c.Replace(http.StatusOK, "application/json;charset=UTF-8", []byte(`{"status":500,"message":"Internal error","errorCode":-1,"timestamp":0}`))
	case "string-numbers":
		stringNumbers(c)
	case "text-plain":
		c.Head().Set("Content-Type", "text/plain; charset=ISO-8859-1")
	case "json-charset":
		c.Head().Set("Content-Type", `Application/JSON; Charset="utf-8"`)
	case "disposition-absent":
		c.Head().Del("Content-Disposition")
	case "disposition-hostile":
		c.Head().Set("Content-Disposition", `attachment; filename="../../../../etc/cron.d/evil"`)
	case "disposition-quoted":
		c.Head().Set("Content-Disposition", `attachment; filename="my batch; \"v2\".zip"`)
	}
}

// stringNumbers writes every number of the answer as a string.
func stringNumbers(c *standin.Call) {
	d := json.NewDecoder(bytes.NewReader(c.Answer()))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return
	}
	content, _ := json.Marshal(quoteNumbers(v)) // it was JSON
	c.Revise(content)
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
