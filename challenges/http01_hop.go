package challenges

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// hop is one URL on the way, judged and ready to be asked for.
type hop struct {
	https bool
	// host is a name in lower case or a canonical address, without brackets.
	host string
	port uint16
	// authority goes into the Host field: what the URL says.
	authority string
	// target is the path and query, in printable ASCII.
	target string
}

func (h hop) scheme() string {
	if h.https {
		return "https"
	}
	return "http"
}

// origin is the URL without its path, which may hold what is nobody's business.
func (h hop) origin() string { return h.scheme() + "://" + h.authority }

// key identifies the URL, to notice circles.
func (h hop) key() string {
	return h.scheme() + "://" + bracketed(h.host) + ":" + strconv.Itoa(int(h.port)) + h.target
}

// isRedirect lists the statuses that are followed. 303 is not among them
// (DH-2): it says that the answer is somewhere else and is another one.
func isRedirect(status int) bool {
	return status == 301 || status == 302 || status == 307 || status == 308
}

// maxTarget bounds the path and query of a redirect (DH-5).
const maxTarget = 2000

// redirect judges where from redirects to. It says why when that cannot be
// followed, in words that show nothing of location (SV-8). Which address the
// host turns out to have is judged later, when it is connected to (DH-9).
func (v *HTTP01) redirect(from hop, location string) (next hop, why string) {
	if location == "" {
		return next, "there is no Location"
	}
	base, err := url.Parse(from.scheme() + "://" + from.authority + from.target)
	if err != nil {
		return next, "the Location cannot be resolved"
	}
	u, err := base.Parse(location)
	switch {
	case err != nil:
		return next, "the Location is not a URL"
	case u.Scheme != "http" && u.Scheme != "https": // DH-3
		return next, "the scheme is neither http nor https"
	case u.User != nil: // SV-3
		return next, "the URL contains a user name"
	case u.Host == "" || u.Opaque != "":
		return next, "the URL has no host"
	case strings.HasSuffix(u.Host, ":"):
		return next, "the port is empty"
	}
	next.https = u.Scheme == "https"
	if next.port, why = v.portOf(u); why != "" {
		return next, why
	}
	name := strings.ToLower(u.Hostname())
	if strings.HasPrefix(u.Host, "[") != strings.Contains(name, ":") {
		return next, "the host is not an IPv6 address, but stands in brackets"
	}
	if next.host, why = canonicalHost(name); why != "" {
		return next, why
	}
	next.authority = bracketed(next.host)
	if usual, _ := v.portOf(&url.URL{Scheme: u.Scheme}); u.Port() != "" && (next.port != usual || usual != 80 && usual != 443) {
		next.authority += ":" + u.Port()
	}
	next.target = requestTarget(u)
	if len(next.target) > maxTarget {
		return next, "the path is longer than " + strconv.Itoa(maxTarget) + " bytes"
	}
	return next, ""
}

// portOf returns the port to connect to. Where another port stands in for 80
// or 443, it does so for URLs without a port, too.
func (v *HTTP01) portOf(u *url.URL) (port uint16, why string) {
	written := u.Port()
	switch {
	case written != "":
		for _, allowed := range []uint16{80, 443, v.port, v.tlsPort} { // DH-3, SV-3
			if written == strconv.Itoa(int(allowed)) {
				return allowed, ""
			}
		}
		return 0, "the port is not one that validation uses"
	case u.Scheme == "https":
		return v.tlsPort, ""
	default:
		return v.port, ""
	}
}

// canonicalHost accepts DNS names and addresses in their one canonical form.
// Everything else that some library would take for an address (decimal,
// octal, hexadecimal, short) is refused, so that no two parsers can disagree
// about where a URL leads (SV-3).
func canonicalHost(host string) (canonical, why string) {
	if addr, err := netip.ParseAddr(host); err == nil {
		switch {
		case addr.Zone() != "": // DH-4
			return "", "the address has a zone"
		case addr.String() != host:
			return "", "the address is not written in its canonical form"
		}
		return host, ""
	}
	host = strings.TrimSuffix(host, ".")
	if host == "" || len(host) > 253 {
		return "", "the host name is empty or too long"
	}
	last := ""
	for last = range strings.SplitSeq(host, ".") {
		if !isLabel(last) {
			return "", "the host is neither a DNS name nor an address in its canonical form"
		}
	}
	switch {
	case looksNumeric(last):
		return "", "the host is a number, not a name"
	case last == "well-known" || strings.HasSuffix(host, ".well-known"): // DH-4
		return "", "the host ends in .well-known; the redirect rule probably lacks a slash after the host"
	}
	return host, ""
}

// isLabel accepts what host names are made of, and the underscore, which
// names in private networks often have.
func isLabel(label string) bool {
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	return !strings.ContainsFunc(label, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_'
	})
}

// looksNumeric reports whether some parser may take a host that ends in label
// for an IPv4 address.
func looksNumeric(label string) bool {
	if rest, ok := strings.CutPrefix(label, "0x"); ok {
		return strings.Trim(rest, "0123456789abcdef") == ""
	}
	return strings.Trim(label, "0123456789") == ""
}

// bracketed returns host as it stands in a URL.
func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

// requestTarget is the path and query of u. The query of a URL may hold
// anything; in a request line only printable ASCII has a place.
func requestTarget(u *url.URL) string {
	raw := u.RequestURI()
	if !strings.ContainsFunc(raw, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return raw
	}
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(raw) {
		if c <= ' ' || c > '~' {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
