package main

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"acmebridge/acme/engine"
	"acmebridge/cmd/acmebridge/config"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
	"acmebridge/storage"
)

// noticeWithin is how long before its end a certificate is noticed that nothing
// has taken the place of.
const noticeWithin = 30 * 24 * time.Hour

// watchNotices says once a day in the log which certificates of members end.
func (s *service) watchNotices(ctx context.Context) {
	tick := time.NewTicker(24 * time.Hour)
	defer tick.Stop()
	for {
		if err := s.tellNotices(ctx, s.engine.Operator()); err != nil && ctx.Err() == nil {
			s.log.Error("cannot look for certificates that end", "event", "certificate.notices", "cause", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *service) tellNotices(ctx context.Context, o engine.Operator) error {
	for p := (storage.Page{Limit: 500}); ; {
		certs, next, err := o.Notices(ctx, noticeWithin, p)
		if err != nil {
			return err
		}
		for _, c := range certs {
			n := admin.ViewNotice(c)
			s.log.Warn("a certificate ends and nothing has taken its place", "event", "certificate.expiring", "member", n.Member, "application", n.Application,
				"profile", n.Profile, "certificate", n.Certificate, "serial", n.Serial, "not_after", c.NotAfter)
		}
		if p.After = next; next == "" {
			return nil
		}
	}
}

func (p *program) memberNoticesCommand() *cobra.Command {
	var member string
	within := "30d"
	var asJSON bool
	c := &cobra.Command{
		Use: "notices", Short: "List certificates of members that end soon and that nothing has taken the place of, soonest first",
		Long: "List certificates of members that end soon and that nothing has taken the place of, soonest first. Those of a shorter life are due in its last third.\n\n" +
			"The server says the same once a day in its log, as certificate.expiring.",
		Example: "  acmebridge member notices\n  acmebridge member notices --within 60d --member vasp-17 --json", Args: usage.NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			d, err := config.ParseDuration(within)
			if err != nil || d <= 0 {
				return usage.Errorf("--within: write a duration such as 30d")
			}
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				all, err := collect(c.Context(), a, "/v1/notices", url.Values{"within": {d.String()}}, func(n admin.Notice) bool { return member == "" || n.Member == member })
				if err != nil {
					return err
				}
				return table(p, asJSON, all, "No certificate of a member is about to end.", "MEMBER\tENDS\tPROFILE\tSERIAL\tFOR", func(w io.Writer, n admin.Notice) {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", show(n.Member), when(n.NotAfter), n.Profile, n.Serial, show(strings.Join(n.Identifiers, " ")))
				})
			})
		},
	}
	c.Flags().StringVar(&member, "member", "", "only those of this member")
	c.Flags().StringVar(&within, "within", within, "those that end within this time")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}
