package egress

import "net/netip"

// Class says in one word what an address is for. It is fit for a message to a
// client: it tells nothing that the address itself does not.
type Class string

// The classes of addresses that a policy refuses.
const (
	ThisNetwork   Class = "this-network"
	LinkLocal     Class = "link-local"
	Multicast     Class = "multicast"
	Broadcast     Class = "broadcast"
	Reserved      Class = "reserved"
	Compatible    Class = "IPv4-compatible"
	SiteLocal     Class = "site-local"
	CloudControl  Class = "cloud control plane"
	Loopback      Class = "loopback"
	Private       Class = "private"
	Shared        Class = "shared"
	Benchmarking  Class = "benchmarking"
	Special       Class = "special-purpose"
	Documentation Class = "documentation"
	Translated    Class = "translated"
	// OperatorDenied is what the operator's own deny list names.
	OperatorDenied Class = "denied"
	// OwnListener is a port of this server, or of what it depends on.
	OwnListener Class = "own"
	// Zoned is an address with a zone: it means something on one link only.
	Zoned Class = "zoned"
	// Invalid is no address at all.
	Invalid Class = "invalid"
	// ReservedName is a name that cloud control planes answer to.
	ReservedName Class = "reserved name"
)

// opening says what it takes to open a range.
type opening int

const (
	never   opening = iota
	byName          // by an allow prefix that lies within the range
	byAllow         // by any allow prefix that contains the address
)

// addressRange is one row of the address list.
type addressRange struct {
	prefix  netip.Prefix
	class   Class
	opening opening
}

// The list is split by family, and the more telling rows come first: the
// metadata service inside a private range is a control plane, not private.
// Sources are the IANA special-purpose registries and the documents of the
// cloud providers (security.md, 4.2).

func rangesOfIPv4() []addressRange {
	return []addressRange{
		{prefix("168.63.129.16/32"), CloudControl, never},   // Azure
		{prefix("100.100.100.200/32"), CloudControl, never}, // Alibaba
		{prefix("192.0.0.192/32"), CloudControl, never},     // Oracle
		{prefix("0.0.0.0/8"), ThisNetwork, never},
		{prefix("169.254.0.0/16"), LinkLocal, never},
		{prefix("224.0.0.0/4"), Multicast, never},
		{prefix("255.255.255.255/32"), Broadcast, never},
		{prefix("240.0.0.0/4"), Reserved, never},

		{prefix("127.0.0.0/8"), Loopback, byName},

		{prefix("10.0.0.0/8"), Private, byAllow},
		{prefix("172.16.0.0/12"), Private, byAllow},
		{prefix("192.168.0.0/16"), Private, byAllow},
		{prefix("100.64.0.0/10"), Shared, byAllow},
		{prefix("198.18.0.0/15"), Benchmarking, byAllow},

		{prefix("192.0.0.0/24"), Special, byAllow},
		{prefix("192.0.2.0/24"), Documentation, byAllow},
		{prefix("198.51.100.0/24"), Documentation, byAllow},
		{prefix("203.0.113.0/24"), Documentation, byAllow},
		{prefix("192.31.196.0/24"), Special, byAllow},
		{prefix("192.52.193.0/24"), Special, byAllow},
		{prefix("192.88.99.0/24"), Special, byAllow},
		{prefix("192.175.48.0/24"), Special, byAllow},
	}
}

func rangesOfIPv6() []addressRange {
	return []addressRange{
		{prefix("fd00:ec2::254/128"), CloudControl, never}, // AWS
		{prefix("fd20:ce::254/128"), CloudControl, never},  // Google
		{prefix("::1/128"), Loopback, byName},              // before ::/96, of which it is the exception
		{prefix("::/96"), Compatible, never},
		{prefix("fe80::/10"), LinkLocal, never},
		{prefix("fec0::/10"), SiteLocal, never},
		{prefix("ff00::/8"), Multicast, never},

		{prefix("fc00::/7"), Private, byAllow},
		{prefix("2001:2::/48"), Benchmarking, byAllow},

		{prefix("100::/64"), Special, byAllow},
		{prefix("100:0:0:1::/64"), Special, byAllow},
		{prefix("2001::/23"), Special, byAllow},
		{prefix("2001:db8::/32"), Documentation, byAllow},
		{prefix("2620:4f:8000::/48"), Special, byAllow},
		{prefix("3fff::/20"), Documentation, byAllow},
		{prefix("5f00::/16"), Special, byAllow},
	}
}

// deniedNames are what the control planes of clouds and clusters are called.
// They are refused before anybody is asked what their address is.
func deniedNames() []string {
	return []string{
		"metadata.google.internal",
		"metadata.goog",
		"instance-data",
		"instance-data.ec2.internal",
		"kubernetes.default.svc",
		"kubernetes.default.svc.cluster.local",
	}
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }
