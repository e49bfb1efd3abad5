package config

import (
	"net/netip"
	"time"

	"acmebridge/acme"
)

// Config is the whole configuration, complete and checked: every default is
// filled in. Paths are as written, relative to the working directory.
type Config struct {
	Listen      string               `key:"listen" default:"127.0.0.1:14000" doc:"Address of the ACME server, HTTPS."`
	BaseURL     string               `key:"base_url" doc:"What clients see: every link is made from it, never from the Host header. Empty: https://localhost with the port of listen."`
	DataDir     string               `key:"data_dir" default:"./acmebridge-data" doc:"Folder for everything that is kept. It must be on a local disk."`
	TLS         TLS                  `key:"tls" doc:"Certificate of the ACME server. Empty: it makes its own from a private root, which it writes to <data_dir>/tls-root.pem."`
	PKIListen   string               `key:"pki_listen" default:"127.0.0.1:14080" doc:"Address for revocation lists, CA certificates and OCSP, plain HTTP. Empty: not served."`
	PKIURL      string               `key:"pki_url" doc:"What certificates say about where that is. Empty: http:// and pki_listen, with localhost for a loopback address."`
	AdminListen string               `key:"admin_listen" doc:"Address of health checks and metrics, plain HTTP. Empty: only the admin socket in data_dir."`
	Storage     Storage              `key:"storage" doc:"Where records are kept."`
	Validation  Validation           `key:"validation" doc:"How control of a name is checked."`
	Directories map[string]Directory `key:"directories" doc:"ACME endpoints, each with its own accounts. Names are of a-z, 0-9 and -."`
	Profiles    map[string]Profile   `key:"profiles" doc:"What may be ordered. Names are of a-z, 0-9 and -; clients see them."`
	Backends    map[string]Backend   `key:"backends" doc:"Certificate authorities. Names are of a-z, 0-9 and -."`
	MemberAPI   MemberAPI            `key:"member_api" doc:"The API that members use beside ACME, on the listener and below base_url. Off unless enabled."`
	OCSP        OCSP                 `key:"ocsp" doc:"How OCSP requests are answered, at pki_listen. Which CAs have OCSP is a matter of their backends."`
	Limits      Limits               `key:"limits" doc:"What one client, or all of them, may use of this server."`
	CORS        CORS                 `key:"cors" doc:"ACME clients that run in a browser."`
	Log         Log                  `key:"log" doc:"Log lines, on standard error."`
	EABKeyFile  string               `key:"eab_key_file" doc:"File with the key that seals external account keys at rest; made on first use. Empty: <data_dir>/eab.key. Keep it out of backups of data_dir."`
}

// TLS names the certificate of the ACME server.
type TLS struct {
	Cert string `key:"cert" doc:"PEM file: the certificate, then its chain."`
	Key  string `key:"key" doc:"PEM file with the private key."`
}

// Storage says where records are kept.
type Storage struct {
	Bolt Bolt `key:"bolt" doc:"One file, one process. The default."`
}

// Bolt is the embedded store.
type Bolt struct {
	Path           string `key:"path" doc:"Database file. Empty: <data_dir>/acmebridge.db."`
	AllowNetworkFS bool   `key:"allow_network_fs" default:"false" doc:"Open the database on a network file system all the same. Locks and syncs are not reliable there: records can be lost."`
}

// Validation says how control of a name is checked.
type Validation struct {
	HTTPPort    int            `key:"http_port" default:"80" min:"1" max:"65535" doc:"Port that http-01 asks. Anything but 80 is for tests."`
	TLSALPNPort int            `key:"tls_alpn_port" default:"443" min:"1" max:"65535" doc:"Port that tls-alpn-01 asks. Anything but 443 is for tests."`
	Resolvers   []string       `key:"resolvers" doc:"DNS servers as host:port. Empty: those of the system."`
	Allow       []netip.Prefix `key:"allow" doc:"Networks that may be asked on top of the public ones, for example 10.0.0.0/8."`
	Deny        []netip.Prefix `key:"deny" doc:"Networks that are never asked; stronger than allow."`
	Timeout     time.Duration  `key:"timeout" default:"30s" min:"1s" max:"5m" doc:"Longest one attempt may take."`
	Attempts    int            `key:"attempts" default:"3" min:"1" max:"20" doc:"Attempts before a challenge is invalid."`
	Interval    time.Duration  `key:"interval" default:"5s" min:"100ms" max:"1h" doc:"Pause between two attempts."`
	DNS         DNS            `key:"dns" doc:"How the DNS is asked."`
	DNSPersist  DNSPersist     `key:"dns_persist" doc:"How records of dns-persist-01 name an account."`
}

// DNS says how the DNS servers are asked.
type DNS struct {
	TCPFirst   bool          `key:"tcp_first" default:"true" doc:"Ask over TCP, which nobody off the path can forge, and over UDP only where no connection comes about. false: the other way round."`
	Timeout    time.Duration `key:"timeout" default:"3s" min:"100ms" max:"15s" doc:"Longest wait for one answer of one server."`
	EDNSSize   int           `key:"edns_size" default:"1232" min:"512" max:"4096" doc:"Largest UDP answer in bytes. Larger ones are asked for over TCP."`
	RandomCase bool          `key:"random_case" default:"true" doc:"Ask for names in letters of random case, which a forger of UDP answers has to guess (0x20). A server that does not repeat them is asked again over TCP."`
	DNSSEC     string        `key:"dnssec" default:"record" enum:"ignore,record,require" doc:"What is made of the AD bit, by which a validating server says that it has checked signatures: record notes it in the steps of a validation, require refuses answers without it, unsigned domains included. Answers with wrong signatures never arrive, whatever is set here, if the servers validate."`
}

// DNSPersist says how records of dns-persist-01 name an account.
type DNSPersist struct {
	Account    string `key:"account" default:"hashed" enum:"hashed,plain" doc:"hashed: by a hash of its URL and key, as revision 02 of the draft has it. plain: by its URL, for clients that know revision 01."`
	HashPrefix string `key:"hash_prefix" doc:"What hashed names begin with. Records with another one do not count any more, so keep it when base_url changes. Empty: base_url and /account-hash/."`
}

// Limits protects the server's own resources, and bounds what clients may do.
type Limits struct {
	Preset                string        `key:"preset" default:"private" enum:"private,public" doc:"Where the rates come from that are not set below. private: clients are known, and many may have one address. public: anybody may come."`
	Rates                 Rates         `key:"rates" doc:"How often something may be done, for example 300/3h: so many at once, and as many again in each such time, evenly. off: no limit. Absent: that of the preset."`
	OpenOrders            int           `key:"open_orders" default:"100" min:"0" max:"10000" doc:"Orders of one account that are not over (SL-16). 0: not bounded."`
	Processing            int           `key:"processing" default:"20" min:"0" max:"10000" doc:"Orders of one account that wait for a CA; a further one stays ready (SL-17). 0: not bounded."`
	SameNames             int           `key:"same_names" default:"2" min:"0" max:"10000" doc:"Orders of one account for exactly the same names that wait for a CA (SL-17). 0: not bounded."`
	Queue                 int           `key:"queue" default:"10000" min:"0" max:"1000000" doc:"Jobs that wait for one CA, and challenges that wait to be tried, before no more orders are taken (SL-24). 0: not bounded."`
	Commits               int           `key:"commits" default:"2048" min:"0" max:"1000000" doc:"Changes that wait for the disk before no more orders are taken (SL-45). 0: not bounded."`
	RateEntries           int           `key:"rate_entries" default:"262144" min:"1024" max:"16777216" doc:"Addresses, accounts and names that the rates remember, at 16 bytes each (SL-41)."`
	HelpURL               string        `key:"help_url" doc:"Page about your limits; a refusal links to it. Empty: no link."`
	Body                  int           `key:"body" default:"51200" min:"1024" max:"1048576" doc:"Bytes of a request body (SL-1)."`
	Header                int           `key:"header" default:"16384" min:"1024" max:"1048576" doc:"Bytes of a request header (SL-2)."`
	ReadHeaderTimeout     time.Duration `key:"read_header_timeout" default:"5s" min:"100ms" max:"5m" doc:"Time to send the header (SL-3)."`
	ReadTimeout           time.Duration `key:"read_timeout" default:"15s" min:"100ms" max:"5m" doc:"Time to send the whole request (SL-3)."`
	WriteTimeout          time.Duration `key:"write_timeout" default:"30s" min:"1s" max:"10m" doc:"Time to take the answer, on top of the longest hold of a profile (SL-4)."`
	IdleTimeout           time.Duration `key:"idle_timeout" default:"60s" min:"1s" max:"1h" doc:"How long an idle connection stays open (SL-4)."`
	Connections           int           `key:"connections" default:"12000" min:"1" max:"1000000" doc:"Open connections (SL-5)."`
	ConnectionsPerAddress int           `key:"connections_per_address" default:"64" min:"0" max:"1000000" doc:"Open connections of one address (SL-5). 0: not bounded; wanted behind a proxy, where all clients have one address."`
	Streams               int           `key:"streams" default:"64" min:"1" max:"1000" doc:"HTTP/2 streams of one connection (SL-6)."`
	BadSignatures         int           `key:"bad_signatures" default:"60" min:"0" max:"1000000" doc:"Bad signatures of one address in a minute (SL-11). 0: not bounded."`
	SignatureChecks       int           `key:"signature_checks" default:"0" min:"0" max:"10000" doc:"Signatures checked at the same time (SL-12). 0: twice the number of processors."`
	Validations           int           `key:"validations" default:"256" min:"1" max:"100000" doc:"Connections to the targets of challenges at the same time (SL-13). Four times as many challenges may be under way that wait for hosts that do not answer; one account may have half of those."`
	ValidationsPerTarget  int           `key:"validations_per_target" default:"4" min:"1" max:"10000" doc:"Challenges tried at the same time against one network, /24 or /64 (SL-13)."`
}

// CORS says which web pages may use the ACME server.
type CORS struct {
	Origins []string `key:"origins" doc:"Origins such as https://example.org, or * for every one. Empty: none."`
}

// Log says how log lines look.
type Log struct {
	Format string `key:"format" default:"auto" enum:"auto,text,json" doc:"auto is text on a terminal and JSON otherwise."`
	Level  string `key:"level" default:"info" enum:"debug,info,warn,error" doc:"Least level that is written."`
}

// Directory is one ACME endpoint.
type Directory struct {
	Path             string                   `key:"path" doc:"Path of the directory object. Empty: /directory for the directory called default and for one with a host, /<name>/directory for others."`
	Host             string                   `key:"host" doc:"Host name that this directory alone answers on. Empty: that of base_url."`
	ExternalAccount  acme.ExternalAccountRule `key:"external_account" default:"optional" enum:"required,optional,off" doc:"Whether a new account must be bound to a member by an external account key."`
	Profiles         []acme.ProfileName       `key:"profiles" doc:"What may be ordered here; the first is the default. At least one."`
	PreAuthorization bool                     `key:"pre_authorization" default:"false" doc:"Let accounts prove names ahead of any order (newAuthz), by the rules of the first profile; a later order uses what was proved."`
	TermsOfService   string                   `key:"terms_of_service" doc:"URL of terms that a new account must agree to. Empty: none."`
	Website          string                   `key:"website" doc:"URL that tells people about this server."`
	// PlainContacts and FixedKeys are never nil in a loaded configuration.
	PlainContacts *bool `key:"plain_contacts" doc:"Take contacts that are a mail address without mailto:, as X-Road Security Servers send them, and addresses at a host of a single label. Absent: true in directories with a profile for X-Road, false in others."`
	FixedKeys     *bool `key:"fixed_keys" doc:"Refuse to change the keys of accounts. X-Road Security Servers do not store the key that they have changed to, and make another account every hour where they may change it. Absent: true in directories with a profile for X-Road, false in others."`
}

// ApprovalRequired is the approval rule of a profile whose orders wait for a
// person.
const ApprovalRequired = "required"

// SubjectFrom says where in a member's record the attributes of a subject are.
type SubjectFrom struct {
	Country      string `key:"country" doc:"C, two capital letters."`
	State        string `key:"state" doc:"ST."`
	Locality     string `key:"locality" doc:"L."`
	Organization string `key:"organization" doc:"O."`
	Unit         string `key:"unit" doc:"OU."`
}

// Profile is what may be ordered.
type Profile struct {
	Description           string                 `key:"description" doc:"One line for clients that list profiles."`
	Backend               string                 `key:"backend" doc:"Name of the backend that issues. Required."`
	Authorization         acme.AuthorizationRule `key:"authorization" default:"challenge" enum:"challenge,registry,both" doc:"What entitles an order to its names: challenge wants control of each one proved, registry wants the record of the account's member to have them and nothing proved, both wants both."`
	Challenges            []acme.ChallengeType   `key:"challenges" default:"http-01" enum:"http-01,dns-01,tls-alpn-01,dns-account-01,dns-persist-01" doc:"Ways to prove control that are offered. dns-persist-01 needs caa_identities of the backend; its challenges have no token, which some clients do not cope with, so it is never offered unless it is listed here."`
	Usages                []acme.Usage           `key:"usages" default:"server_auth,client_auth" enum:"server_auth,client_auth,code_signing,email_protection" doc:"Extended key usages of the certificate."`
	Subject               acme.SubjectRule       `key:"subject" default:"common_name" enum:"common_name,empty,by_ca,registry" doc:"registry names the member beside the first name that fits, as subject_from says; a CSR may say the same or less, and nothing else is delivered. common_name puts the first name that fits into the subject, empty leaves it empty, by_ca takes what the template of a remote CA puts there: a name that was ordered, and organization and place."`
	SubjectFrom           SubjectFrom            `key:"subject_from" doc:"Where in the record of the member the subject comes from, with subject: registry. Each value is name, for the name of the member, or the name of one of its attributes; an attribute of the subject without a value is left out. An order of a member whose record has no such text is refused."`
	Validity              time.Duration          `key:"validity" default:"90d" min:"1m" max:"36500d" doc:"How long the certificate is valid. Of no effect with a sectigo backend, where the profile of the CA decides, see max_validity, and with a digicert backend, see order_validity."`
	Identifiers           Identifiers            `key:"identifiers" doc:"Names that may be ordered."`
	KeyTypes              []string               `key:"key_types" default:"rsa,p256,p384,p521" enum:"rsa,p256,p384,p521,ed25519" doc:"Kinds of certificate key that are accepted."`
	OrderLifetime         time.Duration          `key:"order_lifetime" default:"7d" min:"1m" max:"90d" doc:"Time to prove and finalize an order."`
	AuthorizationLifetime time.Duration          `key:"authorization_lifetime" default:"30d" min:"1m" max:"398d" doc:"How long a proof stands."`
	ReuseAuthorizations   time.Duration          `key:"reuse_authorizations" default:"0s" min:"0s" max:"398d" doc:"How long after a proof later orders of the same account are spared it. 0s: every order is proved anew. Leave it off for X-Road, which finalizes only orders that have something to prove."`
	Hold                  time.Duration          `key:"hold" default:"3s" min:"0s" max:"8s" doc:"How long an answer may wait for the work behind it, so that a fast CA answers in one round trip. Some clients give up after 10 s."`
	IssuanceDeadline      time.Duration          `key:"issuance_deadline" default:"7d" min:"1m" max:"90d" doc:"Time after which an order that its CA never answers is given up."`
	Dates                 acme.DatesRule         `key:"dates" enum:"exact,upper_bound,wish,refuse" doc:"What notBefore and notAfter of an order mean: exact grants notAfter to the second or refuses it, upper_bound takes it as the latest end that the client can use, wish takes an order with any dates and goes by the profile, refuse takes no dates. Absent: wish in profiles for X-Road, exact in others. For X-Road upper_bound is a wish as well where the CA does not let the end be chosen."`
	Renewal               Renewal                `key:"renewal" doc:"When clients that ask are told to renew (RFC 9773)."`
	LenientReplaces       bool                   `key:"lenient_replaces" default:"false" doc:"Take an order whose replaces names a certificate that it cannot replace as an ordinary order, instead of refusing it. For clients that always send replaces."`
	ResubmitOnDoubt       bool                   `key:"resubmit_on_doubt" default:"false" doc:"Ask the CA once more when nothing tells whether it got the request. This can buy a certificate twice."`
	Reattach              acme.ReattachRule      `key:"reattach" default:"refuse" enum:"refuse,swap,new" doc:"What becomes of an order with a new key while the CA works on one of the same account for the same names: refuse tells the client when to finalize again, swap lets the later one take the place of the earlier one as long as nothing was sent, or where the CA lets an order be brought to another key (digicert, and godaddy with reissue: true; also one that was issued less than reattach_within ago, which is then reissued), new buys another certificate. An order with the same key always shares what is under way."`
	ReattachWithin        time.Duration          `key:"reattach_within" default:"1d" min:"0s" max:"90d" doc:"How long after its issue a certificate serves later orders of the same account for the same names and key, so that a client that gave up gets what was bought for it; never beyond half of its life. The same for a request that was given up at issuance_deadline. 0s: never. Certificates that are signed here cost nothing and are always made anew."`
	RetryAfter            time.Duration          `key:"retry_after" default:"0s" min:"0s" max:"1h" doc:"The shortest pause that clients are told to make between two looks at an order that its CA works on. Security Servers of X-Road look five times and then give up, so four pauses must be longer than what the CA takes: a third of that is a good value for them. 0s: a few seconds, or as the CA goes on."`
	Approval              string                 `key:"approval" default:"none" enum:"none,required" doc:"required makes each finalized order wait until an operator approves it (acmebridge order approve), before the CA hears of it."`
	Approvers             []string               `key:"approvers" doc:"Users of this machine who may approve and reject orders, by login name. Empty: whoever may operate the server."`
	ApprovalWithin        time.Duration          `key:"approval_within" default:"3d" min:"1m" max:"90d" doc:"Time to approve an order; then it ends."`
	XRoad                 XRoad                  `key:"xroad" doc:"For X-Road Security Servers."`
	IB1                   IB1Profile             `key:"ib1" doc:"For IB1 trust frameworks."`
	CAA                   bool                   `key:"caa" default:"false" doc:"Ask the CAA records of each name whether the CA may issue, when control is proved and again at finalize when that was 8 hours ago (RFC 8659, RFC 8657). Needs caa_identities of the backend. Private CAs, which no CAA record names, go without."`
}

// Identifiers bounds the names of an order.
type Identifiers struct {
	Types []acme.IdentifierType `key:"types" default:"dns" enum:"dns,ip" doc:"Kinds of name."`
	// SingleLabel is never nil in a loaded configuration.
	SingleLabel *bool    `key:"single_label" doc:"Accept names of one label, such as localhost. Absent: true when the backend is a private CA (localca), false otherwise."`
	Wildcard    bool     `key:"wildcard" default:"false" doc:"Accept wildcard names; they need dns-01."`
	Suffixes    []string `key:"suffixes" doc:"Domains that names must lie in. Empty: any."`
	Max         int      `key:"max" default:"100" min:"1" max:"250" doc:"Names in one order (SL-8)."`
}

// Backend is one certificate authority. Type says which of the other fields
// belongs to it.
type Backend struct {
	Type string `key:"type" enum:"localca,sectigo,digicert,globalsign,godaddy,ib1,upstream" doc:"Kind of CA: localca signs here, sectigo buys at Sectigo IoT Manager, digicert at DigiCert CertCentral, globalsign at GlobalSign Atlas, godaddy at GoDaddy, ib1 signs here for an IB1 trust framework, upstream orders at any CA that speaks ACME. Required."`
	// CAAIdentities is common to all types.
	CAAIdentities []string `key:"caa_identities" doc:"Domain names by which DNS records name this CA: in CAA records, and in those of dns-persist-01. At most 10, in lower case. In front of a CA that checks CAA itself, they have to be that CA's."`
	// OCSP is too.
	OCSP       BackendOCSP `key:"ocsp" doc:"OCSP for the certificates of this CA, at pki_listen."`
	LocalCA    LocalCA     `when:"localca"`
	Sectigo    Sectigo     `when:"sectigo"`
	DigiCert   DigiCert    `when:"digicert"`
	IB1        IB1         `when:"ib1"`
	GlobalSign GlobalSign  `when:"globalsign"`
	GoDaddy    GoDaddy     `when:"godaddy"`
	Upstream   Upstream    `when:"upstream"`
}
