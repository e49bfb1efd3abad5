package config

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"acmebridge/internal/secret"
)

// parseInto sets v, a value or a list, from text in the form of the
// environment: lists are separated by commas. It is the one place that knows
// how values are written, so file, environment and defaults agree.
func parseInto(v reflect.Value, f field, text string) error {
	if !isList(v.Type()) {
		return parseScalar(v, f, text)
	}
	list := reflect.Zero(v.Type()) // an empty list is nil, whoever wrote it
	if strings.TrimSpace(text) != "" {
		for part := range strings.SplitSeq(text, ",") {
			item := reflect.New(v.Type().Elem()).Elem()
			if err := parseScalar(item, f, strings.TrimSpace(part)); err != nil {
				return err
			}
			list = reflect.Append(list, item)
		}
	}
	v.Set(list)
	return nil
}

// parseScalar sets v from text. Its errors complete a sentence that starts with
// the name of the key, and never repeat the text.
func parseScalar(v reflect.Value, f field, text string) error {
	switch {
	case v.Type() == durationType:
		d, err := ParseDuration(text)
		if err != nil {
			return errors.New("is not a duration; write for example 90d, 12h30m or 500ms")
		}
		if lo, err := ParseDuration(f.min); f.min != "" && err == nil && d < lo {
			return fmt.Errorf("is too short; the least is %s", f.min)
		}
		if hi, err := ParseDuration(f.max); f.max != "" && err == nil && d > hi {
			return fmt.Errorf("is too long; the most is %s", f.max)
		}
		v.SetInt(int64(d))
	case v.Type() == rateType:
		r, err := parseRate(text)
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(r))
	case v.Type() == secretType:
		v.Set(reflect.ValueOf(secret.New([]byte(text))))
	case v.Type() == reflect.TypeFor[netip.Prefix]():
		p, err := parsePrefix(text)
		if err != nil {
			return err
		}
		v.Set(reflect.ValueOf(p))
	case v.Kind() == reflect.Pointer:
		item := reflect.New(v.Type().Elem())
		if err := parseScalar(item.Elem(), f, text); err != nil {
			return err
		}
		v.Set(item)
	case v.Kind() == reflect.Int:
		return parseNumber(v, f, text)
	case v.Kind() == reflect.Bool:
		if text != "true" && text != "false" {
			return errors.New("must be true or false")
		}
		v.SetBool(text == "true")
	case v.Kind() == reflect.String:
		if len(f.enum) > 0 && !slices.Contains(f.enum, text) {
			hint := ""
			if len(f.enum) > 1 {
				hint = suggest(text, f.enum)
			}
			return fmt.Errorf("must be %s%s", oneOf(f.enum), hint)
		}
		if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }); i >= 0 {
			return errors.New("holds a control character, perhaps a line break")
		}
		v.SetString(text)
	default:
		panic("config: no form for values of type " + v.Type().String())
	}
	return nil
}

func parseNumber(v reflect.Value, f field, text string) error {
	n, err := strconv.Atoi(text)
	// 010 is eight to some readers of YAML and ten to others; +1 and -0 are
	// spellings that only hide a mistake.
	if err != nil || text != strconv.Itoa(n) {
		return errors.New("is not a whole number, written with plain digits")
	}
	lo, err := strconv.Atoi(f.min)
	if err == nil && n < lo {
		return fmt.Errorf("is too small; the least is %s", f.min)
	}
	hi, err := strconv.Atoi(f.max)
	if err == nil && n > hi {
		return fmt.Errorf("is too large; the most is %s", f.max)
	}
	v.SetInt(int64(n))
	return nil
}

func parsePrefix(text string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
			return netip.Prefix{}, fmt.Errorf("is an address; for this one alone write it with /%d", a.BitLen())
		}
		return netip.Prefix{}, errors.New("is not a network; write for example 10.0.0.0/8 or fd00::/8")
	}
	if p.Addr().Is4In6() {
		return netip.Prefix{}, errors.New("is an IPv4 network in IPv6 form; write it in IPv4 form")
	}
	// Somebody who writes 10.1.2.3/8 means either one address or the network:
	// guessing wrong opens sixteen million addresses.
	if p.Masked() != p {
		return netip.Prefix{}, errors.New("has bits set beyond its length; write the first address of the network")
	}
	return p, nil
}

// format is the inverse of parseScalar; a list gives several strings.
func format(v reflect.Value) []string {
	switch {
	case isList(v.Type()):
		var all []string
		for i := range v.Len() {
			all = append(all, format(v.Index(i))...)
		}
		return all
	case v.Type() == durationType:
		return []string{FormatDuration(time.Duration(v.Int()))}
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return format(v.Elem())
	default:
		return []string{fmt.Sprint(v.Interface())}
	}
}

func oneOf(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

func sorted(words []string) []string {
	slices.Sort(words)
	return words
}
