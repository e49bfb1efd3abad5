package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
)

func (p *program) orderCommand() *cobra.Command {
	return group("order", "Orders, and what has become of them",
		"  acmebridge order list --status processing\n  acmebridge order explain ID",
		p.orderListCommand(), p.orderShowCommand(), p.orderExplainCommand(), p.orderRetryCommand(), p.orderAbandonCommand(),
		p.orderApproveCommand(), p.orderRejectCommand())
}

func (p *program) orderListCommand() *cobra.Command {
	var account, member, status string
	var limit int
	var parked, waiting, asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List orders, oldest first",
		Example: "  acmebridge order list\n  acmebridge order list --parked\n  acmebridge order list --account ID --status processing --json", Args: usage.NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if limit < 0 {
				return usage.Errorf("--limit: write how many orders to show; 0 is all")
			}
			if err := oneOf("--status", status, "pending", "ready", "processing", "valid", "invalid"); err != nil {
				return err
			}
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				switch {
				case parked && waiting:
					return usage.Errorf("give --parked or --waiting-approval")
				case parked:
					return p.listParked(c, a, asJSON)
				case waiting:
					return p.listWaiting(c, a, asJSON)
				}
				all, err := collect(c.Context(), a, "/v1/orders", url.Values{"account": {account}}, func(o admin.Order) bool {
					return (status == "" || o.Status == status) && (member == "" || o.Member == member)
				})
				if err != nil {
					return err
				}
				if limit > 0 && len(all) > limit {
					all = all[len(all)-limit:]
				}
				return table(p, asJSON, all, "There is no such order.", "ID\tSTATUS\tPROFILE\tMEMBER\tCREATED\tIDENTIFIERS", func(w io.Writer, o admin.Order) {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", o.ID, o.Status, o.Profile, show(o.Member), when(o.CreatedAt), show(namesOf(o.Identifiers)))
				})
			})
		},
	}
	c.Flags().StringVar(&account, "account", "", "only those of this account")
	c.Flags().StringVar(&member, "member", "", "only those of this member")
	c.Flags().IntVar(&limit, "limit", 0, "only the newest of them, this many (0: all)")
	c.Flags().StringVar(&status, "status", "", "only those in this status: pending, ready, processing, valid or invalid")
	c.Flags().BoolVar(&parked, "parked", false, "what waits for a person, and why")
	c.Flags().BoolVar(&waiting, "waiting-approval", false, "what waits for somebody to approve it, here or at the CA")
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (p *program) listParked(c *cobra.Command, a *admin.Client, asJSON bool) error {
	jobs, err := collect[admin.Job](c.Context(), a, "/v1/jobs/parked", nil, nil)
	if err != nil {
		return err
	}
	return table(p, asJSON, jobs, "Nothing is parked.", "SUBJECT\tSTEP\tBACKEND\tATTEMPTS\tREASON", func(w io.Writer, j admin.Job) {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", j.Subject, j.Kind, show(j.Backend), j.Attempt, show(j.Parked))
	})
}

func namesOf(ids []admin.Identifier) string {
	var names []string
	for _, id := range ids {
		names = append(names, id.Value)
	}
	return strings.Join(names, " ")
}

func explanation(c *cobra.Command, a *admin.Client, id string) (admin.Explanation, error) {
	x, err := admin.Get[admin.Explanation](c.Context(), a, "/v1/orders/"+url.PathEscape(id))
	if other := otherKind(c, a, id, err); other != "" {
		return x, errors.New(other)
	}
	return x, err
}

// otherKind says what an id is of that no order has, if it is the id of
// something: lists show ids of several kinds, and they look alike.
func otherKind(c *cobra.Command, a *admin.Client, id string, err error) string {
	var missing *admin.Error
	if !errors.As(err, &missing) || missing.Status != http.StatusNotFound {
		return ""
	}
	if x, err := admin.Get[admin.Certificate](c.Context(), a, "/v1/certificates/"+url.PathEscape(id)); err == nil {
		return fmt.Sprintf("%s is a certificate; its order is %s", show(id), x.Order)
	}
	if _, err := admin.Get[admin.Account](c.Context(), a, "/v1/accounts/"+url.PathEscape(id)); err == nil {
		return fmt.Sprintf("%s is an account; 'order list --account %[1]s' shows its orders", show(id))
	}
	return ""
}

func (p *program) orderShowCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "show ID", Short: "Show an order", Example: "  acmebridge order show ID", Args: exactly(1, "the id of an order"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				x, err := explanation(c, a, args[0])
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(x.Order)
				}
				o := x.Order
				problem := ""
				if o.Problem != nil {
					problem = o.Problem.Type + ": " + o.Problem.Detail
				}
				p.fields("id", o.ID, "status", o.Status, "identifiers", show(namesOf(o.Identifiers)), "account", o.Account, "directory", o.Directory,
					"profile", o.Profile, "member", show(o.Member), "created", when(o.CreatedAt), "expires", when(o.Expires),
					"certificate", show(o.Certificate), "problem", show(problem))
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (p *program) orderExplainCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "explain ID", Short: "Tell the life of an order, and what to do next",
		Example: "  acmebridge order explain ID\n  acmebridge order explain ID --json | jq -r .submission.quarantine", Args: exactly(1, "the id of an order"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				x, err := explanation(c, a, args[0])
				if err != nil {
					return err
				}
				if asJSON {
					return p.json(x)
				}
				writeExplanation(p.stdout, x)
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	return c
}

func (p *program) orderRetryCommand() *cobra.Command {
	var body admin.Retry
	c := &cobra.Command{
		Use: "retry ID", Short: "Put a parked order back to work",
		Long: `Put a parked order back to work, after the cause was removed.

With --resend the request is sent to the CA once more. Look at the CA first: if it has the
request already, the certificate is bought twice.`,
		Example: "  acmebridge order retry ID\n  acmebridge order retry ID --resend", Args: exactly(1, "the id of an order"),
		RunE: func(c *cobra.Command, args []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				done, err := admin.Post[admin.Done](c.Context(), a, "/v1/orders/"+url.PathEscape(args[0])+"/retry", body)
				if err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "order %s is back at work\n", args[0])
				p.note(done)
				return nil
			})
		},
	}
	c.Flags().BoolVar(&body.Resend, "resend", false, "send the request to the CA again; you answer for the CA not having it")
	return c
}

func (p *program) orderAbandonCommand() *cobra.Command {
	var body admin.Abandon
	c := &cobra.Command{
		Use: "abandon ID --reason TEXT", Short: "End an order that cannot be finished; its client is told the reason",
		Long: `End an order that cannot be finished; its client is told the reason.

What the CA has of it stays there, and what it issues is paid for and never used. With
--cancel the CA is asked first to give it up, and the order ends only when the CA has;
otherwise nothing changes. Not every CA can be asked (digicert and godaddy can), and none gives up what
it has issued.`,
		Example: `  acmebridge order abandon ID --reason "the CA has withdrawn this product"
  acmebridge order abandon ID --cancel --reason "the member has left"`, Args: exactly(1, "the id of an order"),
		RunE: func(c *cobra.Command, args []string) error {
			if strings.TrimSpace(body.Reason) == "" {
				return usage.Errorf("give a reason with --reason; the client is told")
			}
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				done, err := admin.Post[admin.Done](c.Context(), a, "/v1/orders/"+url.PathEscape(args[0])+"/abandon", body)
				if err != nil {
					return err
				}
				fmt.Fprintf(p.stdout, "order %s is invalid now\n", args[0])
				p.note(done)
				return nil
			})
		},
	}
	c.Flags().StringVar(&body.Reason, "reason", "", "what the client is told, and with --cancel the CA")
	c.Flags().BoolVar(&body.Cancel, "cancel", false, "have the CA give it up first; nothing changes when it does not")
	return c
}
