package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// release is the version of this source tree.
const release = "0.1.0"

type versionInfo struct {
	Version  string `json:"version" doc:"release, and the revision behind a +"`
	Go       string `json:"go" doc:"version of the toolchain"`
	Platform string `json:"platform" doc:"operating system and processor"`
}

func thisVersion() versionInfo {
	return versionInfo{version(), runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
}

func (v versionInfo) line() string {
	return fmt.Sprintf("logbahn %s (%s, %s)\n", v.Version, v.Go, v.Platform)
}

func versionCommand() *cobra.Command {
	c := &cobra.Command{Use: "version", Short: "Print the version", Args: exactArgs(0), ValidArgsFunction: cobra.NoFileCompletions}
	outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		v := thisVersion()
		if forPeople(c) {
			_, err := fmt.Fprint(c.OutOrStdout(), v.line())
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
