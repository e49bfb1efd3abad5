package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
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
	// Refused are members that the registry does not take. What it has of them
	// stays as it was.
	Refused []admin.Refused `json:"refused"`
}

// took brings in what the server says of a page.
func (x *xroadImported) took(page admin.Import) {
	x.Created, x.Changed, x.Unchanged = append(x.Created, page.Created...), append(x.Changed, page.Changed...), append(x.Unchanged, page.Unchanged...)
	x.Removed = append(x.Removed, page.Removed...)
	for _, r := range page.Refused {
		r.Reason = strings.TrimPrefix(r.Reason, "member "+r.Member+": ")
		x.Refused = append(x.Refused, r)
	}
}

func (p *program) xroadMemberImportCommand() *cobra.Command {
	var f xroadImport
	c := &cobra.Command{
		Use: "import (--anchor FILE | FILE)", Short: "Bring the registry up to date with the global configuration of an instance",
		Long: `Bring the registry up to date with the global configuration of an X-Road instance: its members, and for
each the names of the Security Servers that it owns or is a client of.

With --anchor the configuration is downloaded from the source that the anchor names, and its signature,
expiry and hashes are checked. Without it, FILE is a shared-params.xml that you trust.

A member that the registry does not take, because a text of it is too long for instance, is named with
the reason, and the exit code is 1; what the registry has of it stays, and the others are brought in.

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
				trouble := f.freezeMissing(c.Context(), a, &done)
				if err := p.showXRoadImport(done, f); err != nil {
					return err
				}
				if trouble == nil && len(done.Refused) > 0 {
					trouble = fmt.Errorf("%s of the global configuration cannot be in the registry; the others are", counted(len(done.Refused), "member"))
					if f.dryRun {
						trouble = fmt.Errorf("%s of the global configuration cannot be in the registry; the others can", counted(len(done.Refused), "member"))
					}
				}
				return trouble
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

func (f xroadImport) apply(ctx context.Context, a *admin.Client, shared globalconf.Shared) (xroadImported, error) {
	done := xroadImported{
		Instance: shared.Instance, Created: []string{}, Changed: []string{}, Unchanged: []string{}, Missing: []string{}, Frozen: []string{}, Removed: []string{}, Skipped: []string{},
		Refused: []admin.Refused{},
	}
	chosen := func(class string) bool { return len(f.classes) == 0 || slices.Contains(f.classes, class) }
	inside := func(m admin.Member) bool {
		return strings.HasPrefix(m.ID, shared.Instance+":") && chosen(strings.Split(m.ID, ":")[1])
	}
	known, err := xroadMembers(ctx, a, inside)
	if err != nil {
		return done, err
	}
	left := maps.Clone(known)
	var list []globalconf.Member
	for _, m := range shared.Members {
		if chosen(m.Class) {
			id := xroadID(shared, m)
			delete(left, id)
			list = append(list, m)
			done.Skipped = append(done.Skipped, unusable(m)...)
		}
	}
	if len(list) == 0 {
		return done, fmt.Errorf("the global configuration of instance %s names no member%s; nothing was changed", shared.Instance, ofClasses(f.classes))
	}
	for _, m := range shared.Refused {
		if chosen(m.Class) {
			id := xroadID(shared, m)
			delete(left, id) // whoever wrote it there
			done.Refused = append(done.Refused, admin.Refused{Member: id, Reason: "a colon or slash in its class or code, where these separate the parts of an identifier"})
		}
	}
	done.Missing = missing(left)
	stale, err := f.bring(ctx, a, shared, list, known, &done)
	for again := 1; err == nil && len(stale) > 0 && again < changes; again++ {
		if known, err = xroadMembers(ctx, a, inside); err != nil {
			return done, err
		}
		list = slices.DeleteFunc(list, func(m globalconf.Member) bool { return !slices.Contains(stale, xroadID(shared, m)) })
		stale, err = f.bring(ctx, a, shared, list, known, &done)
	}
	for _, id := range stale {
		done.Refused = append(done.Refused, admin.Refused{Member: id, Reason: fmt.Sprintf("others have changed it %d times while this was at work", changes)})
	}
	return done, err
}

// bring makes records of members and what is known of them, and has them written.
// Stale are those that others have changed in between.
func (f xroadImport) bring(ctx context.Context, a *admin.Client, shared globalconf.Shared, list []globalconf.Member, known map[string]admin.Member, done *xroadImported) (stale []string, err error) {
	var records []admin.UpdateMember
	for _, m := range list {
		id := xroadID(shared, m)
		before := known[id]
		records = append(records, admin.UpdateMember{MemberContent: xroadContent(id, m, before.MemberContent), Version: before.Version})
	}
	pages, refused, err := membersByPage(records)
	if err != nil {
		return nil, err
	}
	done.Refused = append(done.Refused, refused...)
	mode := admin.ImportMode{DryRun: f.dryRun, SkipRefused: true, Versioned: true}
	for _, page := range pages {
		part, err := admin.Post[admin.Import](ctx, a, mode.Path("/v1/member-import"), page)
		if err != nil {
			return nil, err
		}
		done.took(part)
		stale = append(stale, part.Stale...)
	}
	return stale, nil
}

func xroadID(shared globalconf.Shared, m globalconf.Member) string {
	return strings.Join([]string{shared.Instance, m.Class, m.Code}, ":")
}

// pageOfMembers is how many members go to the server at a time.
const pageOfMembers = 500

// membersByPage cuts a list into pieces that no commit takes long over (SL-29).
// Refused are members that are too much by themselves.
func membersByPage(list []admin.UpdateMember) (pages [][]admin.UpdateMember, refused []admin.Refused, err error) {
	const brackets = len("[]\n")
	var page []admin.UpdateMember
	size := brackets
	for _, m := range list {
		text, err := json.Marshal(m)
		if err != nil {
			return nil, nil, err
		}
		more := len(text) + len(",")
		if brackets+more > importSize {
			refused = append(refused, admin.Refused{Member: m.ID, Reason: fmt.Sprintf("a record of %d KiB, with %d names, is more than the registry takes", more>>10, len(m.Identifiers))})
			continue
		}
		if len(page) == pageOfMembers || size+more > importSize {
			pages, page, size = append(pages, page), nil, brackets
		}
		page, size = append(page, m), size+more
	}
	if len(page) > 0 {
		pages = append(pages, page)
	}
	return pages, refused, nil
}

// freezeMissing freezes the members that are missing, if that is wanted and they
// are not too many.
func (f xroadImport) freezeMissing(ctx context.Context, a *admin.Client, done *xroadImported) error {
	if !f.freeze || f.dryRun || len(done.Missing) == 0 {
		return nil
	}
	all := len(done.Created) + len(done.Changed) + len(done.Unchanged) + len(done.Removed) + len(done.Refused) + len(done.Missing)
	if len(done.Missing)*tooMany > all && !f.force {
		return fmt.Errorf("%d of %d members are not in the global configuration, which looks like a mistake in it; nobody was frozen: look at the list without --freeze-missing, and say --force if it is right", len(done.Missing), all)
	}
	for _, id := range done.Missing {
		if _, err := admin.Post[admin.Member](ctx, a, memberPath(id, "freeze"), admin.StopMember{Reason: "not in the global configuration of " + done.Instance + " any more"}); err != nil {
			return fmt.Errorf("freeze member %s: %w", show(id), err)
		}
		done.Frozen = append(done.Frozen, id)
	}
	return nil
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
	fmt.Fprintf(p.stdout, "instance %s: %s%d created, %d changed, %d unchanged, %d frozen, %d refused\n",
		show(done.Instance), would, len(done.Created), len(done.Changed), len(done.Unchanged), len(done.Frozen), len(done.Refused))
	for _, x := range done.Refused {
		fmt.Fprintf(p.stderr, "refused: member %s: %s\n", show(x.Member), clean(x.Reason, wholeError))
	}
	for _, id := range done.Removed {
		fmt.Fprintf(p.stderr, "member %s was removed for good, so the configuration was not followed there\n", show(id))
	}
	if !f.freeze || f.dryRun {
		for _, id := range done.Missing {
			fmt.Fprintf(p.stderr, "member %s is not in the configuration; --freeze-missing would freeze it\n", show(id))
		}
	}
	for _, s := range done.Skipped {
		fmt.Fprintf(p.stderr, "left out: %s is no name that a certificate can be for\n", clean(s, wholeError))
	}
	return nil
}
