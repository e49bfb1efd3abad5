//go:build clients

package clients

import (
	"strings"
	"testing"
)

// standinSubject is what TRISA's template 17 puts into every subject.
const standinSubject = "O=CipherTrace Inc,L=Menlo Park,ST=California,C=US"

// certbot and lego get TRISA certificates as docs/ecosystems/trisa.md has it: through
// the configuration that is committed there, from an imitation of Sectigo that takes
// longer than the server holds an answer. Each order is paid for once.
func TestTRISA(t *testing.T) {
	t.Parallel()
	s, journal := startEcosystem(t, ecosystem{
		config: "trisa", directory: "trisa", backend: "trisa",
		imitation:   []string{"sectigo", "--tls-root", "DIR/trisa-roots.pem", "--created", "1s", "--processing", "3s", "--subject", standinSubject},
		credentials: map[string]string{"password": "bridge-password"},
		roots:       "trisa-roots.pem", api: "trisa-roots.pem",
	})
	buy(t, s, journal, false, func(t *testing.T, c client, _ setup, got issued, names []string) {
		verifyAsClient(t, got, s.IssuingRootPEM)
		if subject := got.leaf.Subject.String(); !strings.Contains(subject, "CipherTrace Inc") {
			t.Errorf("the subject is %s, not that of the template", subject)
		}
		revoke(t, c, journal, got, names)
	})
	t.Run("gave up and came back", func(t *testing.T) { comeBack(t, s, journal, "request", "request", "rsa:4096", "-sha384") })
}
