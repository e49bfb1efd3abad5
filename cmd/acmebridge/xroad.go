package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"acmebridge/acme"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
	"acmebridge/internal/globalconf"
)

func (p *program) xroadCommand() *cobra.Command {
	return group("xroad", "Members of an X-Road instance: their keys for Security Servers, and the global configuration", "  acmebridge xroad member import --anchor anchor.xml\n  acmebridge xroad member add EX:COM:5550001 --server ss1.example.org --ca-name 'Example Issuing CA'",
		group("member", "Members of an X-Road instance", "  acmebridge xroad member list",
			p.xroadMemberAddCommand(), p.xroadMemberImportCommand(), p.xroadMemberListCommand()))
}

// xroadServer begins the name of an attribute that says which Security Server an
// identifier came from; the rest is the identifier. Names without one were given
// by a person, and no import takes them away.
const xroadServer = "x-road server "

type xroadAdd struct {
	name, directory, authProfile, signProfile, caName string
	servers                                           []string
	asJSON                                            bool
}

// xroadKeys are what goes into acme.yml.
type xroadKeys struct {
	Member  string                   `json:"member"`
	Auth    admin.CreatedExternalKey `json:"auth"`
	Sign    admin.CreatedExternalKey `json:"sign"`
	ACMEYML string                   `json:"acme_yml"`
}

func (p *program) xroadMemberAddCommand() *cobra.Command {
	var f xroadAdd
	c := &cobra.Command{
		Use: "add INSTANCE:CLASS:CODE", Short: "Give a member its two external account keys, and print the block for its acme.yml",
		Long: `Give a member its two external account keys, one for authentication and one for signing
certificates, and print the block to paste into /etc/xroad/conf.d/acme.yml of its Security Server.

The member is added to the registry when it is not there, and gets the names of --server in any case.
The keys may be used by any number of accounts: a Security Server that lost its keystore, or rolled
its key over, comes as a new account. The ends of the keys are shown this once.`,
		Example: "  acmebridge xroad member add EX:COM:5550001 --name 'Member One' --server ss1.example.org --ca-name 'Example Issuing CA'",
		Args:    exactly(1, "a member as INSTANCE:CLASS:CODE"),
		RunE: func(c *cobra.Command, args []string) error {
			id := strings.ReplaceAll(args[0], "/", ":")
			if parts := strings.Split(id, ":"); len(parts) != 3 || slices.Contains(parts, "") {
				return usage.Errorf("write the member as INSTANCE:CLASS:CODE, as a Security Server shows it")
			}
			if f.caName == "" {
				return usage.Errorf("name the CA with --ca-name: the common name of its certificate, as it is approved on the Central Server")
			}
			for _, s := range f.servers {
				if problem := acme.CheckIdentifierPattern(s); problem != nil {
					return usage.Errorf("--server: %s", problem.Detail)
				}
			}
			return p.operate(c.Context(), writes, func(a *admin.Client) error { return p.addXRoadMember(c.Context(), a, id, f) })
		},
	}
	c.Flags().StringVar(&f.name, "name", "", "name of the member, for people")
	c.Flags().StringArrayVar(&f.servers, "server", nil, "DNS name of a Security Server that it may have certificates for (may be repeated)")
	c.Flags().StringVar(&f.directory, "directory", "xroad", "directory for Security Servers")
	c.Flags().StringVar(&f.authProfile, "auth-profile", "xroad-auth", "profile of authentication certificates")
	c.Flags().StringVar(&f.signProfile, "sign-profile", "xroad-sign", "profile of signing certificates")
	c.Flags().StringVar(&f.caName, "ca-name", "", "common name of the CA, under which a Security Server looks for the keys")
	c.Flags().BoolVar(&f.asJSON, "json", false, "as JSON")
	return c
}

func (p *program) addXRoadMember(ctx context.Context, a *admin.Client, id string, f xroadAdd) error {
	known, err := xroadMembers(ctx, a, func(m admin.Member) bool { return m.ID == id })
	if err != nil {
		return err
	}
	content := admin.MemberContent{ID: id}
	if m, ok := known[id]; ok {
		if m.Status != string(acme.MemberActive) {
			return fmt.Errorf("member %s is %s; it gets no keys", show(id), m.Status)
		}
		content = m.MemberContent
	}
	if f.name != "" {
		content.Name = f.name
	}
	for _, s := range f.servers {
		if !slices.Contains(content.Identifiers, s) {
			content.Identifiers = append(content.Identifiers, s)
		}
	}
	if len(content.Identifiers) == 0 {
		return usage.Errorf("name the Security Server with --server; the registry knows of none that member %s could have certificates for", show(id))
	}
	if _, err := admin.Post[admin.Import](ctx, a, "/v1/member-import", []admin.MemberContent{content}); err != nil {
		return err
	}
	keys := xroadKeys{Member: id}
	for _, k := range []struct {
		profile string
		into    *admin.CreatedExternalKey
	}{{f.authProfile, &keys.Auth}, {f.signProfile, &keys.Sign}} {
		*k.into, err = admin.Post[admin.CreatedExternalKey](ctx, a, "/v1/external-keys", admin.NewExternalKey{Directory: f.directory, Member: id, Profiles: []string{k.profile}})
		if err != nil {
			return fmt.Errorf("make the key for profile %s: %w", k.profile, err)
		}
	}
	keys.ACMEYML = acmeYML(f.caName, keys)
	if f.asJSON {
		return p.json(keys)
	}
	fmt.Fprintf(p.stderr, "member %s may have certificates for %s\n", show(id), show(strings.Join(content.Identifiers, ", ")))
	_, err = io.WriteString(p.stdout, keys.ACMEYML)
	return err
}

// acmeYML is the block of one member. Names are quoted: X-Road drops a file that
// it cannot read as a whole, with a warning only.
func acmeYML(ca string, k xroadKeys) string {
	quoted := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	return fmt.Sprintf(`eab-credentials:
  certificate-authorities:
    %s:
      mac-key-base64-encoded: true
      members:
        %s:
          auth-kid: %s
          auth-mac-key: %s
          sign-kid: %s
          sign-mac-key: %s
`, quoted(ca), quoted(k.Member), quoted(k.Auth.ID), quoted(k.Auth.HMACKey), quoted(k.Sign.ID), quoted(k.Sign.HMACKey))
}

func (p *program) xroadMemberListCommand() *cobra.Command {
	var instance string
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List the members of X-Road instances", Example: "  acmebridge xroad member list --instance EX", Args: usage.NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				known, err := xroadMembers(c.Context(), a, func(m admin.Member) bool { return instance == "" || strings.HasPrefix(m.ID, instance+":") })
				if err != nil {
					return err
				}
				var all []admin.Member
				for _, id := range slices.Sorted(maps.Keys(known)) {
					all = append(all, known[id])
				}
				return table(p, asJSON, all, "There is no such member; 'xroad member add' and 'xroad member import' make some.", "MEMBER\tSTATUS\tNAME\tSERVERS", func(w io.Writer, m admin.Member) {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", show(m.ID), m.Status, show(m.Name), show(strings.Join(m.Identifiers, " ")))
				})
			})
		},
	}
	c.Flags().StringVar(&instance, "instance", "", "only members of this instance")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

// xroadMembers are the members whose id is one of X-Road, by it.
func xroadMembers(ctx context.Context, a *admin.Client, keep func(admin.Member) bool) (map[string]admin.Member, error) {
	all, err := collect(ctx, a, "/v1/members", nil, func(m admin.Member) bool { return strings.Count(m.ID, ":") == 2 && keep(m) })
	if err != nil {
		return nil, err
	}
	known := map[string]admin.Member{}
	for _, m := range all {
		known[m.ID] = m
	}
	return known, nil
}

type xroadImport struct {
	anchor                        string
	classes                       []string
	freeze, force, dryRun, asJSON bool
}

// xroadImported is what an import did, or would do.
type xroadImported struct {
	Instance  string   `json:"instance"`
	Created   []string `json:"created"`
	Changed   []string `json:"changed"`
	Unchanged []string `json:"unchanged"`
	// Missing are members of the instance that its configuration does not name.
	Missing []string `json:"missing"`
	Frozen  []string `json:"frozen"`
	// Removed were removed for good, and the configuration still names them.
	Removed []string `json:"removed"`
	// Skipped are addresses that no certificate can be for.
	Skipped []string `json:"skipped"`
}

func (p *program) xroadMemberImportCommand() *cobra.Command {
	var f xroadImport
	c := &cobra.Command{
		Use: "import (--anchor FILE | FILE)", Short: "Bring the registry up to date with the global configuration of an instance",
		Long: `Bring the registry up to date with the global configuration of an X-Road instance: its members, and for
each the names of the Security Servers that it owns or is a client of.

With --anchor the configuration is downloaded from the source that the anchor names, and its signature,
expiry and hashes are checked. Without it, FILE is a shared-params.xml that you trust.

Names that people gave a member stay; those of servers that have left the configuration go. Members that
the configuration does not name any more are listed, and frozen with --freeze-missing, unless that would
freeze more than a fifth of them: then look why, and say --force. Run it from a timer.`,
		Example: "  acmebridge xroad member import --anchor configuration_anchor.xml --freeze-missing\n  acmebridge xroad member import shared-params.xml --class GOV --dry-run",
		Args:    atMostOne("the file with the shared parameters"),
		RunE: func(c *cobra.Command, args []string) error {
			if (f.anchor == "") == (len(args) == 0) {
				return usage.Errorf("give the file with the shared parameters, or the anchor to download them by with --anchor")
			}
			shared, err := f.read(c.Context(), args)
			if err != nil {
				return err
			}
			return p.operate(c.Context(), writes, func(a *admin.Client) error {
				done, err := f.apply(c.Context(), a, shared)
				if err != nil {
					return err
				}
				return p.showXRoadImport(done, f)
			})
		},
	}
	c.Flags().StringVar(&f.anchor, "anchor", "", "configuration anchor of the instance, from its Central Server")
	c.Flags().StringArrayVar(&f.classes, "class", nil, "only members of this class (may be repeated)")
	c.Flags().BoolVar(&f.freeze, "freeze-missing", false, "freeze members of the instance that the configuration does not name")
	c.Flags().BoolVar(&f.force, "force", false, "freeze them however many there are")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would change, and change nothing")
	c.Flags().BoolVar(&f.asJSON, "json", false, "as JSON")
	return c
}

func (f xroadImport) read(ctx context.Context, args []string) (globalconf.Shared, error) {
	if f.anchor == "" {
		const maxShared = 64 << 20
		text, err := readAtMost(args[0], maxShared)
		if err != nil {
			return globalconf.Shared{}, err
		}
		return globalconf.ParseShared(text)
	}
	text, err := readLimited(f.anchor)
	if err != nil {
		return globalconf.Shared{}, err
	}
	anchor, err := globalconf.ParseAnchor(text)
	if err != nil {
		return globalconf.Shared{}, err
	}
	const patience = 2 * time.Minute
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return globalconf.Download(ctx, configurationClient(), anchor, time.Now())
}

// configurationClient goes where an anchor says, which an operator has chosen.
func configurationClient() *http.Client { return trusting(&tls.Config{MinVersion: tls.VersionTLS12}) }

// tooMany is the share of members whose disappearance is more likely a mistake
// of somebody than the end of their membership: one in so many.
const tooMany = 5

// pageOfMembers is how many members go to the server at a time; each such page
// is taken whole or not at all.
const pageOfMembers = 500

func (f xroadImport) apply(ctx context.Context, a *admin.Client, shared globalconf.Shared) (xroadImported, error) {
	done := xroadImported{Instance: shared.Instance, Created: []string{}, Changed: []string{}, Unchanged: []string{}, Missing: []string{}, Frozen: []string{}, Removed: []string{}, Skipped: []string{}}
	chosen := func(id string) bool {
		return len(f.classes) == 0 || slices.Contains(f.classes, strings.Split(id, ":")[1])
	}
	known, err := xroadMembers(ctx, a, func(m admin.Member) bool { return strings.HasPrefix(m.ID, shared.Instance+":") && chosen(m.ID) })
	if err != nil {
		return done, err
	}
	var list []admin.MemberContent
	for _, m := range shared.Members {
		id := strings.Join([]string{shared.Instance, m.Class, m.Code}, ":")
		if !chosen(id) {
			continue
		}
		before := known[id]
		delete(known, id)
		content, skipped := xroadContent(id, m, before.MemberContent)
		done.Skipped = append(done.Skipped, skipped...)
		list = append(list, content)
	}
	if len(list) == 0 {
		return done, fmt.Errorf("the global configuration of instance %s names no member%s; nothing was changed", shared.Instance, ofClasses(f.classes))
	}
	if f.dryRun {
		return f.compare(ctx, a, done, list, known)
	}
	for page := range slices.Chunk(list, pageOfMembers) {
		part, err := admin.Post[admin.Import](ctx, a, "/v1/member-import", page)
		if err != nil {
			return done, err
		}
		done.Created, done.Changed = append(done.Created, part.Created...), append(done.Changed, part.Changed...)
		done.Unchanged, done.Removed = append(done.Unchanged, part.Unchanged...), append(done.Removed, part.Removed...)
	}
	done.Missing = missing(known)
	if !f.freeze || len(done.Missing) == 0 {
		return done, nil
	}
	if all := len(list) + len(done.Missing); len(done.Missing)*tooMany > all && !f.force {
		return done, fmt.Errorf("%d of %d members are not in the global configuration, which looks like a mistake in it; nobody was frozen: look at the list without --freeze-missing, and say --force if it is right", len(done.Missing), all)
	}
	for _, id := range done.Missing {
		if _, err := admin.Post[admin.Member](ctx, a, memberPath(id, "freeze"), admin.StopMember{Reason: "not in the global configuration of " + shared.Instance + " any more"}); err != nil {
			return done, fmt.Errorf("freeze member %s: %w", show(id), err)
		}
		done.Frozen = append(done.Frozen, id)
	}
	return done, nil
}

// missing are the members that are left over and active.
func missing(known map[string]admin.Member) []string {
	ids := []string{}
	for _, id := range slices.Sorted(maps.Keys(known)) {
		if known[id].Status == string(acme.MemberActive) {
			ids = append(ids, id)
		}
	}
	return ids
}

// compare fills in what an import would do.
func (f xroadImport) compare(ctx context.Context, a *admin.Client, done xroadImported, list []admin.MemberContent, left map[string]admin.Member) (xroadImported, error) {
	known, err := xroadMembers(ctx, a, func(admin.Member) bool { return true })
	if err != nil {
		return done, err
	}
	for _, m := range list {
		before, there := known[m.ID]
		switch {
		case !there:
			done.Created = append(done.Created, m.ID)
		case before.Status == string(acme.MemberRemoved):
			done.Removed = append(done.Removed, m.ID)
		case before.Name == m.Name && slices.Equal(before.Identifiers, m.Identifiers) && maps.Equal(before.Attributes, m.Attributes):
			done.Unchanged = append(done.Unchanged, m.ID)
		default:
			done.Changed = append(done.Changed, m.ID)
		}
	}
	done.Missing = missing(left)
	return done, nil
}

// xroadContent is the record of a member: what the configuration says, and what
// people said before that it knows nothing of.
func xroadContent(id string, m globalconf.Member, before admin.MemberContent) (content admin.MemberContent, skipped []string) {
	content = before
	content.ID, content.Name = id, m.Name
	// The registry's texts have a limit, and a name is for people only.
	const longest = 250
	if len(content.Name) > longest {
		content.Name = strings.ToValidUTF8(content.Name[:longest], "") + "…"
	}
	content.Attributes = map[string]string{}
	for key, value := range before.Attributes {
		if !strings.HasPrefix(key, xroadServer) {
			content.Attributes[key] = value
		}
	}
	content.Identifiers = nil
	for _, name := range before.Identifiers {
		if _, imported := before.Attributes[xroadServer+name]; !imported {
			content.Identifiers = append(content.Identifiers, name)
		}
	}
	for _, s := range m.Servers {
		name := strings.ToLower(s.Address)
		if name == "" {
			continue
		}
		if strings.HasPrefix(name, ".") || strings.Contains(name, "*") || acme.CheckIdentifierPattern(name) != nil {
			skipped = append(skipped, fmt.Sprintf("%s of server %s", s.Address, s.Code))
			continue
		}
		if _, given := content.Attributes[xroadServer+name]; !given && slices.Contains(content.Identifiers, name) {
			continue // by a person, before the server was registered
		}
		role := "client of " + s.Code
		if s.Owned {
			role = "owner of " + s.Code
		}
		content.Attributes[xroadServer+name] = role
		if !slices.Contains(content.Identifiers, name) {
			content.Identifiers = append(content.Identifiers, name)
		}
	}
	if len(content.Attributes) == 0 {
		content.Attributes = nil
	}
	slices.Sort(content.Identifiers)
	return content, skipped
}

func ofClasses(classes []string) string {
	if len(classes) == 0 {
		return ""
	}
	return " of class " + strings.Join(classes, " or ")
}

func (p *program) showXRoadImport(done xroadImported, f xroadImport) error {
	if f.asJSON {
		return p.json(done)
	}
	would := ""
	if f.dryRun {
		would = "nothing was changed; it would be: "
	}
	fmt.Fprintf(p.stdout, "instance %s: %s%d created, %d changed, %d unchanged, %d frozen\n", show(done.Instance), would, len(done.Created), len(done.Changed), len(done.Unchanged), len(done.Frozen))
	for _, id := range done.Removed {
		fmt.Fprintf(p.stderr, "member %s was removed for good, so the configuration was not followed there\n", show(id))
	}
	if !f.freeze {
		for _, id := range done.Missing {
			fmt.Fprintf(p.stderr, "member %s is not in the configuration; --freeze-missing would freeze it\n", show(id))
		}
	}
	for _, s := range done.Skipped {
		fmt.Fprintf(p.stderr, "left out: %s is no name that a certificate can be for\n", clean(s, wholeError))
	}
	return nil
}
