package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"acmebridge/backends/ib1"
	"acmebridge/backends/ib1/online"
	"acmebridge/cmd/internal/usage"
	"acmebridge/internal/admin"
	"acmebridge/storage"
)

// frameworks tells how the trees stand that are served.
func (p *parts) frameworks(ctx context.Context) ([]admin.FrameworkTree, error) {
	all := []admin.FrameworkTree{}
	for _, name := range slices.Sorted(maps.Keys(p.ib1)) {
		for _, s := range p.ib1[name].Status() {
			t := admin.FrameworkTree{
				Backend: name, Tree: string(s.Tree), Root: timeOrNil(s.Root.NotAfter), RootList: timeOrNil(s.RootList), Covered: timeOrNil(s.Covered),
				Issuers: []admin.FrameworkIssuer{}, Actions: []admin.FrameworkAction{},
			}
			for _, i := range s.Issuers {
				x := admin.FrameworkIssuer{
					Serial: i.Certificate.SerialNumber.String(), Phase: string(i.Phase), Key: i.Key, SignsUntil: timeOrNil(i.SignsUntil), Ends: timeOrNil(i.Certificate.NotAfter),
				}
				list, missing, err := p.oldest(ctx, i.Lists)
				if err != nil {
					return nil, err
				}
				if missing != "" && !p.use.offline { // who only looks has no keys
					t.Actions = append(t.Actions, missingListAction(s.Tree, i, missing, p.now())...)
				}
				if list != nil {
					x.List = &admin.FrameworkList{Name: list.Name, Number: list.Number, At: timeOrNil(list.At), Next: timeOrNil(list.Next)}
					if i.Phase != ib1.Expired {
						t.Actions = append(t.Actions, listAction(s.Tree, *list, p.now())...)
					}
				}
				if len(i.Lists) > 1 {
					x.Parts = len(i.Lists)
				}
				t.Issuers = append(t.Issuers, x)
			}
			for _, a := range s.Alarms {
				t.Actions = append(t.Actions, admin.FrameworkAction{Urgent: a.Urgent, Due: timeOrNil(a.Due), Text: a.Text})
			}
			slices.SortStableFunc(t.Actions, func(a, b admin.FrameworkAction) int { return a.Due.Compare(*b.Due) })
			all = append(all, t)
		}
	}
	return all, nil
}

// oldest is the one of these lists that ends first; nil while one is missing,
// whose name that is.
func (p *parts) oldest(ctx context.Context, names []string) (first *storage.Publication, missing string, err error) {
	for _, name := range names {
		list, there, err := p.engine.Publication(ctx, name)
		if err != nil {
			return nil, "", err
		}
		if !there {
			return nil, name, nil
		}
		if first == nil || list.Next.Before(first.Next) {
			first = &list
		}
	}
	return first, "", nil
}

// missingListAction is what is to be done about a list that nobody here makes and
// nobody has brought. The server makes those whose keys it has when it starts.
func missingListAction(tree ib1.Tree, i online.IssuerStatus, name string, now time.Time) []admin.FrameworkAction {
	if i.Key || i.Phase == ib1.NotYet || i.Phase == ib1.Expired {
		return nil
	}
	return []admin.FrameworkAction{{Urgent: true, Due: timeOrNil(now), Text: fmt.Sprintf(
		"there is no revocation list %s of issuer %s of the %s tree, whose key is not here, so who checks lists refuses its certificates: sign one where the key is, with 'ib1 crl sign', and import it with 'ib1 crl import --tree %s'",
		name, i.Certificate.SerialNumber, tree, tree)}}
}

// listNotice is how long before its end a list should long have been followed by
// another: the server makes one every day, each good for a week.
const listNotice = 48 * time.Hour

// listAction is what is to be done about a list that ends. Whoever verifies
// certificates refuses all of its issuer then.
func listAction(tree ib1.Tree, list storage.Publication, now time.Time) []admin.FrameworkAction {
	if now.Add(listNotice).Before(list.Next) {
		return nil
	}
	return []admin.FrameworkAction{{Urgent: true, Due: timeOrNil(list.Next), Text: fmt.Sprintf(
		"the revocation list %s of an issuer of the %s tree ends on %s: run the server, whose log says why it makes no other (step.failed), or, when the key of the issuer is elsewhere, sign one there and import it with 'ib1 crl import --tree %s'",
		list.Name, tree, list.Next.UTC().Format(time.RFC3339), tree)}}
}

// timeOrNil is nil for a time that there is not.
func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (p *program) ib1StatusCommand() *cobra.Command {
	var asJSON, check bool
	c := &cobra.Command{
		Use: "status", Short: "Show the trees that a server issues from, their issuers and lists, and what has to be done next",
		Example: "  acmebridge ib1 status --config ib1.yaml\n  acmebridge ib1 status --check", Args: usage.NoArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return p.operate(c.Context(), reads, func(a *admin.Client) error {
				all, err := admin.Get[[]admin.FrameworkTree](c.Context(), a, "/v1/ib1")
				if err != nil {
					return err
				}
				switch {
				case asJSON:
					err = p.json(all)
				case len(all) == 0:
					fmt.Fprintln(p.stderr, "There is no backend of type ib1 in the configuration.")
				default:
					p.ib1Status(all)
				}
				if err == nil && check && slices.ContainsFunc(all, func(t admin.FrameworkTree) bool { return len(t.Actions) > 0 }) {
					return errAlarm
				}
				return err
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "as JSON")
	c.Flags().BoolVar(&check, "check", false, "exit with 1 when something has to be done")
	return c
}

func (p *program) ib1Status(all []admin.FrameworkTree) {
	for _, t := range all {
		fmt.Fprintf(p.stdout, "%s of %s\n  root     ends %s, its list %s\n", t.Tree, t.Backend, when(t.Root), when(t.RootList))
		for _, i := range t.Issuers {
			fmt.Fprintf(p.stdout, "  issuer   %s, signs certificates until %s, ends %s, serial number %s\n", i.Phase, when(i.SignsUntil), when(i.Ends), i.Serial)
			if i.List == nil {
				fmt.Fprintln(p.stdout, "           no list yet")
				continue
			}
			fmt.Fprintf(p.stdout, "           list %d of %s, good until %s, %s\n", i.List.Number, when(i.List.At), when(i.List.Next), show(i.List.Name))
			if i.Parts > 0 {
				fmt.Fprintf(p.stdout, "           which is the oldest of %d\n", i.Parts)
			}
		}
		fmt.Fprintf(p.stdout, "  covered  until %s\n", when(t.Covered))
		for _, a := range t.Actions {
			word := "to do"
			if a.Urgent {
				word = "URGENT"
			}
			fmt.Fprintf(p.stdout, "  %s: %s\n", word, a.Text)
		}
	}
}
