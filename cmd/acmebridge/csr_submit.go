package main

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
)

func (p *program) csrSubmitCommand() *cobra.Command {
	var body admin.SubmitCSR
	var out string
	var wait time.Duration
	var asJSON bool
	c := &cobra.Command{
		Use: "submit FILE", Short: "Order a certificate with a CSR, for a member without an ACME client",
		Long: `Order a certificate with a CSR. It goes the way of an order over ACME: the same profile, limits,
approval, CA and checks, and 'order explain' tells its life and who submitted it. The chain is
printed, or written with --out, as soon as it is there.

Where the profile asks the registry, name the member. Where it wants control of the names proved,
which a CSR does not, say with --vouch why you answer for it; that is kept with the order.

The same file again is the same order, until an hour after the certificate was issued: nothing is
bought twice when the answer got lost or the CA takes its time.`,
		Example: "  acmebridge csr submit vasp.csr --profile trust-x9 --member vasp --out vasp.pem\n" +
			`  acmebridge csr submit host.csr --profile tls --vouch "ticket 17: our own host"` + "\n" +
			"  acmebridge csr submit vasp.csr --profile trust-x9 --member vasp --wait 0",
		Args: exactly(1, "the file with the CSR"),
		RunE: func(c *cobra.Command, args []string) error {
			if wait < 0 {
				return usage.Errorf("--wait: write how long to wait for the certificate; 0 does not")
			}
			if _, err := os.Lstat(out); err == nil { // before anything is bought
				return fmt.Errorf("%s is there already; choose another name or move it away", out)
			}
			der, err := readCSR(args[0])
			if err != nil {
				return err
			}
			body.CSR = string(pem.EncodeToMemory(&pem.Block{Type: csrType, Bytes: der}))
			return p.operate(c.Context(), writes, func(a *admin.Client) error {
				x, err := admin.Post[admin.SubmittedCSR](c.Context(), a, "/v1/csrs", body)
				if err != nil {
					return err
				}
				if x.Known {
					fmt.Fprintf(p.stderr, "this CSR was submitted before, as order %s\n", x.Order.ID)
				}
				if err := awaitCSR(c.Context(), a, &x, wait); err != nil {
					return err
				}
				if asJSON {
					if err := p.json(x); err != nil {
						return err
					}
				}
				return p.showSubmitted(x, out, wait, asJSON)
			})
		},
	}
	c.Flags().StringVar(&body.Profile, "profile", "", "profile to order by (default: the first of the directory)")
	c.Flags().StringVar(&body.Member, "member", "", "member that the certificate is for")
	c.Flags().StringVar(&body.Application, "application", "", "URL of the member's application that it is for, in an IB1 trust framework")
	c.Flags().StringVar(&body.Directory, "directory", "", "directory to order in (default: the first that has the profile)")
	c.Flags().StringVar(&body.Replaces, "replaces", "", "id of the certificate that this one renews, which was ordered with a CSR too")
	c.Flags().StringVar(&body.Vouch, "vouch", "", "why you answer for the control of the names; kept with the order")
	c.Flags().StringVar(&out, "out", "", "file to write the chain to (default: standard output)")
	c.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long to wait for the certificate; 0 only submits")
	c.Flags().BoolVar(&asJSON, "json", false, "what became of it as JSON")
	return c
}

// awaitCSR looks at an order until it is over, or for as long as somebody waits.
func awaitCSR(ctx context.Context, a *admin.Client, x *admin.SubmittedCSR, wait time.Duration) error {
	if x.Note != "" { // no server is at work
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	look := time.NewTicker(250 * time.Millisecond)
	defer look.Stop()
	for x.Order.Status == "processing" {
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
		}
		seen, err := admin.Get[admin.Explanation](context.WithoutCancel(ctx), a, "/v1/orders/"+url.PathEscape(x.Order.ID))
		if err != nil {
			return err
		}
		x.Order, x.Certificate = seen.Order, seen.Certificate
	}
	if c := x.Certificate; c != nil && c.PEM == "" {
		whole, err := admin.Get[admin.Certificate](context.WithoutCancel(ctx), a, "/v1/certificates/"+url.PathEscape(c.ID))
		x.Certificate = &whole
		return err
	}
	return nil
}

// showSubmitted tells what became of a CSR, and writes the chain. When that was
// printed as JSON there is nothing left for the standard output.
func (p *program) showSubmitted(x admin.SubmittedCSR, out string, wait time.Duration, printed bool) error {
	o := x.Order
	switch {
	case x.Certificate != nil:
		fmt.Fprintf(p.stderr, "order %s is valid; its certificate has the serial number %s and ends %s\n", o.ID, x.Certificate.Serial, when(x.Certificate.NotAfter))
		if printed && out == "" {
			return nil
		}
		return p.write(out, public, func(w io.Writer) error { _, err := io.WriteString(w, x.Certificate.PEM); return err })
	case o.Problem != nil:
		return fmt.Errorf("order %s is %s: %s", o.ID, o.Status, show(o.Problem.Detail))
	case x.Note != "":
		fmt.Fprintf(p.stderr, "order %s is %s; %s\n", o.ID, o.Status, x.Note)
	default:
		fmt.Fprintf(p.stderr, "order %s is %s; 'acmebridge order explain %[1]s' tells what it waits for, and the same command again takes it up\n", o.ID, o.Status)
	}
	if wait > 0 {
		return errors.New("there is no certificate yet")
	}
	return nil
}
