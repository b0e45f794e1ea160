package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/logbahn/logbahn/internal/config"
)

func configCommand() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Files of settings: check, explain, convert"}
	needsSubcommand(c)
	c.AddCommand(configCheck(), configExplain(), configConvert())
	return c
}

// settingsFileBytesMax is more than the parsers take, so that it is they who say that a file is too large.
const settingsFileBytesMax = 4 << 20

// readSettingsFile reads a file of settings; - is the standard input.
func readSettingsFile(c *cobra.Command, name string) (config.Settings, error) {
	in := c.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, &cliError{code: exitNotFound, err: err}
		}
		defer f.Close()
		in = f
	} else {
		in, name = interruptible{c.Context(), in}, "stdin"
	}
	return parseSettings(in, name)
}

// parseSettings reads what may be a pipe or a device without an end.
func parseSettings(in io.Reader, name string) (config.Settings, error) {
	data, err := io.ReadAll(io.LimitReader(in, settingsFileBytesMax))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return config.Parse(name, data)
}
