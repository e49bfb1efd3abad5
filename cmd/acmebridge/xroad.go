package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"acmebridge/acme"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
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
	keys := xroadKeys{Member: id}
	wanted := []struct {
		profile string
		into    *admin.CreatedExternalKey
	}{{f.authProfile, &keys.Auth}, {f.signProfile, &keys.Sign}}
	key := func(profile string) admin.NewExternalKey {
		return admin.NewExternalKey{Directory: f.directory, Member: id, Profiles: []string{profile}}
	}
	for _, k := range wanted { // before anything is stored: half of this is of no use
		if _, err := admin.Post[admin.Done](ctx, a, "/v1/external-keys/check", key(k.profile)); err != nil {
			return fmt.Errorf("make the key for profile %s: %w", k.profile, err)
		}
	}
	var m admin.UpdateMember
	var added bool
	err := change(func() (err error) {
		if m, err = f.member(ctx, a, id); err != nil {
			return err
		}
		added = m.Version == 0
		_, err = admin.Post[admin.Import](ctx, a, admin.ImportMode{Versioned: true}.Path("/v1/member-import"), []admin.UpdateMember{m})
		return err
	})
	if err != nil {
		return err
	}
	for _, k := range wanted {
		*k.into, err = admin.Post[admin.CreatedExternalKey](ctx, a, "/v1/external-keys", key(k.profile))
		if err != nil && added {
			return fmt.Errorf("make the key for profile %s: %w; the member was added to the registry all the same", k.profile, err)
		}
		if err != nil {
			return fmt.Errorf("make the key for profile %s: %w", k.profile, err)
		}
	}
	keys.ACMEYML = acmeYML(f.caName, keys)
	if f.asJSON {
		return p.json(keys)
	}
	fmt.Fprintf(p.stderr, "member %s may have certificates for %s\n", show(id), show(strings.Join(m.Identifiers, ", ")))
	_, err = io.WriteString(p.stdout, keys.ACMEYML)
	return err
}

// member is the record that a member of that id gets, by what the registry has
// of it now.
func (f xroadAdd) member(ctx context.Context, a *admin.Client, id string) (admin.UpdateMember, error) {
	m := admin.UpdateMember{MemberContent: admin.MemberContent{ID: id}}
	known, err := xroadMembers(ctx, a, func(m admin.Member) bool { return m.ID == id })
	if err != nil {
		return m, err
	}
	if stored, ok := known[id]; ok {
		if stored.Status != string(acme.MemberActive) {
			return m, fmt.Errorf("member %s is %s; it gets no keys", show(id), stored.Status)
		}
		m.MemberContent, m.Version = stored.MemberContent, stored.Version
	}
	if f.name != "" {
		m.Name = f.name
	}
	for _, s := range f.servers {
		if !slices.Contains(m.Identifiers, s) {
			m.Identifiers = append(m.Identifiers, s)
		}
	}
	if len(m.Identifiers) == 0 {
		return m, usage.Errorf("name the Security Server with --server; the registry knows of none that member %s could have certificates for", show(id))
	}
	return m, nil
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
