package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"acmebridge/cmd/acmebridge/config"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
)

func (p *program) renewalsCommand() *cobra.Command {
	return group("renewals", "When certificates should be renewed, and deciding otherwise",
		"  acmebridge renewals list --due-before 7d\n  acmebridge renewals move --backend local --now --explanation-url https://status.example.org/incident --reason \"incident 17\"",
		p.renewalsListCommand(), p.renewalsShowCommand(), p.renewalsMoveCommand(), p.renewalsDecisionsCommand())
}

// moment reads a time: as in RFC 3339, or so far from now.
func moment(flag, text string, now time.Time) (t *time.Time, err error) {
	if text == "" {
		return nil, nil
	}
	if d, err := config.ParseDuration(text); err == nil {
		at := now.Add(d).UTC().Truncate(time.Second)
		return &at, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return nil, usage.Errorf("--%s: write a time such as 2027-01-31T12:00:00Z, or a duration from now such as 7d", flag)
	}
	return &at, nil
}

func (p *program) renewalsListCommand() *cobra.Command {
	var member, profile, backend, dueBefore, after string
	var limit int
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List certificates that are due to be renewed, soonest end first",
		Long: `List certificates that are due to be renewed, soonest end first: their window has begun, or begins by --due-before.

What has expired is left out, and so is what was replaced: its client has named it in an order (replaces),
and that order has a certificate. A client that names nothing leaves its old certificate in this list.`,
		Example: "  acmebridge renewals list\n  acmebridge renewals list --member DEV/GOV/1234 --due-before 7d\n  acmebridge renewals list --profile tls --due-before 2027-01-31T00:00:00Z --limit 100 --json", Args: usage.NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if limit < 0 {
				return usage.Errorf("--limit: write how many certificates to show; 0 is all")
			}
			due, err := moment("due-before", dueBefore, time.Now())
			if err != nil {
				return err
			}
			query := url.Values{"member": {member}, "profile": {profile}, "backend": {backend}, "after": {after}}
			if due != nil {
				query.Set("due_before", due.Format(time.RFC3339))
			}
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				all, next, err := upTo[admin.Renewal](c.Context(), a, "/v1/renewals", query, limit)
				if err != nil {
					return err
				}
				err = table(p, asJSON, all, "Nothing is due to be renewed.", "ID\tSERIAL\tMEMBER\tPROFILE\tFROM\tUNTIL\tENDS\tDECIDED BY\tIDENTIFIERS", func(w io.Writer, x admin.Renewal) {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.Certificate.ID, x.Certificate.Serial, show(x.Certificate.Member), x.Certificate.Profile,
						when(x.WindowStart), when(x.WindowEnd), when(x.Certificate.NotAfter), x.DecidedBy, show(namesOf(x.Certificate.Identifiers)))
				})
				if err == nil && next != "" {
					fmt.Fprintf(p.stderr, "there is more; go on with --after %s\n", next)
				}
				return err
			})
		},
	}
	c.Flags().StringVar(&member, "member", "", "only those of this member")
	c.Flags().StringVar(&profile, "profile", "", "only those of this profile")
	c.Flags().StringVar(&backend, "backend", "", "only those of this backend")
	c.Flags().StringVar(&dueBefore, "due-before", "", "also those whose window begins before this time, or within this time from now (7d)")
	c.Flags().IntVar(&limit, "limit", 0, "no more than this many (0: all)")
	c.Flags().StringVar(&after, "after", "", "go on where an earlier list with --limit ended; it says where that was")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

// upTo reads a list up to a number of items, or all of it for 0. next is where
// the rest begins, if there is any.
func upTo[T any](ctx context.Context, c *admin.Client, path string, query url.Values, limit int) (all []T, next string, err error) {
	const atOnce = 1000
	for {
		size := atOnce
		if limit > 0 {
			size = min(size, limit-len(all))
		}
		query.Set("limit", strconv.Itoa(size))
		page, err := admin.Get[admin.Page[T]](ctx, c, path+"?"+query.Encode())
		if err != nil {
			return nil, "", err
		}
		all = append(all, page.Items...)
		if page.Next == "" || limit > 0 && len(all) == limit {
			return all, page.Next, nil
		}
		query.Set("after", page.Next)
	}
}

func (p *program) renewalsShowCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "show ID|SERIAL", Short: "Show when one certificate should be renewed, and who decided that",
		Example: "  acmebridge renewals show 5A:00:12:FE", Args: exactly(1, "the id or serial number of a certificate"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				x, err := certificate(c, a, args[0])
				if err != nil {
					return err
				}
				r, err := admin.Get[admin.Renewal](c.Context(), a, "/v1/renewals/"+url.PathEscape(x.ID))
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(r)
				}
				p.fields("certificate", x.ID, "identifiers", show(namesOf(x.Identifiers)), "member", show(x.Member), "profile", x.Profile, "backend", x.Backend,
					"valid until", when(x.NotAfter), "RFC 9773 id", r.CertID, "renew from", when(r.WindowStart), "until", when(r.WindowEnd), "decided by", r.DecidedBy,
					"reason", show(r.Reason), "explanation", show(r.ExplanationURL), "asked again in", (time.Duration(r.AskAgain) * time.Second).String(),
					"CA heard", when(r.CAAsked), "replaced by order", show(r.ReplacedBy))
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (p *program) renewalsMoveCommand() *cobra.Command {
	var m admin.MoveRenewal
	var start, end, issuedBefore string
	var asJSON bool
	c := &cobra.Command{
		Use: "move [ID|SERIAL]", Short: "Decide when certificates should be renewed: one, or those of a member, a profile or a backend",
		Long: `Decide when certificates should be renewed: one, or those of a member, a profile or a backend.

Clients that ask (RFC 9773) hear of it within hours, most of them within six. The decision is about certificates that
were issued before it was made, so that what replaces them is left alone, and takes effect at once for all of them,
however many they are. The newest decision about a certificate counts. To say the same again is safe: nothing changes,
and certificates that were issued since are still left alone; --issued-before is how to reach those too. A certificate that ends before the window begins keeps the
window that it has; a warning says how many there are. Times that are
given as a duration from now differ from one command to the next.`,
		Example: `  acmebridge renewals move 5A:00:12:FE --now
  acmebridge renewals move --backend local --now --explanation-url https://status.example.org/incident --reason "incident 17"
  acmebridge renewals move --member DEV/GOV/1234 --start 2027-01-10T00:00:00Z --end 2027-01-20T00:00:00Z
  acmebridge renewals move --profile tls --usual`,
		Args: atMostOne("the id or serial number of a certificate"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := checkMove(m, args, start, end); err != nil {
				return err
			}
			if len(args) == 1 && issuedBefore != "" {
				return usage.Errorf("--issued-before is for the certificates of a member, a profile or a backend")
			}
			now := time.Now()
			for _, x := range []struct {
				flag, text string
				to         **time.Time
			}{{"start", start, &m.WindowStart}, {"end", end, &m.WindowEnd}, {"issued-before", issuedBefore, &m.IssuedBefore}} {
				var err error
				if *x.to, err = moment(x.flag, x.text, now); err != nil {
					return err
				}
			}
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				if len(args) == 1 {
					x, err := certificate(c, a, args[0])
					if err != nil {
						return err
					}
					m.Certificate = x.ID
				}
				done, err := admin.Post[admin.MovedRenewal](c.Context(), a, "/v1/renewals", m)
				if err != nil {
					return err
				}
				if done.TooShort > 0 {
					fmt.Fprintf(p.stderr, "warning: not moved, because they end before that window begins: %s\n", counted(done.TooShort, "certificate"))
				}
				if asJSON {
					return p.json(done)
				}
				p.sayMoved(done)
				return nil
			})
		},
	}
	f := c.Flags()
	f.StringVar(&m.Member, "member", "", "the certificates of this member")
	f.StringVar(&m.Profile, "profile", "", "the certificates of this profile")
	f.StringVar(&m.Backend, "backend", "", "the certificates of this backend")
	f.StringVar(&start, "start", "", "begin of the window: a time (2027-01-31T12:00:00Z), or a duration from now (2d)")
	f.StringVar(&end, "end", "", "end of the window, written in the same way")
	f.BoolVar(&m.AtOnce, "now", false, "in place of a window: renew at once")
	f.BoolVar(&m.Usual, "usual", false, "in place of a window: take back what was decided for this certificate, member, profile or backend")
	f.StringVar(&m.ExplanationURL, "explanation-url", "", "page for people that says why; clients show it")
	f.StringVar(&m.Reason, "reason", "", "why, for the record; clients do not see it")
	f.StringVar(&issuedBefore, "issued-before", "", "only certificates issued before this time (default: now)")
	f.BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func checkMove(m admin.MoveRenewal, args []string, start, end string) error {
	scopes := len(args)
	for _, s := range []string{m.Member, m.Profile, m.Backend} {
		if s != "" {
			scopes++
		}
	}
	ways := 0
	for _, given := range []bool{start != "" || end != "", m.AtOnce, m.Usual} {
		if given {
			ways++
		}
	}
	switch {
	case scopes != 1:
		return usage.Errorf("give one certificate, or one of --member, --profile and --backend")
	case ways != 1 || (start == "") != (end == ""):
		return usage.Errorf("give --start and --end, or --now, or --usual")
	}
	return nil
}

func (p *program) sayMoved(done admin.MovedRenewal) {
	switch {
	case done.WindowStart == nil && !done.Changed:
		fmt.Fprintln(p.stdout, "nothing was decided there, so nothing changes")
	case done.WindowStart == nil:
		fmt.Fprintln(p.stdout, "taken back; other decisions about the same certificates, if any, still stand")
	default:
		again := ""
		if !done.Changed {
			again = "; that was decided already, at " + when(done.DecidedAt)
		}
		fmt.Fprintf(p.stdout, "%s to be renewed between %s and %s%s\n", counted(done.Certificates, "certificate"), when(done.WindowStart), when(done.WindowEnd), again)
	}
}

func (p *program) renewalsDecisionsCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "decisions", Short: "List what was decided for members, profiles and backends and still stands",
		Example: "  acmebridge renewals decisions", Args: usage.NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				all, err := collect[admin.RenewalDecision](c.Context(), a, "/v1/renewal-decisions", nil, nil)
				if err != nil {
					return err
				}
				return table(p, asJSON, all, "Nothing was decided for members, profiles or backends.", "ABOUT\tFROM\tUNTIL\tISSUED BEFORE\tDECIDED\tREASON", func(w io.Writer, d admin.RenewalDecision) {
					about := "backend " + d.Backend
					if d.Member != "" {
						about = "member " + d.Member
					} else if d.Profile != "" {
						about = "profile " + d.Profile
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", show(about), when(d.WindowStart), when(d.WindowEnd), when(d.IssuedBefore), when(d.DecidedAt), show(d.Reason))
				})
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}
