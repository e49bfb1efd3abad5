package config_test

import (
	"strings"
	"testing"

	"acmebridge/cmd/acmebridge/config"
)

// bad are files that are refused, each with everything that is said of it.
var bad = []struct {
	name, text string
	want       []string
}{
	{"unknown key", "validation:\n  htp_port: 80\n", []string{
		"f:2:3: validation.htp_port: unknown key; did you mean http_port?",
	}},
	{"unknown key far from all", "zzzzzzzz: 1\n", []string{
		"f:1:1: zzzzzzzz: unknown key",
	}},
	{"key of another section", "http_port: 80\n", []string{
		"f:1:1: http_port: unknown key; did you mean validation.http_port?",
	}},
	{"unknown key in a profile", "profiles:\n  tls:\n    backend: local\n    validty: 90d\n", []string{
		"f:4:5: profiles.tls.validty: unknown key; did you mean validity?",
	}},
	{"proofs reused for longer than they stand", "profiles:\n  tls: {backend: local, authorization_lifetime: 1h, reuse_authorizations: 61m}\n", []string{
		"f:2:75: profiles.tls.reuse_authorizations: is longer than a proof stands, authorization_lifetime, 1h",
	}},
	{"names to prove where nothing is proved", "profiles:\n  tls: {backend: local, authorization: registry}\ndirectories:\n  default: {profiles: [tls], pre_authorization: true, external_account: required}\n", []string{
		"f:4:49: directories.default.pre_authorization: needs a first profile that wants names proved; tls has authorization: registry",
	}},
	{"dates of no kind", "profiles:\n  tls: {backend: local, dates: any}\n", []string{
		"f:2:32: profiles.tls.dates: must be exact, upper_bound, wish or refuse",
	}},
	{"approvers of nothing", "profiles:\n  tls: {backend: local, approvers: [alice, alice]}\n", []string{
		"f:2:25: profiles.tls.approvers: nobody has to approve anything; set approval: required, or leave the approvers out",
		"f:2:44: profiles.tls.approvers[1]: is listed twice",
	}},
	{"key of no backend type", "backends:\n  local: {type: localca, url: 'https://ca.example/'}\n", []string{
		"f:2:26: backends.local.url: unknown key; did you mean backends.NAME.url?",
	}},
	{"several at once", "listen: 5\nvalidation:\n  http_port: x\n  attemps: 1\nlog:\n  level: verbose\n", []string{
		"f:1:9: listen: must be text, not a number; write an address and a port, for example 127.0.0.1:14000",
		"f:3:14: validation.http_port: must be a whole number, not text",
		"f:4:3: validation.attemps: unknown key; did you mean attempts?",
		"f:6:10: log.level: must be debug, info, warn or error",
	}},
	{"duplicate key", "data_dir: a\nlisten: 127.0.0.1:1\ndata_dir: b\n", []string{
		"f:3:1: data_dir: is given twice; the first time in line 1",
	}},
	{"duplicate profile", "profiles:\n  tls: {backend: local}\n  tls: {backend: local}\n", []string{
		"f:3:3: profiles.tls: is given twice; the first time in line 2",
	}},
	{"text for a number", "validation: {http_port: eighty}\n", []string{
		"f:1:25: validation.http_port: must be a whole number, not text",
	}},
	{"quoted number", "validation: {http_port: '80'}\n", []string{
		"f:1:25: validation.http_port: must be a whole number, not text; leave out the quotation marks",
	}},
	{"number for text", "backends: {local: {type: localca, organization: 42}}\n", []string{
		"f:1:49: backends.local.organization: must be text, not a number; put it in quotation marks",
	}},
	{"true for a choice", "directories:\n  default: {external_account: true}\n", []string{
		"f:2:31: directories.default.external_account: must be required, optional or off, not true or false",
	}},
	{"number for a choice in a list", "profiles: {tls: {backend: local, challenges: [1]}}\n", []string{
		"f:1:47: profiles.tls.challenges[0]: must be http-01, dns-01, tls-alpn-01, dns-account-01 or dns-persist-01, not a number",
	}},
	{"number for a rate", "limits: {rates: {new_orders: 300}}\n", []string{
		"f:1:30: limits.rates.new_orders: must be a rate, not a number; write a number and a time, for example 300/3h, or off",
	}},
	{"octal", "validation: {http_port: 010}\n", []string{
		"f:1:25: validation.http_port: is not a whole number, written with plain digits",
	}},
	{"fraction", "validation: {attempts: 1.5}\n", []string{
		"f:1:24: validation.attempts: must be a whole number, not a fraction or a number out of range",
	}},
	{"huge number", "validation: {attempts: 99999999999999999999}\n", []string{
		"f:1:24: validation.attempts: must be a whole number, not a fraction or a number out of range",
	}},
	{"port too large", "validation:\n  tls_alpn_port: 65536\n", []string{
		"f:2:18: validation.tls_alpn_port: is too large; the most is 65535",
	}},
	{"port zero", "validation:\n  http_port: 0\n", []string{
		"f:2:14: validation.http_port: is too small; the least is 1",
	}},
	{"yes is no boolean", "storage: {bolt: {allow_network_fs: yes}}\n", []string{
		"f:1:36: storage.bolt.allow_network_fs: must be true or false, not text",
	}},
	{"True is no boolean", "storage: {bolt: {allow_network_fs: True}}\n", []string{
		"f:1:36: storage.bolt.allow_network_fs: must be true or false",
	}},
	{"duration without unit", "profiles: {tls: {backend: local, validity: 90}}\n", []string{
		"f:1:44: profiles.tls.validity: must be a duration, not a number; write a unit, for example 90d, 12h30m or 500ms",
	}},
	{"duration of nonsense", "profiles: {tls: {backend: local, validity: 3 months}}\n", []string{
		"f:1:44: profiles.tls.validity: is not a duration; write for example 90d, 12h30m or 500ms",
	}},
	{"negative duration", "validation: {timeout: -5s}\n", []string{
		"f:1:23: validation.timeout: is not a duration; write for example 90d, 12h30m or 500ms",
	}},
	{"hold too long", "profiles:\n  tls:\n    backend: local\n    hold: 9s\n", []string{
		"f:4:11: profiles.tls.hold: is too long; the most is 8s",
	}},
	{"section for text", "listen: {a: b}\n", []string{
		"f:1:9: listen: must be text, not a section",
	}},
	{"text for a section", "validation: fast\n", []string{
		"f:1:13: validation: must be a section with keys, not text",
	}},
	{"list for a section", "directories: [a]\n", []string{
		"f:1:14: directories: must be a section with a name for each entry, not a list",
	}},
	{"text for a list", "validation: {allow: 10.0.0.0/8}\n", []string{
		"f:1:21: validation.allow: must be a list such as [a, b], not text",
	}},
	{"section in a list", "validation: {allow: [{a: b}]}\n", []string{
		"f:1:22: validation.allow[0]: must be text, not a section",
	}},
	{"null in a list", "validation: {resolvers: [~]}\n", []string{
		"f:1:26: validation.resolvers[0]: must be text, not nothing",
	}},
	{"list at the top", "- a\n", []string{
		"f:1:1: must be a section with keys, not a list",
	}},
	{"text at the top", "hello\n", []string{
		"f:1:1: must be a section with keys, not text",
	}},
	{"enum", "directories:\n  default:\n    external_account: requierd\n    profiles: [tls]\n", []string{
		"f:3:23: directories.default.external_account: must be required, optional or off; did you mean required?",
	}},
	{"enum in a list", "profiles: {tls: {backend: local, usages: [server_auth, clientauth]}}\n", []string{
		"f:1:56: profiles.tls.usages[1]: must be server_auth, client_auth, code_signing or email_protection; did you mean client_auth?",
	}},
	{"listed twice", "profiles: {tls: {backend: local, usages: [server_auth, server_auth], challenges: []}}\n", []string{
		"f:1:56: profiles.tls.usages[1]: is listed twice",
		"f:1:70: profiles.tls.challenges: must not be empty",
	}},
	{"CIDR with bits", "validation:\n  allow:\n    - 10.0.0.0/8\n    - 10.1.2.3/8\n", []string{
		"f:4:7: validation.allow[1]: has bits set beyond its length; write the first address of the network",
	}},
	{"address for a CIDR", "validation: {deny: [192.0.2.1, 'fd00::1', nonsense, '::ffff:10.0.0.0/104']}\n", []string{
		"f:1:21: validation.deny[0]: is an address; for this one alone write it with /32",
		"f:1:32: validation.deny[1]: is an address; for this one alone write it with /128",
		"f:1:43: validation.deny[2]: is not a network; write for example 10.0.0.0/8 or fd00::/8",
		"f:1:53: validation.deny[3]: is an IPv4 network in IPv6 form; write it in IPv4 form",
	}},
	{"allow and deny", "validation: {allow: [10.0.0.0/8], deny: [10.0.0.0/8]}\n", []string{
		"f:1:22: validation.allow[0]: is under deny too, which is stronger",
	}},
	{"resolver without port", "validation: {resolvers: [192.0.2.53]}\n", []string{
		"f:1:26: validation.resolvers[0]: must be host:port, for example 192.0.2.53:53",
	}},
	{"unknown profile", "directories:\n  default: {profiles: [tls]}\n  b:\n    profiles: [tsl, x]\n", []string{
		"f:4:16: directories.b.profiles[0]: no profile has this name; did you mean tls?",
		"f:4:21: directories.b.profiles[1]: no profile has this name; there is tls",
	}},
	{"profile twice", "directories: {default: {profiles: [tls, tls]}}\n", []string{
		"f:1:41: directories.default.profiles[1]: is listed twice",
	}},
	{"no profiles", "directories: {default: {path: /directory}}\n", []string{
		"f:1:15: directories.default.profiles: must list at least one profile",
	}},
	{"empty table", "directories: {}\nprofiles: {}\nbackends: {}\n", []string{
		"f:1:1: directories: must have at least one entry",
		"f:2:1: profiles: must have at least one entry",
		"f:3:1: backends: must have at least one entry",
	}},
	{"entry without keys", "backends:\n  local:\n", []string{
		"f:2:3: backends.local: has no keys",
	}},
	{"backend without type", "backends:\n  local: {key_type: p256}\n", []string{
		"f:2:10: backends.local.type: is missing; it must be localca, sectigo, digicert, globalsign, godaddy, ib1 or upstream",
	}},
	{"backend of unknown type", "backends:\n  local: {type: localcs}\n", []string{
		"f:2:17: backends.local.type: must be localca, sectigo, digicert, globalsign, godaddy, ib1 or upstream; did you mean localca?",
	}},
	{"unknown backend", "profiles:\n  tls:\n    backend: locl\n", []string{
		"f:3:14: profiles.tls.backend: no backend has this name; did you mean local?",
	}},
	{"profile without backend", "profiles:\n  tls: {validity: 1d}\n", []string{
		"f:2:3: profiles.tls.backend: is missing; it must name a backend; there is local",
	}},
	{"unknown backend through a default", "backends:\n  ca: {type: localca}\n", []string{
		"f: profiles.tls.backend: no backend has this name; there is ca; this is the standard entry, because the file has no section profiles",
	}},
	{"upper case name", "profiles:\n  TLS: {backend: local}\n", []string{
		"f:2:3: profiles: a name must be of a-z, 0-9 and -, start and end with a letter or a digit, and be no longer than 40",
	}},
	{"base_url plain", "base_url: http://localhost:14000\n", []string{
		"f:1:11: base_url: must be https://, a host and perhaps a port, and nothing behind it",
	}},
	{"base_url with path", "base_url: https://localhost:14000/acme\n", []string{
		"f:1:11: base_url: must be https://, a host and perhaps a port, and nothing behind it",
	}},
	{"base_url with slash", "base_url: https://localhost:14000/\n", []string{
		"f:1:11: base_url: must be https://, a host and perhaps a port, and nothing behind it",
	}},
	{"base_url with user", "base_url: https://me@localhost\n", []string{
		"f:1:11: base_url: must be https://, a host and perhaps a port, and nothing behind it",
	}},
	{"base_url with query", "base_url: https://localhost?a\n", []string{
		"f:1:11: base_url: must be https://, a host and perhaps a port, and nothing behind it",
	}},
	{"base_url relative", "base_url: localhost\n", []string{
		"f:1:11: base_url: must be https://, a host and perhaps a port, and nothing behind it",
	}},
	{"base_url bad port", "base_url: https://localhost:99999\n", []string{
		"f:1:11: base_url: must be https://, a host and perhaps a port, and nothing behind it",
	}},
	{"listen without port", "listen: localhost\n", []string{
		"f:1:9: listen: must be an address and a port, for example 127.0.0.1:14000 or [::1]:14000",
	}},
	{"listen port zero", "listen: 127.0.0.1:0\n", []string{
		"f: base_url: must be set when the port of listen is 0",
	}},
	{"same address twice", "pki_listen: 127.0.0.1:14000\n", []string{
		"f:1:13: pki_listen: is the same address as listen",
	}},
	{"cert without key", "tls:\n  cert: a.pem\n", []string{
		"f:1:1: tls: needs both cert and key, or neither",
	}},
	{"same path", "directories:\n  a: {profiles: [tls], path: /directory}\n  default: {profiles: [tls]}\n", []string{
		"f:3:3: directories.default.path: is the path of directory a already",
	}},
	{"same host", "directories:\n  a: {profiles: [tls], host: acme.example}\n  b: {profiles: [tls], host: acme.example, path: /b}\n", []string{
		"f:3:30: directories.b.host: is the host of directory a already",
	}},
	{"host of base_url", "directories: {a: {profiles: [tls], host: localhost}}\n", []string{
		"f:1:42: directories.a.host: is the host of base_url, which all directories share that have none of their own",
	}},
	{"bad path", "directories: {a: {profiles: [tls], path: '/a/../b'}, b: {profiles: [tls], path: 'b'}, c: {profiles: [tls], path: '/c?x'}}\n", []string{
		"f:1:42: directories.a.path: must start with / and be of plain segments, for example /directory",
		"f:1:81: directories.b.path: must start with / and be of plain segments, for example /directory",
		"f:1:114: directories.c.path: must start with / and be of plain segments, for example /directory",
	}},
	{"bad links", "directories: {a: {profiles: [tls], website: example.org, terms_of_service: 'javascript:alert(1)', host: 'A.example'}}\n", []string{
		"f:1:45: directories.a.website: must be an absolute http or https URL",
		"f:1:76: directories.a.terms_of_service: must be an absolute http or https URL",
		"f:1:105: directories.a.host: must be a host name in lower case, without scheme and port",
	}},
	{"CAA without a name for the CA", "profiles:\n  tls: {backend: local, caa: true}\n", []string{
		"f:2:30: profiles.tls.caa: needs backends.local.caa_identities, the domain names by which CAA records name the CA",
	}},
	{"dns-persist-01 without a name for the CA", "profiles:\n  tls:\n    backend: local\n    challenges: [dns-01, dns-persist-01]\nvalidation:\n  dns_persist: {hash_prefix: 'https://acme.example.org/hash'}\n", []string{
		"f:4:26: profiles.tls.challenges[1]: dns-persist-01 needs backends.local.caa_identities, the domain names by which records name the CA",
		"f:6:30: validation.dns_persist.hash_prefix: must be an https URL that ends with /, for example https://acme.example.org/account-hash/",
	}},
	{"names that are none of the CA's", "backends:\n  local:\n    type: localca\n    caa_identities: [Ca.example, ca.example., a_b.example, ca.example, ca.example]\n", []string{
		"f:4:22: backends.local.caa_identities[0]: must be a domain name in lower case, without a dot at the end, for example ca.example.org",
		"f:4:34: backends.local.caa_identities[1]: must be a domain name in lower case, without a dot at the end, for example ca.example.org",
		"f:4:47: backends.local.caa_identities[2]: must be a domain name in lower case, without a dot at the end, for example ca.example.org",
		"f:4:72: backends.local.caa_identities[4]: is listed twice",
	}},
	{"wildcard without dns-01", "profiles:\n  tls:\n    backend: local\n    identifiers:\n      wildcard: true\n", []string{
		"f:5:17: profiles.tls.identifiers.wildcard: needs dns-01 or another DNS method among the challenges",
	}},
	{"ip with dns-01 only", "profiles: {tls: {backend: local, challenges: [dns-01], identifiers: {types: [ip], suffixes: [.example.org]}}}\n", []string{
		"f:1:70: profiles.tls.identifiers.types: ip needs http-01 or tls-alpn-01 among the challenges",
		"f:1:94: profiles.tls.identifiers.suffixes[0]: must be a domain in lower case, without a dot in front, for example example.org",
	}},
	{"validity beyond the issuer", "profiles:\n  tls:\n    backend: local\n    validity: 400d\nbackends:\n  local:\n    type: localca\n    issuer_validity: 365d\n    root_validity: 100d\n", []string{
		"f:4:15: profiles.tls.validity: is longer than the issuer lives; the most is backends.local.issuer_validity, 365d",
		"f:8:22: backends.local.issuer_validity: is longer than root_validity, 100d",
	}},
	{"one folder for two", "backends:\n  local: {type: localca, dir: a}\n  two: {type: localca, dir: ./a}\n", []string{
		"f:3:29: backends.two.dir: is the folder of backend local already",
	}},
	{"a subject by a CA without templates", "profiles: {tls: {backend: local, subject: by_ca}}\n", []string{
		"f:1:43: profiles.tls.subject: by_ca is for a CA with templates of its own; local has none",
	}},
	{"a Security Server has no use for it", "directories: {d: {profiles: [s]}}\nprofiles:\n  s: {backend: local, challenges: [tls-alpn-01], reuse_authorizations: 1h, xroad: {usage: sign}, dates: exact}\n", []string{
		"f:1:15: directories.d.external_account: must be required: profile s is for X-Road, and the external account key says for which member",
		"f:3:3: profiles.s.authorization: must be both: whoever holds the name of a Security Server is not by that the member that it belongs to",
		"f:3:3: profiles.s.lenient_replaces: must be true: a Security Server sends replaces with every renewal, and has no way to go on without",
		"f:3:23: profiles.s.challenges: a Security Server answers http-01 and finalizes only what it had to prove",
		"f:3:72: profiles.s.reuse_authorizations: must be 0s: a Security Server finalizes only orders that have something to prove",
		"f:3:105: profiles.s.dates: must be wish (as when it is left out) or upper_bound: a Security Server asks for a year in every order",
	}},
	{"a subject from nowhere", "profiles: {tls: {backend: local, subject: registry}}\n", []string{
		"f:1:12: profiles.tls.subject_from: is missing; it says where in the record of a member the subject comes from, for example {organization: name}",
	}},
	{"a subject that nobody asks for", "profiles: {tls: {backend: local, subject_from: {organization: name}}}\n", []string{
		"f:1:34: profiles.tls.subject_from: has no effect without subject: registry",
	}},
	{"signing by a profile that names no server", "directories: {d: {external_account: required, profiles: [s]}}\nprofiles:\n  s: {backend: local, lenient_replaces: true, authorization: both, xroad: {usage: sign, subject: ejbca}}\n", []string{
		"f:3:98: profiles.s.xroad.subject: must be basic_acme or fivrk for signing: CSRs of ejbca name no server, so no Security Server could prove anything",
	}},
	{"a member in place of an instance", "directories: {d: {external_account: required, profiles: [s]}}\nprofiles:\n  s: {backend: local, lenient_replaces: true, authorization: both, xroad: {usage: sign, instance: \"EX:COM:1\"}}\n", []string{
		"f:3:99: profiles.s.xroad.instance: must be the name of the instance alone, without class and code of a member",
	}},
	{"profile ids that select nothing", "directories: {d: {external_account: required, profiles: [a, b, c]}}\nprofiles:\n  a: {backend: local, lenient_replaces: true, authorization: both, xroad: {usage: auth, profile_id: b}}\n  b: {backend: local, lenient_replaces: true, authorization: both, xroad: {usage: auth}}\n  c: {backend: local, lenient_replaces: true, authorization: both, xroad: {usage: sign, profile_id: \"null\"}}\n", []string{
		"f:4:68: profiles.b.xroad.profile_id: is b, as that of profile a for the same usage in directory d; an id has to select one of them",
		"f:5:101: profiles.c.xroad.profile_id: must be of printable ASCII characters without spaces, and not null, which Security Servers send without one",
	}},
	{"a backend of a framework without a tree", "directories: {d: {external_account: required, profiles: [a]}}\nprofiles:\n  a: {backend: f}\nbackends: {f: {type: ib1, dir: d, passphrase_file: p}}\n", []string{
		"f:3:3: profiles.a.ib1.tree: is missing; backend f is that of a framework, so say which tree: client, signing or server",
	}},
	{"hosts of a framework", "backends: {local: {type: localca}, f: {type: ib1, dir: d, passphrase_file: p, hosts: [registry.example, \"https://x.example\", X.example]}}\n", []string{
		"f:1:105: backends.f.hosts[1]: is not a host in lower case, such as registry.core.trust.ib1.org",
		"f:1:126: backends.f.hosts[2]: is not a host in lower case, such as registry.core.trust.ib1.org",
	}},
	{"what has no place in a framework", "directories: {d: {profiles: [a, b]}}\nprofiles:\n  a: {backend: f, approval: required, caa: true, ib1: {tree: signing}}\n  b: {backend: local, ib1: {tree: client}}\nbackends: {f: {type: ib1, dir: d, passphrase_file: p, trees: [client], caa_identities: [ca.example]}, local: {type: localca}}\n", []string{
		"f:1:15: directories.d.external_account: must be required: profile a is of a framework, and the external account key says for which member",
		"f:3:29: profiles.a.approval: has no place here: the registry approves applications, and certificates are signed when an order is finalized",
		"f:3:44: profiles.a.caa: must be false: nothing that is certified here is in the DNS",
		"f:3:62: profiles.a.ib1.tree: is not among backends.f.trees",
		"f:4:35: profiles.b.ib1.tree: needs a backend of type ib1; local is of type localca",
	}},
	{"sectigo without anything", "profiles: {tls: {backend: ca}}\nbackends:\n  ca: {type: sectigo, url: 'https://iot.sectigo.com/api'}\n", []string{
		"f:3:3: backends.ca.username: is missing; it names the user to log in as",
		"f:3:3: backends.ca.password_file: is missing; or give the password in the variable ACMEBRIDGE_BACKENDS_CA_PASSWORD",
		"f:3:3: backends.ca.profile: is missing; it names the profile to issue under",
		"f:3:3: backends.ca.roots_file: is missing; without the roots of the CA nothing that it issues can be checked",
		"f:3:28: backends.ca.url: must be an https URL of a host, without a path, for example https://iot.sectigo.com",
	}},
	{"sectigo in the clear", "profiles: {tls: {backend: ca}}\nbackends:\n  ca: {type: sectigo, url: 'http://iot.sectigo.com', username: u, password_file: p, profile_id: 1, roots_file: r}\n", []string{
		"f:3:28: backends.ca.url: must begin with https://; http:// is for a stand-in on this machine",
	}},
	{"sectigo in large batches", "profiles: {tls: {backend: ca}}\nbackends:\n  ca: {type: sectigo, username: u, password_file: p, profile_id: 1, roots_file: r, batch: {size: 26, wait: 6s}}\n", []string{
		"f:3:98: backends.ca.batch.size: is too large; the most is 25",
		"f:3:108: backends.ca.batch.wait: is too long; the most is 5s",
	}},
	{"password in the file", "profiles: {tls: {backend: ca}}\nbackends:\n  ca: {type: sectigo, password: hunter2}\n", []string{
		"f:3:23: backends.ca.password: a secret is not written into this file; use password_file or the variable ACMEBRIDGE_BACKENDS_CA_PASSWORD",
	}},
	{"secret in the file", "backends:\n  local:\n    type: localca\n    passphrase: hunter2\n", []string{
		"f:4:5: backends.local.passphrase: a secret is not written into this file; use passphrase_file or the variable ACMEBRIDGE_BACKENDS_LOCAL_PASSPHRASE",
	}},
	{"secret under a wrong key", "backends:\n  local:\n    type: hunter2\n", []string{
		"f:3:11: backends.local.type: must be localca, sectigo, digicert, globalsign, godaddy, ib1 or upstream",
	}},
	{"origins", "cors: {origins: ['https://a.example', 'https://a.example/', 'a.example', 'null']}\n", []string{
		"f:1:39: cors.origins[1]: is not an origin; write for example https://example.org, without a path, or *",
		"f:1:61: cors.origins[2]: is not an origin; write for example https://example.org, without a path, or *",
		"f:1:74: cors.origins[3]: is not an origin; write for example https://example.org, without a path, or *",
	}},
	{"anchor", "data_dir: &a x\nlisten: *a\n", []string{
		"f:1:11: data_dir: uses an anchor or an alias; write the value out",
		"f:2:9: listen: uses an anchor or an alias; write the value out",
	}},
	{"anchor on a section", "validation: &v {attempts: 1}\n", []string{
		"f:1:13: validation: uses an anchor or an alias; write the value out",
	}},
	{"merge key", "validation:\n  <<: {attempts: 1}\n", []string{
		"f:2:3: validation.<<: unknown key",
	}},
	{"tag", "data_dir: !!str 5\n", []string{
		"f:1:11: data_dir: has a tag; write the plain value",
	}},
	{"own tag", "data_dir: !secret x\n", []string{
		"f:1:11: data_dir: has a tag; write the plain value",
	}},
	{"section as key", "{a: b}: c\n", []string{
		"f:1:1: must be a key of one word, not a section",
	}},
	{"control character", "data_dir: \"a\\nb\"\n", []string{
		"f:1:11: data_dir: holds a control character, perhaps a line break",
	}},
	{"two documents", "listen: 127.0.0.1:1\n---\nlisten: 127.0.0.1:2\n", []string{
		"f:2:1: is a second document; a configuration is one",
	}},
	{"tab", "validation:\n\thttp_port: 80\n", []string{
		"f:2:1: is not YAML: indent with blanks, not with tabs",
	}},
	{"tab behind blanks", "validation:\n  http_port: 80\n\tattempts: 3\n", []string{
		"f:3:1: is not YAML: indent with blanks, not with tabs",
	}},
	{"open bracket", "validation: {allow: [\n", []string{
		"f:2:1: is not YAML: did not find expected node content",
	}},
	{"undefined alias", "listen: *nowhere\n", []string{
		"f:1:9: is not YAML: unknown anchor 'nowhere' referenced",
	}},
	{"bad bytes", "listen: \"\xff\xfe\"\n", []string{
		"f:1:1: is not YAML: invalid leading UTF-8 octet (value: 255)",
	}},
	{"key over two lines", "\"a\\nb\": 1\nvalidation: {\"\\u202e\": 1, \"\\u202e\": 2}\n", []string{
		"f:1:1: \"a\\nb\": unknown key",
		"f:2:14: validation.\"\\u202e\": unknown key",
		"f:2:27: validation.\"\\u202e\": is given twice; the first time in line 2",
	}},
	{"deep", strings.Repeat("[", 5000), []string{
		"f:1:25: is not YAML: exceeded max depth of 24",
	}},
}

func TestBad(t *testing.T) {
	t.Parallel()
	for _, test := range bad {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Parse("f", []byte(test.text), nil)
			if err == nil {
				t.Fatal("accepted")
			}
			if got, want := err.Error(), strings.Join(test.want, "\n"); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}
