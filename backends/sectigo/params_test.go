package sectigo_test

import (
	"strings"
	"testing"

	"acmebridge/acme"
	"acmebridge/backends/sectigo"
	"acmebridge/backends/sectigo/sectigotest"
)

// TestParametersOfTheMember: parameters come from the registry where they are to,
// and a request without them is not sent: nobody is placed in Menlo Park.
func TestParametersOfTheMember(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sectigotest.Config{})
	backend := w.backend(t, w.client, func(c *sectigo.BackendConfig) {
		c.Profile, c.ProfileID = "", 489
		c.Params = map[string]string{"organizationName": "{organization}", "localityName": "{locality}", "stateOrProvinceName": "{state}", "countryName": "{country}"}
	})
	r := w.request()
	if _, err := backend.Submit(t.Context(), r); err == nil || !strings.Contains(err.Error(), "does not take from the registry") {
		t.Errorf("got %v", err)
	}
	if n := w.ca.Count("upload"); n != 0 {
		t.Errorf("%d uploads", n)
	}
	r.Contract.Names = acme.SubjectNames{Country: "DE", State: "Bayern", Locality: "Fürth", Organization: "Example GmbH"}
	if _, err := backend.Submit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	const want = `"profileParams":{"countryName":"DE","localityName":"Fürth","organizationName":"Example GmbH","stateOrProvinceName":"Bayern"}`
	if body := string(w.ca.LastUpload().Body); !strings.Contains(body, want) {
		t.Errorf("no %s in %s", want, body)
	}
	// The registry has them, so it is no trouble that the profile wants them.
	survey, err := backend.Survey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range survey.Findings {
		if strings.Contains(f.Text, "Name") {
			t.Errorf("it is complained of %s", f.Text)
		}
	}
}
