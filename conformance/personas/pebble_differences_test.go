package personas_test

// pebbleDifferences are the stories that Pebble 2.10 does not tell to the end, each
// looked at.
func pebbleDifferences() map[string]string {
	const (
		contact  = "a contact without mailto: is refused as unsupported"
		location = "sometimes: no Location with the answer to finalize, so this client has no URL to poll while the order is processing"
		persist  = "sometimes: challenges are shuffled, and uacme stops at dns-persist-01 when it comes before http-01"
	)
	return map[string]string{
		"dehydrated/account": "the account is not given for {}, which is how it is fetched",
		"uacme/bind":         "HS512, which uacme uses by mistake, is refused for a key of 43 octets",
		"uacme/obtain":       persist, "uacme/renew": persist, "uacme/revoke": persist,
		"x-crypto/obtain": location, "x-crypto/bind": location, "x-crypto/revoke": location,
		"x-road/obtain": contact, "x-road/bind": contact, "x-road/renew": contact, "x-road/rollover": contact,
		"x-road/subject": contact, "x-road/sign": contact,
	}
}
