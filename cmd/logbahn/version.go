package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// release is the version of this source tree.
const release = "0.1.0"

func versionCommand() *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "Print the version", Args: exactArgs(0)}
	outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		v := map[string]string{"version": version(), "go": runtime.Version(), "platform": runtime.GOOS + "/" + runtime.GOARCH}
		if format, _ := c.Flags().GetString("output"); format == "table" {
			_, err := fmt.Fprintf(c.OutOrStdout(), "logbahn %s (%s, %s)\n", v["version"], v["go"], v["platform"])
			return err
		}
		return show(c, v, "", nil)
	}
	return c
}

// version is the release, and the revision that it was built from where the toolchain recorded one.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return release + "+" + s.Value[:12]
			}
		}
	}
	return release
}
