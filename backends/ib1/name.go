package ib1

import (
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Name is the subject of a certificate: these three attributes in this order,
// each in an RDN of its own (section 1.3).
type Name struct{ Country, Organization, CommonName string }

// maxName is the bound of X.520 for organizations and common names.
const maxName = 64

func (n Name) check() error {
	// UK is in use and is no country of ISO 3166-1; GB is.
	if len(n.Country) != 2 || !strings.Contains(countries, " "+n.Country+" ") {
		return fmt.Errorf("the country %q is not a code of ISO 3166-1 in capital letters, such as GB", n.Country)
	}
	for what, s := range map[string]string{"organization": n.Organization, "common name": n.CommonName} {
		if s == "" || s != strings.TrimSpace(s) || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
			return fmt.Errorf("the %s %q is empty, or has spaces around it or control characters within", what, s)
		}
		if length := utf8.RuneCountInString(s); length > maxName {
			return fmt.Errorf("the %s %q has %d characters, and %d is the most that a certificate can hold", what, s, length, maxName)
		}
	}
	return nil
}

// pkix returns the name. Each slice has one value: two would share an RDN.
func (n Name) pkix() pkix.Name {
	return pkix.Name{Country: []string{n.Country}, Organization: []string{n.Organization}, CommonName: n.CommonName}
}

// nameOf reads a name that is made of these three attributes and nothing else.
func nameOf(parsed pkix.Name) (n Name, ok bool) {
	types := []string{"2.5.4.6", "2.5.4.10", "2.5.4.3"}
	if len(parsed.Names) != len(types) {
		return n, false
	}
	values := make([]string, len(types))
	for i, a := range parsed.Names {
		value, isString := a.Value.(string)
		if a.Type.String() != types[i] || !isString {
			return n, false
		}
		values[i] = value
	}
	return Name{values[0], values[1], values[2]}, true
}

const countries = " AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY BZ " +
	"CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM FO FR " +
	"GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP " +
	"KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ " +
	"NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW " +
	"SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ " +
	"UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW "
