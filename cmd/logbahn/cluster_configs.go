package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func clusterConfigs() *cobra.Command {
	c := &cobra.Command{Use: "configs", Short: "Show and change the brokers' settings while they run"}
	needsSubcommand(c)
	c.AddCommand(configsGet(), configsSet(), configsUnset())
	return c
}

type brokerConfigRow struct {
	Broker int32 `json:"broker" doc:"node.id; -1: of all brokers (--default)"`
	configRow
}

type configsFlags struct {
	broker   int32
	defaults bool
	all      bool
}

func (f *configsFlags) add(c *cobra.Command) {
	c.Flags().Int32Var(&f.broker, "broker", -1, "the broker (-1: the first one)")
	c.Flags().BoolVar(&f.defaults, "default", false, "what is set for all brokers")
}

func configsGet() *cobra.Command {
	var f configsFlags
	c := &cobra.Command{Use: "get [KEY...]", Short: "Show the settings of a broker, and where they come from", ValidArgsFunction: completeBrokerKeys,
		Example: "  logbahn cluster configs get\n  logbahn cluster configs get log.retention.ms num.partitions\n  logbahn cluster configs get --all -o json",
		RunE: func(c *cobra.Command, keys []string) error {
			return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error { return getConfigs(ctx, c, admin, f, keys) })
		}}
	f.add(c)
	c.Flags().BoolVar(&f.all, "all", false, "those at their default too")
	outputFlag(c)
	return c
}

func getConfigs(ctx context.Context, c *cobra.Command, admin *kadm.Client, f configsFlags, keys []string) error {
	configs, err := brokerConfigs(ctx, admin, f)
	if err != nil {
		return err
	}
	rows := []brokerConfigRow{}
	for _, entry := range configs.Configs {
		wanted := slices.Contains(keys, entry.Key)
		if wanted || len(keys) == 0 && (f.all || f.defaults || entry.Source != kmsg.ConfigSourceDefaultConfig) {
			rows = append(rows, brokerConfigRow{f.id(configs.Name), configRowOf(entry)})
		}
	}
	var missing []error
	for _, key := range keys {
		if !slices.ContainsFunc(rows, func(r brokerConfigRow) bool { return r.Key == key }) {
			missing = append(missing, &cliError{code: exitNotFound, err: fmt.Errorf("setting %q: the broker has no value of that name", key), hint: "`logbahn cluster configs get --all` shows those it has, `logbahn config explain` what a setting is"})
		}
	}
	if len(rows) > 0 || len(missing) == 0 {
		missing = append(missing, show(c, rows, "SETTING VALUE SOURCE | BROKER", func(line func(...any)) {
			for _, r := range rows {
				line(r.Key, r.shown(), r.Source, r.Broker)
			}
		}))
	}
	return outcome(len(rows), missing...)
}

func (f configsFlags) id(name string) int32 {
	if f.defaults {
		return -1
	}
	var id int32
	_, _ = fmt.Sscan(name, &id)
	return id
}

// brokers returns the argument of the administrative client: a broker, or nothing for all of them.
func (f configsFlags) brokers(ctx context.Context, admin *kadm.Client) ([]int32, error) {
	if f.defaults {
		if f.broker >= 0 {
			return nil, usageErrorf("--broker and --default exclude each other")
		}
		return nil, nil
	}
	known, err := admin.ListBrokers(ctx)
	if err != nil {
		return nil, err
	}
	ids := known.NodeIDs()
	slices.Sort(ids)
	switch {
	case f.broker < 0 && len(ids) > 0:
		return ids[:1], nil
	case !slices.Contains(ids, f.broker):
		return nil, &cliError{code: exitNotFound, err: fmt.Errorf("broker %d does not exist", f.broker), hint: "`logbahn cluster brokers` shows the brokers"}
	}
	return []int32{f.broker}, nil
}

func brokerConfigs(ctx context.Context, admin *kadm.Client, f configsFlags) (kadm.ResourceConfig, error) {
	ids, err := f.brokers(ctx, admin)
	if err != nil {
		return kadm.ResourceConfig{}, err
	}
	described, err := admin.DescribeBrokerConfigs(ctx, ids...)
	if err != nil {
		return kadm.ResourceConfig{}, err
	}
	for _, r := range described {
		return r, brokerSays(r.Err, r.ErrMessage)
	}
	return kadm.ResourceConfig{}, fmt.Errorf("the broker describes nothing")
}

func configsSet() *cobra.Command {
	var f configsFlags
	c := &cobra.Command{Use: "set KEY=VALUE...", Short: "Set settings while the broker runs; they outlive a restart", Args: minArgs(1), ValidArgsFunction: completeBrokerKeys,
		Example: "  logbahn cluster configs set log.retention.ms=604800000 --default",
		RunE: func(c *cobra.Command, pairs []string) error {
			changes, err := configChanges(pairs, nil)
			if err != nil {
				return err
			}
			return alterBroker(c, f, changes)
		}}
	f.add(c)
	return c
}

func configsUnset() *cobra.Command {
	var f configsFlags
	c := &cobra.Command{Use: "unset KEY...", Short: "Put settings back to what the file or the default says", Args: minArgs(1), ValidArgsFunction: completeBrokerKeys,
		Example: "  logbahn cluster configs unset log.retention.ms --default",
		RunE: func(c *cobra.Command, keys []string) error {
			changes, err := configChanges(nil, keys)
			if err != nil {
				return err
			}
			return alterBroker(c, f, changes)
		}}
	f.add(c)
	return c
}

func alterBroker(c *cobra.Command, f configsFlags, changes []kadm.AlterConfig) error {
	return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
		ids, err := f.brokers(ctx, admin)
		if err != nil {
			return err
		}
		altered, err := admin.AlterBrokerConfigs(ctx, changes, ids...)
		if err != nil {
			return err
		}
		for _, a := range altered {
			who := "all brokers"
			if a.Name != "" {
				who = "broker " + a.Name
			}
			if a.Err != nil {
				return brokerSays(a.Err, a.ErrMessage)
			}
			var keys []string
			for _, change := range changes {
				keys = append(keys, change.Name)
			}
			fmt.Fprintf(c.ErrOrStderr(), "%s: %s changed\n", who, strings.Join(keys, ", "))
		}
		return nil
	})
}
