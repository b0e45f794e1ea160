package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/logbahn/logbahn/internal/config"
)

type checkObject struct {
	File     string     `json:"file" doc:"name as it was given"`
	Starts   bool       `json:"starts" doc:"whether a broker would start with it"`
	Problem  string     `json:"problem" doc:"what is wrong between settings that are fine alone; empty: nothing"`
	Settings []checkRow `json:"settings" doc:"each line that sets something"`
}

type checkRow struct {
	Line     int      `json:"line" doc:"line in the file"`
	Key      string   `json:"key" doc:"key"`
	Class    string   `json:"class" doc:"honoured, mapped, accepted without effect, refused, invalid or unknown"`
	Fatal    bool     `json:"fatal" doc:"whether it keeps a broker from starting"`
	Problems []string `json:"problems" doc:"what is wrong or strange about it"`
	Note     string   `json:"note" doc:"what becomes of it"`
}

func configCheck() *cobra.Command {
	var strict bool
	c := &cobra.Command{Use: "check FILE", Short: "Tell line by line what becomes of a server.properties", Args: exactArgs(1),
		Long: "Tells what becomes of each line of a file: honoured as in Kafka, mapped to something near it, accepted without effect, or\n" +
			"refused with the reason. FILE is a server.properties or, by its name, YAML; - is the standard input. The exit code is 1\n" +
			"when a broker would not start with it. Without -o wide only lines with something to say are shown.",
		Example: "  logbahn config check config/server.properties\n  logbahn config check server.properties -o json | jq '.settings[] | select(.fatal)'"}
	c.Flags().BoolVar(&strict, "strict", false, "take unknown keys for errors, as start --strict does")
	outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		settings, err := readSettingsFile(c, args[0])
		if err != nil {
			return err
		}
		checked := checkFile(args[0], settings, strict)
		if err := showCheck(c, checked); err != nil {
			return err
		}
		if !checked.Starts {
			return fmt.Errorf("a broker does not start with %s", args[0])
		}
		return nil
	}
	return c
}

func checkFile(name string, settings config.Settings, strict bool) checkObject {
	type place struct{ where, key string }
	problems := map[place][]config.Problem{}
	for _, p := range settings.Check() {
		at := place{p.Where, p.Key}
		problems[at] = append(problems[at], p)
	}
	checked := checkObject{File: name, Starts: true, Settings: []checkRow{}}
	for _, s := range settings {
		row := classOf(s)
		for _, p := range problems[place{s.Where(), s.Name}] {
			row.Problems = append(row.Problems, p.Text)
			row.Fatal = row.Fatal || p.Fatal || strict
			switch _, known := config.BrokerKey(s.Name); {
			case !known && strings.Contains(p.Text, "is not a key"):
				row.Class, row.Note = "unknown", ""
			case p.Fatal && row.Class != config.Refused.String():
				row.Class = "invalid"
			}
		}
		checked.Starts = checked.Starts && !row.Fatal
		checked.Settings = append(checked.Settings, row)
	}
	if checked.Starts {
		if _, err := (config.Layers{Static: settings.Map()}).Broker(); err != nil {
			checked.Starts, checked.Problem = false, err.Error()
		}
	}
	return checked
}

// classOf says what becomes of a setting whose value is fine.
func classOf(s config.Setting) checkRow {
	row := checkRow{Line: s.Line, Key: s.Name, Problems: []string{}, Class: config.NoEffect.String()}
	d, known := config.BrokerKey(s.Name)
	if !known {
		row.Note = "belongs to ZooKeeper or to a Java plug-in"
		return row
	}
	row.Class = d.Class.String()
	switch d.Class {
	case config.Mapped, config.NoEffect:
		row.Note = d.Doc
	case config.Refused:
		row.Note = "only its default is taken: " + d.Reason
	}
	return row
}

func showCheck(c *cobra.Command, checked checkObject) error {
	counts := map[string]int{}
	err := show(c, checked, "LINE KEY CLASS NOTE", func(line func(...any)) {
		for _, r := range checked.Settings {
			counts[r.Class]++
			if formOf(c) == formTable && len(r.Problems) == 0 && r.Class == config.Honoured.String() {
				continue
			}
			line(r.Line, r.Key, classCell(r), strings.Join(slices.Concat(r.Problems, noted(r)), "; "))
		}
	})
	if err != nil || !forPeople(c) {
		return err
	}
	var parts []string
	for _, class := range []string{"honoured", "mapped", "accepted without effect", "refused", "invalid", "unknown"} {
		if n := counts[class]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, class))
		}
	}
	fmt.Fprintf(c.ErrOrStderr(), "%s: %s\n", counted(len(checked.Settings), "setting"), orDash(strings.Join(parts, ", ")))
	if checked.Problem != "" {
		fmt.Fprintln(c.ErrOrStderr(), "together:", checked.Problem)
	}
	return nil
}

// noted is the note where no problem says more.
func noted(r checkRow) []string {
	if r.Note == "" || len(r.Problems) > 0 && r.Fatal {
		return nil
	}
	return []string{r.Note}
}

func classCell(r checkRow) painted {
	switch {
	case r.Fatal:
		return painted{r.Class, red}
	case len(r.Problems) > 0:
		return painted{r.Class, yellow}
	}
	return painted{r.Class, 0}
}
