package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func groupDelete() *cobra.Command {
	var yes bool
	c := &cobra.Command{Use: "delete GROUP...", Short: "Delete groups without members and their offsets", Args: minArgs(1), ValidArgsFunction: completeGroups,
		Example: "  logbahn group delete analytics --yes"}
	yesFlag(c, &yes)
	c.RunE = func(c *cobra.Command, names []string) error {
		if !yes {
			if err := confirm(c, "delete "+strings.Join(names, ", ")+" with all committed offsets?"); err != nil {
				return err
			}
		}
		return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
			deleted, err := admin.DeleteGroups(ctx, names...)
			if err != nil && len(deleted) == 0 {
				return err
			}
			failed := []error{err}
			done := 0
			for _, d := range deleted.Sorted() {
				failed = append(failed, named("group", d.Group, d.Err, ""))
				if d.Err == nil {
					done++
					fmt.Fprintf(c.ErrOrStderr(), "group %s deleted\n", d.Group)
				}
			}
			return outcome(done, failed...)
		})
	}
	return c
}
