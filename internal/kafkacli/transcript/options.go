package transcript

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// optionName is an option at the start of a line of a help text, or in a usage line.
var optionName = regexp.MustCompile(`(?:^|[\s\[(|])(--?[A-Za-z][A-Za-z0-9.-]*)`)

// optionLine is a line that lists an option; elsewhere a help text only speaks of them.
var optionLine = regexp.MustCompile(`^(\* |  )?--?[A-Za-z]`)

// OptionsOf returns the names of the options that a help text lists, sorted.
func OptionsOf(help string) []string {
	found := map[string]bool{}
	for line := range strings.Lines(help) {
		if !optionLine.MatchString(line) {
			continue
		}
		left, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "* "), "   ") // the column of the options
		for _, m := range optionName.FindAllStringSubmatch(left, -1) {
			found[m[1]] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// LoadOptions reads a file of commands and the options that each has: a command, a tab, and its options.
func LoadOptions(path string) (map[string][]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	options := map[string][]string{}
	for number, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		command, list, ok := strings.Cut(line, "\t")
		if !ok {
			return nil, fmt.Errorf("%s:%d: no tab", path, number+1)
		}
		options[command] = strings.Fields(list)
	}
	return options, nil
}

// SaveOptions writes what LoadOptions reads.
func SaveOptions(path string, options map[string][]string) error {
	var out strings.Builder
	for _, command := range slices.Sorted(maps.Keys(options)) {
		fmt.Fprintf(&out, "%s\t%s\n", command, strings.Join(options[command], " "))
	}
	return os.WriteFile(path, []byte(out.String()), 0o644)
}
