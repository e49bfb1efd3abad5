package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
)

func (p *program) listWaiting(c *cobra.Command, a *admin.Client, asJSON bool) error {
	all, err := collect[admin.Waiting](c.Context(), a, "/v1/orders/waiting-approval", nil, nil)
	if err != nil {
		return err
	}
	return table(p, asJSON, all, "Nothing waits for approval.", "ID\tAPPROVER\tPROFILE\tMEMBER\tSINCE\tUNTIL\tIDENTIFIERS", func(w io.Writer, x admin.Waiting) {
		approver := "at the CA"
		if x.Approver == "here" {
			approver = "operator"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.Order.ID, approver, x.Order.Profile, show(x.Order.Member),
			when(x.Since), when(x.Until), show(namesOf(x.Order.Identifiers)))
	})
}

func (p *program) orderApproveCommand() *cobra.Command {
	return p.decideCommand("approve", "Let the CA be asked for an order that waits for approval", "ticket 17: names checked with the owner",
		`Let the CA be asked for an order that waits for approval.

Profiles with "approval: required" make each finalized order wait. Who approved is kept in
the history of the order: the user who logged in. Only the approvers of its profile may.`, "why it may go on; it is kept with the order")
}

func (p *program) orderRejectCommand() *cobra.Command {
	return p.decideCommand("reject", "End an order that waits for approval; its client is told the reason", "this name belongs to another department",
		`End an order that waits for approval. Its client is told the reason, and not by whom.`, "what the client is told")
}

func (p *program) decideCommand(verb, short, example, long, reason string) *cobra.Command {
	var body admin.Decision
	c := &cobra.Command{
		Use: verb + " ID --reason TEXT", Short: short, Long: long,
		Example: fmt.Sprintf("  acmebridge order list --waiting-approval\n  acmebridge order %s ID --reason %q", verb, example), Args: exactly(1, "the id of an order"),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(body.Reason) == "" {
				return usage.Errorf("give a reason with --reason; it is kept with the order")
			}
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				done, err := admin.Post[admin.Done](c.Context(), a, "/v1/orders/"+url.PathEscape(args[0])+"/"+verb, body)
				if err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "order %s is %s\n", args[0], map[string]string{"approve": "approved", "reject": "rejected"}[verb])
				p.note(done)
				return nil
			})
		},
	}
	c.Flags().StringVar(&body.Reason, "reason", "", reason)
	return c
}
