package sectigotool

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"acmebridge/backends/sectigo"
	"acmebridge/cmd/internal/usage"
)

func (t *tool) profilesCommand() *cobra.Command {
	var id int64
	var params bool
	c := &cobra.Command{
		Use:     "profiles",
		Aliases: []string{"profile"},
		Short:   "List the profiles, show one, or list what one wants to be told",
		Example: t.examples("profiles", "profiles -i 42", "profile -i 42 --params"),
		Args:    usage.NoArguments,
		RunE: t.run(func(ctx context.Context, _ []string) error {
			if params && id == 0 {
				return usage.Errorf("--params: of which profile? Name it with --id")
			}
			return t.call(ctx, func(c *sectigo.Client) error {
				switch {
				case params:
					return t.showParams(ctx, c, id)
				case id != 0:
					return t.showProfile(ctx, c, id)
				}
				return t.listProfiles(ctx, c)
			})
		}),
	}
	c.Flags().Int64VarP(&id, "id", "i", 0, "number of a profile")
	c.Flags().BoolVarP(&params, "params", "p", false, "what a request under it takes")
	return c
}

func (t *tool) listProfiles(ctx context.Context, c *sectigo.Client) error {
	all, err := c.Profiles(ctx)
	if err != nil {
		return err
	}
	return t.print(list(all), func(w io.Writer) {
		fmt.Fprintln(w, "PROFILE ID\tALGORITHMS\tCA")
		for _, p := range all {
			fmt.Fprintf(w, "%d\t%s\t%s\n", p.ID, show(strings.Join(p.Algorithms, ", ")), show(p.CA))
		}
	})
}

func (t *tool) showProfile(ctx context.Context, c *sectigo.Client, id int64) error {
	p, err := c.Profile(ctx, id)
	if err != nil {
		return err
	}
	return t.print(p, func(w io.Writer) {
		fields(w, "profile", strconv.FormatInt(p.ID, 10), "name", show(p.ProfileName), "keys", show(p.KeyAlgorithmInfo), "configuration", show(p.RawConfig))
	})
}

func (t *tool) showParams(ctx context.Context, c *sectigo.Client, id int64) error {
	all, err := c.ProfileParams(ctx, id)
	if err != nil {
		return err
	}
	return t.print(list(all), func(w io.Writer) {
		fmt.Fprintln(w, "NAME\tREQUIRED\tDEFAULT\tSCOPES\tPATTERN\tHINT")
		for _, p := range all {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", show(p.Name), yes(p.Required), value(p.Value), show(strings.Join(p.Scopes, ", ")), show(p.ValidationPattern), show(p.Message))
		}
	})
}

// value writes a value of any kind for people.
func value(v sectigo.Any) string {
	var s string
	switch {
	case len(v) == 0 || string(v) == "null":
		return "-"
	case json.Unmarshal(v, &s) == nil:
		return show(s)
	}
	return show(string(v))
}
