package sectigo

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestGeneratorValues: a batch is printed as it is, and the parameters that it
// was made with may have the password of its key store among them (SK-1).
func TestGeneratorValues(t *testing.T) {
	t.Parallel()
	for _, values := range []string{
		`{"commonName":"a.example","pkcs12Password":"hunter2"}`,
		`{"commonName":"a.example","PKCS12_PASSPHRASE":"hunter2"}`,
		`[{"name":"commonName","value":"a.example"},{"name":"pkcs12Password","value":"hunter2"}]`,
		`{"of":[{"commonName":"a.example","clientSecret":["hunter2"]}]}`,
		`"{\"commonName\":\"a.example\",\"pkcs12Password\":\"hunter2\"}"`,
	} {
		var b Batch
		if err := decode([]byte(`{"batchId":24,"generatorParametersValues":`+values+`}`), &b); err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(b)
		if err != nil || strings.Contains(string(text), "hunter2") || !strings.Contains(string(text), "a.example") || !strings.Contains(string(text), "[redacted]") {
			t.Errorf("%s is printed as %s, %v", values, text, err)
		}
	}
	for _, values := range []string{`null`, `{"a":[1,2.50,"x"],"b":true}`, `"word"`, `12345678901234567890`} {
		var b Batch
		if err := decode([]byte(`{"batchId":24,"generatorParametersValues":`+values+`}`), &b); err != nil {
			t.Fatal(err)
		}
		if text, err := json.Marshal(b); err != nil || !strings.Contains(string(text), `"generatorParametersValues":`+values) {
			t.Errorf("%s is printed as %s, %v", values, text, err)
		}
	}
}
