package challenges

import (
	"net/netip"
	"strings"
	"testing"
)

// FuzzRedirect (F11, SV-3): whatever a Location says, the next hop is plain enough
// to be put into a request line, has a host that only one kind of parser can
// read, and a port that validation uses; or the refusal shows none of it.
func FuzzRedirect(f *testing.F) {
	for _, s := range []string{
		"/x", "//other.example/x", "http://other.example/a?b=c d", "https://[2001:db8::1]:443/", "http://user@h/", "http://h:81/",
		"http://2130706433/", "http://a.well-known/", "?q", "../up", "http://h/%0d%0aHost:%20x", "http://h%0d%0a/", "http://h\\@g/", "http:///x", "HTTP://H:80",
	} {
		f.Add(s)
	}
	v := &HTTP01{port: 5002, tlsPort: 5001}
	from := hop{host: "example.org", port: 5002, authority: "Example.org", target: "/.well-known/acme-challenge/t"}
	f.Fuzz(func(t *testing.T, location string) {
		next, why := v.redirect(from, location)
		if why != "" {
			if len(location) > 24 && strings.Contains(why, location) {
				t.Errorf("the refusal quotes the Location: %q", why)
			}
			return
		}
		if next.port != 80 && next.port != 443 && next.port != 5001 && next.port != 5002 {
			t.Errorf("port %d", next.port)
		}
		if !strings.HasPrefix(next.target, "/") || len(next.target) > maxTarget {
			t.Errorf("target %q", next.target)
		}
		for _, c := range []byte(next.target + next.authority) {
			if c <= ' ' || c > '~' {
				t.Fatalf("byte %#x in the request", c)
			}
		}
		if strings.ContainsAny(next.host, "/@%?#[]\\ ") || strings.HasSuffix(next.host, ".well-known") {
			t.Errorf("host %q", next.host)
		}
		if addr, err := netip.ParseAddr(next.host); err == nil {
			if addr.String() != next.host || addr.Zone() != "" {
				t.Errorf("address %q is not canonical", next.host)
			}
		} else if last := next.host[strings.LastIndexByte(next.host, '.')+1:]; last == "" || strings.Trim(last, "0123456789") == "" {
			t.Errorf("host %q looks like a number", next.host)
		}
		// Going to the same place again is the same hop, so that circles are
		// noticed.
		again, why := v.redirect(next, next.scheme()+"://"+next.authority+next.target)
		if why != "" || again.key() != next.key() {
			t.Errorf("%q leads to %q (%s), and not back", next.key(), again.key(), why)
		}
	})
}
