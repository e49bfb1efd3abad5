package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"acmebridge/internal/ratelimit"
)

// Rate is how often something may be done. In the file it is a number and a
// time, such as 300/3h, or off; without a value it is that of the preset.
type Rate struct {
	Count int
	Per   time.Duration
	Off   bool
}

// Limit returns the rate as the limiter knows it.
func (r Rate) Limit() ratelimit.Rate { return ratelimit.Rate{Count: r.Count, Per: r.Per} }

// String is the inverse of parseRate.
func (r Rate) String() string {
	switch {
	case r.Off:
		return "off"
	case r.Count == 0:
		return ""
	default:
		return fmt.Sprintf("%d/%s", r.Count, FormatDuration(r.Per))
	}
}

var rateType = reflect.TypeFor[Rate]()

// ratePattern is what parseRate reads, for the schema.
const ratePattern = `^(off|[1-9][0-9]{0,5}/([0-9]{1,6}d)?([0-9]*\.?[0-9]+(h|ms|m|s|us|µs|ns))*)$`

func parseRate(text string) (Rate, error) {
	if text == "off" {
		return Rate{Off: true}, nil
	}
	count, per, ok := strings.Cut(text, "/")
	n, err := strconv.Atoi(count)
	d, err2 := ParseDuration(per)
	if !ok || err != nil || err2 != nil || count != strconv.Itoa(n) {
		return Rate{}, errors.New("is not a rate; write a number and a time, for example 300/3h, or off")
	}
	switch {
	case n < 1 || n > 999_999:
		return Rate{}, errors.New("is not a rate; the number is from 1 to 999999, and off means no limit")
	case d < time.Second || d > 400*day:
		return Rate{}, errors.New("is not a rate; the time is from 1s to 400d")
	}
	return Rate{Count: n, Per: d}, nil
}

// Rates bound how often something may be done. Each is a bucket that is full
// at first and fills evenly.
type Rates struct {
	Requests             Rate `key:"requests" doc:"Requests of one address, of every kind. Off in both presets."`
	NewAccounts          Rate `key:"new_accounts" doc:"New accounts of one address, an IPv6 one with its /64 (SL-19). Preset public: 10/3h, private: off."`
	NetworkAccounts      Rate `key:"network_accounts" doc:"New accounts of one IPv6 /48 (SL-19). Preset public: 100/3h, private: off."`
	NewOrders            Rate `key:"new_orders" doc:"New orders and pre-authorizations of one account (SL-18); renewals in time pass. Preset public: 300/3h, private: off."`
	CertificatesPerNames Rate `key:"certificates_per_names" doc:"Certificates for exactly one set of names, whoever orders them (SL-21); renewals in time pass. Counted from the records. Preset public: 5/7d, private: off."`
	FailedValidations    Rate `key:"failed_validations" doc:"Failed validations of one name by one account (SL-14). Both presets: 5/1h."`
	Revocations          Rate `key:"revocations" doc:"Revocations that one account asks for (SL-23). Preset public: 60/1h, private: off."`
	Polls                Rate `key:"polls" doc:"Looks at one order (SL-25). Both presets: 50/10s; common clients look four times a second and take a refusal for the end."`
	ExternalKeyFailures  Rate `key:"external_key_failures" doc:"External account bindings of one address that were not accepted (SL-26). Preset public: 10/10m, private: off."`
}

// presets are the rates that the file leaves out. Private has what protects
// our own resources and other people's servers; a whole ecosystem may sit
// behind one address there, so what counts addresses or quotas is off.
var presets = map[string]Rates{
	"private": {
		Requests: off, NewAccounts: off, NetworkAccounts: off, NewOrders: off, CertificatesPerNames: off, Revocations: off, ExternalKeyFailures: off,
		FailedValidations: Rate{Count: 5, Per: time.Hour},
		Polls:             Rate{Count: 50, Per: 10 * time.Second},
	},
	"public": {
		Requests:             off,
		NewAccounts:          Rate{Count: 10, Per: 3 * time.Hour},
		NetworkAccounts:      Rate{Count: 100, Per: 3 * time.Hour},
		NewOrders:            Rate{Count: 300, Per: 3 * time.Hour},
		CertificatesPerNames: Rate{Count: 5, Per: 7 * day},
		FailedValidations:    Rate{Count: 5, Per: time.Hour},
		Revocations:          Rate{Count: 60, Per: time.Hour},
		Polls:                Rate{Count: 50, Per: 10 * time.Second},
		ExternalKeyFailures:  Rate{Count: 10, Per: 10 * time.Minute},
	},
}

var off = Rate{Off: true}

// deriveRates fills in what the preset says.
func deriveRates(l *Limits) {
	preset, ok := presets[l.Preset]
	if !ok {
		return // refused already
	}
	from, to := reflect.ValueOf(preset), reflect.ValueOf(&l.Rates).Elem()
	for i := range to.NumField() {
		if to.Field(i).IsZero() {
			to.Field(i).Set(from.Field(i))
		}
	}
}
