package kafkacli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func featuresTool() *tool {
	return &tool{name: "kafka-features", does: "This tool manages feature flags in Kafka.", raw: runFeatures}
}

var featuresConnection = []argument{
	{names: []string{"--bootstrap-server"}, kind: text, help: "Where the cluster answers, host:port,..."},
	{names: []string{"--bootstrap-controller"}, kind: text, help: "Where a controller answers, host:port,..."},
	{names: []string{"--command-config"}, kind: text, help: "A file with properties for the connection."},
}

var (
	featureArgument = argument{names: []string{"--feature"}, kind: text, repeats: true, help: "A feature as name=level, for disable its name. Any number of times."}
	releaseArgument = argument{names: []string{"--release-version"}, kind: text, help: "A release, such as 3.9-IV0: all of its features."}
	metadataOption  = argument{names: []string{"--metadata"}, kind: text, help: "DEPRECATED: the release of the metadata."}
	unsafeArgument  = argument{names: []string{"--unsafe"}, help: "Even if metadata is lost."}
	dryRunArgument  = argument{names: []string{"--dry-run"}, help: "Only find out whether it could be done."}
)

var featureCommands = []subcommand{
	{"describe", "Describes the current active feature flags.", nil},
	{"upgrade", "Upgrade one or more feature flags.", []argument{metadataOption, releaseArgument, featureArgument, dryRunArgument}},
	{"downgrade", "Downgrade one or more feature flags.", []argument{metadataOption, releaseArgument, featureArgument, unsafeArgument, dryRunArgument}},
	{"disable", "Disable one or more feature flags. This is the same as downgrading the version to zero.", []argument{featureArgument, unsafeArgument, dryRunArgument}},
	{"version-mapping", "Look up the corresponding features for a given metadata version.", []argument{releaseArgument}},
	{"feature-dependencies", "Look up dependencies for a given feature version.", []argument{featureArgument}},
}

func runFeatures(ctx context.Context, c *call, args []string) error {
	i := leading(args)
	where, err := parseArguments(featuresConnection, args[:i])
	if err == nil && i == len(args) {
		err = argumentErrorf("too few arguments")
	}
	if err != nil {
		return commandLine(c, err)
	}
	command, a, done, err := c.choose(featureCommands, args[i:], 0)
	if done {
		if code, ok := err.(exitError); ok && code == 0 {
			printUsage(c.out, c.tool.name, c.tool.does, featuresConnection, true)
			return nil
		}
		return err
	}
	servers := where.either("--bootstrap-server", "--bootstrap-controller")
	if servers == "" {
		return commandLine(c, failf("You must specify either --bootstrap-controller or --bootstrap-server."))
	}
	if command == "version-mapping" {
		return c.versionMapping(a)
	}
	if command == "feature-dependencies" {
		return c.featureDependencies(a)
	}
	return c.reach(ctx, where, where.text("--command-config"), func(ctx context.Context, client *kgo.Client) error {
		if command == "describe" {
			return c.describeFeatures(ctx, client)
		}
		return c.updateFeatures(ctx, client, command, a)
	})
}

// commandLine prints what is wrong with the words before the subcommand.
func commandLine(c *call, err error) error {
	fmt.Fprintf(c.Stderr, "Command line error: %v. Type --help for help.", err)
	return exitError(1)
}

// metadataVersions are the releases of metadata, the first of them level 7.
var metadataVersions = []string{"3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2", "3.7-IV0", "3.7-IV1",
	"3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0", "4.0-IV0", "4.0-IV1", "4.0-IV2", "4.0-IV3", "4.1-IV0", "4.1-IV1", "4.2-IV0",
	"4.2-IV1", "4.3-IV0", "4.4-IV0"}

const (
	firstMetadataLevel  = 7
	latestMetadataLevel = 30
)

// productionFeatures are Kafka's features: their newest level, and the metadata level from which it is the default.
var productionFeatures = []struct {
	name   string
	newest int
	since  int
}{
	{"kraft.version", 1, 21}, {"transaction.version", 2, 24}, {"group.version", 1, 22}, {"eligible.leader.replicas.version", 1, 26},
	{"share.version", 1, 28}, {"streams.version", 1, 29},
}

func metadataVersion(level int) string {
	if i := level - firstMetadataLevel; i >= 0 && i < len(metadataVersions) {
		return metadataVersions[i]
	}
	return fmt.Sprintf("UNKNOWN [%d]", level)
}

func (c *call) versionMapping(a *arguments) error {
	level := latestMetadataLevel
	if release := a.text("--release-version"); release != "" {
		i := slices.Index(metadataVersions, release)
		if i < 0 {
			return unknownRelease(release)
		}
		level = firstMetadataLevel + i
	}
	fmt.Fprintf(c.out, "metadata.version=%d (%s)\n", level, metadataVersion(level))
	for _, f := range productionFeatures {
		n := 0
		if level >= f.since {
			n = f.newest
		}
		fmt.Fprintf(c.out, "%s=%d\n", f.name, n)
	}
	return nil
}

func (c *call) featureDependencies(a *arguments) error {
	for _, word := range a.all("--feature") {
		name, written, _ := strings.Cut(word, "=")
		level, err := strconv.ParseInt(written, 10, 16)
		if err != nil {
			return failf("Invalid version format: %s for feature %s", written, name)
		}
		if name == "metadata.version" {
			if i := int(level) - firstMetadataLevel; i < 0 || i >= len(metadataVersions) {
				return failf("Unknown metadata.version %d", level)
			}
			fmt.Fprintf(c.out, "%s=%d (%s) has no dependencies.\n", name, level, metadataVersion(int(level)))
			continue
		}
		i := slices.IndexFunc(productionFeatures, func(f struct {
			name   string
			newest int
			since  int
		}) bool {
			return f.name == name
		})
		switch {
		case i < 0:
			return failf("Unknown feature: %s", name)
		case level < 0 || int(level) > productionFeatures[i].newest:
			return failf("Feature level %d is not supported for feature %s", level, name)
		}
		fmt.Fprintf(c.out, "%s=%d has no dependencies.\n", name, level)
	}
	return nil
}

func (c *call) describeFeatures(ctx context.Context, client *kgo.Client) error {
	resp, err := apiVersions(ctx, client)
	if err != nil {
		return err
	}
	finalized := map[string]int16{}
	for _, f := range resp.FinalizedFeatures {
		finalized[f.Name] = f.MaxVersionLevel
	}
	epoch := missing
	if resp.FinalizedFeaturesEpoch >= 0 {
		epoch = fmt.Sprint(resp.FinalizedFeaturesEpoch)
	}
	var rows [][4]string
	var widths [4]int
	for _, f := range resp.SupportedFeatures {
		row := [4]string{f.Name, levelText(f.Name, f.MinVersion), levelText(f.Name, f.MaxVersion), levelText(f.Name, finalized[f.Name])}
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell)+10)
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b [4]string) int { return strings.Compare(a[0], b[0]) })
	for _, r := range rows {
		fmt.Fprintf(c.out, "Feature: %-*sSupportedMinVersion: %-*sSupportedMaxVersion: %-*sFinalizedVersionLevel: %-*sEpoch: %s\n",
			widths[0], r[0], widths[1], r[1], widths[2], r[2], widths[3], r[3], epoch)
	}
	return nil
}

func levelText(feature string, level int16) string {
	if feature == "metadata.version" {
		return metadataVersion(int(level))
	}
	return fmt.Sprint(level)
}

func (c *call) updateFeatures(ctx context.Context, client *kgo.Client, command string, a *arguments) error {
	levels, err := featureLevels(command, a)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrUpdateFeaturesRequest()
	req.ValidateOnly = a.has("--dry-run")
	for _, f := range levels {
		u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		u.Feature, u.MaxVersionLevel = f.name, f.level
		switch {
		case command == "upgrade":
			u.UpgradeType = 1
		case a.find("--unsafe") != nil && a.has("--unsafe"):
			u.UpgradeType = 3
		default:
			u.UpgradeType = 2
		}
		u.AllowDowngrade = command != "upgrade"
		req.FeatureUpdates = append(req.FeatureUpdates, u)
	}
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return err
	}
	failed := 0
	for _, f := range levels {
		refused := refusal(resp.ErrorCode, resp.ErrorMessage)
		for _, r := range resp.Results {
			if r.Feature == f.name && r.ErrorCode != 0 {
				refused = refusal(r.ErrorCode, r.ErrorMessage)
			}
		}
		if refused != nil {
			failed++
		}
		fmt.Fprintln(c.out, f.outcome(command, a.has("--dry-run"), refused))
	}
	if failed > 0 {
		return failf("%d out of %d operation(s) failed.", failed, len(levels))
	}
	return nil
}

// featureLevel is a feature and the level that it is to have.
type featureLevel struct {
	name  string
	level int16
}

func featureLevels(command string, a *arguments) ([]featureLevel, error) {
	var levels []featureLevel
	for _, option := range []string{"--release-version", "--metadata"} {
		if a.find(option) == nil || !a.has(option) {
			continue
		}
		i := slices.Index(metadataVersions, a.text(option))
		if i < 0 {
			return nil, unknownRelease(a.text(option))
		}
		levels = append(levels, featureLevel{"metadata.version", int16(firstMetadataLevel + i)})
	}
	for _, word := range a.all("--feature") {
		name, written, ok := strings.Cut(word, "=")
		if command == "disable" {
			levels = append(levels, featureLevel{word, 0})
			continue
		}
		if !ok {
			return nil, failf("Can't parse feature=level string %s: equals sign not found.", word)
		}
		level, err := strconv.ParseInt(written, 10, 16)
		if err != nil {
			return nil, failf("Can't parse feature=level string %s: unable to parse %s as a short.", word, written)
		}
		levels = append(levels, featureLevel{name, int16(level)})
	}
	if len(levels) == 0 {
		return nil, failf("You must specify at least one feature to %s", command)
	}
	slices.SortFunc(levels, func(a, b featureLevel) int { return strings.Compare(a.name, b.name) })
	return levels, nil
}

func (f featureLevel) outcome(command string, dry bool, refused error) string {
	to := " to " + levelText(f.name, f.level)
	if f.name == "metadata.version" {
		to = fmt.Sprintf(" to %d", f.level)
	}
	if command == "disable" {
		to = ""
	}
	switch {
	case refused != nil && dry:
		return fmt.Sprintf("%s can not be %sd%s. %v", f.name, command, to, refused)
	case refused != nil:
		return fmt.Sprintf("Could not %s %s%s. %v", command, f.name, to, refused)
	case dry:
		return fmt.Sprintf("%s can be %sd%s.", f.name, command, to)
	}
	return fmt.Sprintf("%s was %sd%s.", f.name, command, to)
}

func unknownRelease(release string) error {
	return failf("Unknown metadata.version '%s'. Supported metadata.version are: %s", release, strings.Join(metadataVersions, ", "))
}
