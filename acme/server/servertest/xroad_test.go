package servertest_test

import (
	"context"
	"time"

	"acmebridge/acme"
	"acmebridge/acme/engine"
	"acmebridge/acme/server/servertest"
)

// xroadDirectory is a directory for Security Servers. They name no profile; the
// external account key says which of the two is meant.
func xroadDirectory() acme.Directory {
	return acme.Directory{
		Name: "xroad", Path: "/xroad/directory", ExternalAccount: acme.ExternalAccountMandatory,
		Profiles: []acme.ProfileName{"xroad-auth", "xroad-sign"}, PlainContacts: true, FixedKeys: true,
	}
}

// addXRoadProfiles gives a server the two profiles, as the member's instance
// has them: subjects of BasicACME.
func addXRoadProfiles(c *engine.Config) {
	auth := servertest.Profile()
	auth.Name, auth.XRoad = "xroad-auth", acme.XRoadRule{Usage: acme.XRoadAuth, Subject: acme.XRoadBasic}
	auth.Validity, auth.Dates, auth.LenientReplaces, auth.Hold = 398*24*time.Hour, acme.DatesUpperBound, true, 8*time.Second
	auth.RetryAfter = 5 * time.Second
	sign := auth
	sign.Name, sign.XRoad.Usage, sign.Usages = "xroad-sign", acme.XRoadSign, nil
	c.Profiles[auth.Name], c.Profiles[sign.Name] = auth, sign
}

// xroadKey is an external account key as often as a Security Server needs it.
func xroadKey(s *servertest.Server, member acme.MemberID, usage string) (string, []byte, error) {
	k, mac, err := s.Engine.Operator().CreateExternalKey(context.Background(), engine.NewExternalKey{
		Directory: "xroad", Member: member, Profiles: []acme.ProfileName{acme.ProfileName("xroad-" + usage)},
	})
	return string(k.ID), mac, err
}
