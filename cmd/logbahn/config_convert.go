package main

import (
	"bufio"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/logbahn/logbahn/internal/config"
)

func configConvert() *cobra.Command {
	var to string
	c := &cobra.Command{Use: "convert FILE", Short: "Give a server.properties of Kafka 0.7 to 3.x today's keys, or make it YAML", Args: exactArgs(1),
		Long: "Writes the settings of FILE (properties or, by its name, YAML; - is the standard input) with today's keys to the standard\n" +
			"output. What was renamed, joined or left out is said in comments; comments of the file itself are not kept.",
		Example: "  logbahn config convert kafka-0.8/server.properties > server.properties\n  logbahn config convert server.properties --to yaml > broker.yaml"}
	c.Flags().StringVar(&to, "to", "properties", "properties or yaml")
	_ = c.RegisterFlagCompletionFunc("to", cobra.FixedCompletions([]string{"properties", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	c.RunE = func(c *cobra.Command, args []string) error {
		if to != "properties" && to != "yaml" {
			return usageErrorf("--to %s: there are properties and yaml", to)
		}
		settings, err := readSettingsFile(c, args[0])
		if err != nil {
			return err
		}
		return convert(c, settings, to == "yaml")
	}
	return c
}

func convert(c *cobra.Command, settings config.Settings, asYAML bool) error {
	out := bufio.NewWriter(c.OutOrStdout())
	var today config.Settings
	kept, changed, dropped := 0, 0, 0
	for _, conversion := range config.Convert(lastOnes(settings)) {
		switch {
		case len(conversion.To) == 0:
			dropped++
		case conversion.Note != "":
			changed++
		default:
			kept++
		}
		if conversion.Note != "" {
			fmt.Fprintf(out, "# line %d, %s: %s\n", conversion.From.Line, printable(conversion.From.Name), conversion.Note)
		}
		today = append(today, conversion.To...)
		for _, s := range conversion.To {
			line, err := settingLine(s, asYAML)
			if err != nil {
				return err
			}
			fmt.Fprintln(out, line)
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(c.ErrOrStderr(), "%s: %d as they were, %d changed, %d left out\n", counted(kept+changed+dropped, "setting"), kept, changed, dropped)
	for _, p := range today.Check() {
		fmt.Fprintf(c.ErrOrStderr(), "note: %s\n", strings.Replace(p.String(), "; it is ignored", "", 1))
	}
	return nil
}

// lastOnes drops settings that a later line replaces: YAML has each key once.
func lastOnes(settings config.Settings) config.Settings {
	last := map[string]int{}
	for i, s := range settings {
		last[s.Name] = i
	}
	var kept config.Settings
	for i, s := range settings {
		if last[s.Name] == i {
			kept = append(kept, s)
		}
	}
	return kept
}

func settingLine(s config.Setting, asYAML bool) (string, error) {
	if asYAML {
		return config.YAMLLine(s.Name, s.Value)
	}
	return config.PropertyLine(s.Name, s.Value), nil
}
