package config_test

import (
	"strings"
	"testing"

	"acmebridge/cmd/acmebridge/config"
)

// TestMemberAPI: it is off unless somebody enables it, and what would accept too
// much or hide something is refused, by its key.
func TestMemberAPI(t *testing.T) {
	t.Parallel()
	const rest = "directories:\n  default: {profiles: [tls]}\nprofiles:\n  tls: {backend: local}\nbackends:\n  local: {type: localca}\n"
	c, err := config.Parse("file", []byte(rest), nil)
	if err != nil || c.MemberAPI.Enabled || c.MemberAPI.Path != "/member-api" || c.MemberAPI.Failures.Count != 20 {
		t.Fatalf("%+v, %v", c, err)
	}
	for text, want := range map[string]string{
		"{enabled: true}": "",
		"{enabled: true, path: /members/v1, directory: default}":                                                       "",
		"{enabled: true, oidc: {issuer: 'https://login.example/realms/x', audience: cli, member_claim: organization}}": "",
		"{path: members}":                   "member_api.path",
		"{path: /members/}":                 "member_api.path",
		"{path: /acme}":                     "member_api.path",
		"{path: /acme/members}":             "member_api.path",
		"{enabled: true, path: /directory}": "member_api.path",
		"{directory: other}":                "member_api.directory",
		"{failures: often}":                 "member_api.failures",
		"{oidc: {audience: cli}}":           "member_api.oidc.issuer",
		"{oidc: {issuer: 'http://login.example', audience: cli, member_claim: m}}":                    "member_api.oidc.issuer",
		"{oidc: {issuer: 'https://login.example?x=1', audience: cli, member_claim: m}}":               "member_api.oidc.issuer",
		"{oidc: {issuer: 'https://login.example', member_claim: m}}":                                  "member_api.oidc.audience",
		"{oidc: {issuer: 'https://login.example', audience: cli}}":                                    "member_api.oidc.member_claim",
		"{oidc: {issuer: 'https://login.example', audience: cli, member_claim: m, name_claim: ''}}":   "member_api.oidc.name_claim",
		"{oidc: {issuer: 'https://login.example', audience: cli, member_claim: m, ca_file: nowhere}}": "member_api.oidc.ca_file",
	} {
		_, err := config.Parse("file", []byte(rest+"member_api: "+text+"\n"), nil)
		switch {
		case want == "" && err != nil:
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: got %v, want something about %s", text, err, want)
		}
	}
}
