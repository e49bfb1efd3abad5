package main

import (
	"fmt"
	"strings"

	"acmebridge/internal/admin"
)

// adviceForXRoad says what to change where, when a Security Server got no
// certificate: it shows its operator the name of a phase and nothing else, so he
// asks here. It is empty for other clients, and when there is nothing to change.
func adviceForXRoad(x admin.Explanation) string {
	o := x.Order
	if o.XRoad == "" {
		return ""
	}
	where := fmt.Sprintf("at Security Server %s of member %s (%s key)", show(namesOf(o.Identifiers)), show(o.Member), strings.ToUpper(o.XRoad))
	switch {
	case o.Refused != "" && (o.Status == "ready" || o.Status == "invalid" && x.Submission == nil && !failedChallenge(x)):
		return fmt.Sprintf(`%s, which shows order_finalization_failure and no more, change what was refused:
%s
Then have it order again; a Security Server does not come back to this order`, where, show(o.Refused))
	case o.Status == "ready":
		return where + `, look into its log: it proved its name and then did not finalize.
Its proxy-ui-api may have been restarted meanwhile. Have it order again; it does not come back to this order`
	case o.Status == "pending" && untried(x):
		return where + `, look into its log: it has ordered and not asked for its challenge to be tried.
It shows http_challenge_file_creation or challenge_trigger_failure then. Have it order again`
	case o.Status == "invalid" && x.Submission == nil && failedChallenge(x):
		return where + `, which shows authorization_failure and no more, see to it that this server reaches its challenges:
  local.ini      [proxy-ui-api] acme-challenge-port-enabled = true, and acme-challenge-port when 80 is taken
  firewall       port 80 of the name is open for the addresses of this server, and forwarded to that port
  DNS            the name leads to the Security Server that orders, and not to another one
The attempts above say how far it got. Then have it order again` + ifSilent(x)
	case o.Status == "processing" && x.Job != nil && x.Job.Parked == "" && x.Job.Waits == "" && !x.Job.Credentials && x.Job.Failures <= manyFailures:
		return offlineOr(x, fmt.Sprintf(`nothing here, it goes on by itself. %s it may show certificate_wait_failure: it looks five times and gives up.
What it orders again meanwhile buys nothing twice. When that is usual with this CA, set retry_after of profile %s to a third of what the CA takes`,
			strings.ToUpper(where[:1])+where[1:], show(o.Profile)))
	}
	return ""
}

func untried(x admin.Explanation) bool {
	for _, a := range x.Authorizations {
		for _, c := range a.Challenges {
			if c.Status != "pending" {
				return false
			}
		}
	}
	return true
}

func failedChallenge(x admin.Explanation) bool {
	for _, a := range x.Authorizations {
		for _, c := range a.Challenges {
			if c.Status == "invalid" {
				return true
			}
		}
	}
	return false
}
