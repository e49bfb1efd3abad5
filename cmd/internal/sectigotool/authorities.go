package sectigotool

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"acmebridge/backends/sectigo"
	"acmebridge/cmd/internal/usage"
)

func (t *tool) authoritiesCommand() *cobra.Command {
	var balances bool
	c := &cobra.Command{
		Use:   "authorities",
		Short: "List what the account may have issued",
		Long: `List what the account may have issued. The number of the profile, not that of the authority, is what
'upload' and 'revoke' want. The balance that the list itself carries is not kept up to date by the
service; --balances asks for the one that counts. As JSON it is a second document then: numbers of
authorities and their balances.`,
		Example: t.examples("authorities", "authorities --balances"),
		Args:    usage.NoArguments,
		RunE: t.run(func(ctx context.Context, _ []string) error {
			return t.call(ctx, func(c *sectigo.Client) error {
				all, err := c.Authorities(ctx)
				if err != nil {
					return err
				}
				left := map[int64]int64{}
				for _, a := range all {
					if !balances {
						break
					}
					if left[a.ID], err = c.Balance(ctx, a.ID); err != nil {
						return err
					}
				}
				return t.printAuthorities(all, left, balances)
			})
		}),
	}
	c.Flags().BoolVarP(&balances, "balances", "b", false, "ask for the balance of each as well")
	return c
}

func (t *tool) printAuthorities(all []sectigo.Authority, left map[int64]int64, balances bool) error {
	err := t.print(list(all), func(w io.Writer) {
		head := "AUTHORITY\tPROFILE ID\tPROFILE\tECOSYSTEM\tENABLED"
		if balances {
			head += "\tBALANCE"
		}
		fmt.Fprintln(w, head)
		for _, a := range all {
			fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s", a.ID, a.ProfileID, show(a.ProfileName), show(a.EcosystemName), yes(a.Enabled))
			if balances {
				fmt.Fprintf(w, "\t%d", left[a.ID])
			}
			fmt.Fprintln(w)
		}
	})
	if err != nil || !balances || t.format(asJSON) == asTable {
		return err
	}
	return t.print(left, nil)
}

// list writes no items as an empty list.
func list[T any](items []T) []T {
	if items == nil {
		return []T{}
	}
	return items
}

func (t *tool) balanceCommand() *cobra.Command {
	var authority int64
	c := &cobra.Command{
		Use:     "balance",
		Short:   "Tell how many certificates are left to an authority, or to all",
		Example: t.examples("balance -a 23", "balance"),
		Args:    usage.NoArguments,
		RunE: t.run(func(ctx context.Context, _ []string) error {
			return t.call(ctx, func(c *sectigo.Client) error {
				left := map[int64]int64{}
				ids := []int64{authority}
				if authority == 0 {
					all, err := c.Authorities(ctx)
					if err != nil {
						return err
					}
					ids = ids[:0]
					for _, a := range all {
						ids = append(ids, a.ID)
					}
				}
				for _, id := range ids {
					n, err := c.Balance(ctx, id)
					if err != nil {
						return err
					}
					left[id] = n
				}
				return t.print(left, func(w io.Writer) {
					fmt.Fprintln(w, "AUTHORITY\tBALANCE")
					for _, id := range slices.Sorted(maps.Keys(left)) {
						fmt.Fprintf(w, "%d\t%d\n", id, left[id])
					}
				})
			})
		}),
	}
	c.Flags().Int64VarP(&authority, "authority", "a", 0, "number of the authority (default: all)")
	return c
}

func (t *tool) licensesCommand() *cobra.Command {
	return &cobra.Command{
		Use: "licenses", Short: "Count certificates ordered and issued, over all authorities", Example: t.examples("licenses"), Args: usage.NoArguments,
		RunE: t.run(func(ctx context.Context, _ []string) error {
			return t.call(ctx, func(c *sectigo.Client) error {
				l, err := c.Licenses(ctx)
				if err != nil {
					return err
				}
				return t.print(l, func(w io.Writer) {
					fields(w, "ordered", strconv.FormatInt(l.Ordered, 10), "issued", strconv.FormatInt(l.Issued, 10))
				})
			})
		}),
	}
}

func (t *tool) organizationCommand() *cobra.Command {
	return &cobra.Command{
		Use: "organization", Short: "Show the organization of the account", Example: t.examples("organization"), Args: usage.NoArguments,
		RunE: t.run(func(ctx context.Context, _ []string) error {
			return t.call(ctx, func(c *sectigo.Client) error {
				o, err := c.Organization(ctx)
				if err != nil {
					return err
				}
				return t.print(o, func(w io.Writer) {
					var names []string
					for _, a := range o.Authorities {
						names = append(names, fmt.Sprintf("%d %s", a.ID, show(a.ProfileName)))
					}
					fields(w, "organization", fmt.Sprintf("%d %s", o.ID, show(o.Name)), "status", show(o.Status), "address", show(o.Address),
						"contact", show(o.PrimaryContactName), "email", show(o.PrimaryContactEmail), "phone", show(o.PrimaryContactPhone),
						"ecosystem", strconv.FormatInt(o.EcosystemID, 10), "authorities", show(strings.Join(names, ", ")))
				})
			})
		}),
	}
}
