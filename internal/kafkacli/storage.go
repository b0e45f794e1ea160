package kafkacli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

func storageTool() *tool {
	return &tool{name: "kafka-storage", does: "The Kafka storage tool.", raw: runStorage}
}

var (
	storageConfig   = argument{names: []string{"--config", "-c"}, kind: text, required: true, help: "The configuration of the broker, server.properties."}
	storageFeature  = argument{names: []string{"--feature", "-f"}, kind: text, repeats: true, help: "A feature as name=level."}
	storageRelease  = argument{names: []string{"--release-version", "-r"}, kind: text, help: "A release, such as 3.9-IV0."}
	storageCommands = []subcommand{
		{"info", "Get information about the Kafka log directories on this node.", []argument{storageConfig}},
		{"format", "Not needed here: a broker formats an empty data directory when it starts.", []argument{storageConfig,
			{names: []string{"--cluster-id", "-t"}, kind: text, required: true, help: "The id of the cluster. Without effect: the broker draws one."},
			{names: []string{"--add-scram", "-S"}, kind: text, help: "Without effect."},
			{names: []string{"--ignore-formatted", "-g"}, help: "Without effect: what is formatted stays as it is."},
			storageRelease, storageFeature,
			{names: []string{"--standalone", "-s"}, help: "Without effect."},
			{names: []string{"--no-initial-controllers", "-N"}, help: "Without effect."},
			{names: []string{"--initial-controllers", "-I"}, kind: text, help: "Without effect."},
		}},
		{"version-mapping", "Look up the corresponding features for a given metadata version.", []argument{storageRelease}},
		{"feature-dependencies", "Look up dependencies for a given feature version.", []argument{storageFeature}},
		{"random-uuid", "Print a random UUID.", nil},
	}
)

func runStorage(_ context.Context, c *call, args []string) error {
	command, a, done, err := c.choose(storageCommands, args, 0)
	if done {
		return err
	}
	switch command {
	case "random-uuid":
		fmt.Fprintln(c.out, randomUUID())
		return nil
	case "version-mapping":
		return c.versionMapping(a)
	case "feature-dependencies":
		return c.featureDependencies(a)
	case "format":
		if _, err := loadProperties(a.text("--config")); err != nil {
			return err
		}
		fmt.Fprintln(c.out, "Formatting is not needed: Logbahn formats an empty data directory when it starts. Nothing was changed.")
		return nil
	}
	return c.storageInfo(a.text("--config"))
}

// randomUUID draws an id as Kafka does: of version 4, not beginning with a dash, which an option would.
func randomUUID() string {
	for {
		var id [16]byte
		_, _ = rand.Read(id[:]) // never fails
		id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
		if s := uuid(id); s[0] != '-' {
			return s
		}
	}
}

// storageInfo shows the data directories that a configuration names, and what is wrong with them.
func (c *call) storageInfo(config string) error {
	p, err := loadProperties(config)
	if err != nil {
		return err
	}
	dirs := p["log.dirs"]
	if dirs == "" {
		dirs = p["log.dir"]
	}
	if dirs == "" {
		dirs = "/tmp/kafka-logs"
	}
	var found, problems []string
	metadata := properties{}
	for _, dir := range strings.Split(dirs, ",") {
		dir = strings.TrimSpace(dir)
		if _, err := os.Stat(dir); err != nil {
			problems = append(problems, dir+" does not exist")
			continue
		}
		found = append(found, dir)
		meta, err := loadProperties(filepath.Join(dir, "meta.properties"))
		switch {
		case err != nil && errors.Is(statError(filepath.Join(dir, "meta.properties")), os.ErrNotExist):
			problems = append(problems, dir+" is not formatted.")
		case err != nil:
			problems = append(problems, fmt.Sprintf("Error loading %s: %v", dir, err))
		default:
			metadata = meta
		}
	}
	c.printDirectories("Found log director", found)
	if len(metadata) > 0 {
		var pairs []string
		for _, key := range slices.Sorted(maps.Keys(metadata)) {
			pairs = append(pairs, key+"="+metadata[key])
		}
		fmt.Fprintf(c.out, "Found metadata: {%s}\n\n", strings.Join(pairs, ", "))
	}
	if len(problems) == 0 {
		return nil
	}
	word := "Found problem:"
	if len(problems) > 1 {
		word = "Found problems:"
	}
	fmt.Fprintf(c.out, "%s\n  %s\n\n", word, strings.Join(problems, "\n  "))
	return exitError(1)
}

func statError(name string) error {
	_, err := os.Stat(name)
	return err
}

func (c *call) printDirectories(what string, dirs []string) {
	if len(dirs) == 0 {
		return
	}
	ending := "y:"
	if len(dirs) > 1 {
		ending = "ies:"
	}
	fmt.Fprintf(c.out, "%s%s\n  %s\n\n", what, ending, strings.Join(dirs, "\n  "))
}
