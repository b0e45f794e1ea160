package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/logbahn/logbahn/internal/kafkacli"
)

func aliasesCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "install-aliases DIR",
		Short: "Make a folder of Kafka's commands that are this program",
		Long: "Make DIR/bin with Kafka's commands, with and without .sh, as links to this program, and DIR/config with what they\n" +
			"are given: DIR can then be used as Kafka's own folder. What is there already stays, except for links to replace.",
		Args: exactArgs(1),
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if args[0] == "" {
			return usageErrorf("the name of the folder is empty; . is the one you are in")
		}
		n, err := installAliases(args[0])
		if err != nil {
			return err
		}
		fmt.Fprintf(c.OutOrStdout(), "%d commands in %s\n", n, filepath.Join(args[0], "bin"))
		return nil
	}
	return c
}

// installAliases fills dir and returns how many commands it made.
func installAliases(dir string) (int, error) {
	program, err := os.Executable()
	if err != nil {
		return 0, err
	}
	if program, err = filepath.EvalSymlinks(program); err != nil {
		return 0, err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return 0, err
	}
	for _, folder := range []string{"bin", "config"} {
		if err := os.MkdirAll(filepath.Join(dir, folder), 0o755); err != nil {
			return 0, err
		}
	}
	n := 0
	for _, name := range kafkacli.Names() {
		for _, suffix := range []string{"", ".sh"} {
			if err := alias(program, filepath.Join(dir, "bin", name+suffix)); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, writeConfigs(dir)
}

// alias makes name a link to program. A file that is no link is somebody's own and stays.
func alias(program, name string) error {
	info, err := os.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink == 0:
		return &cliError{code: exitRefused, err: fmt.Errorf("%s is a file of its own, not a link: it stays as it is", name), hint: "install-aliases wants a folder of its own"}
	default:
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	return os.Symlink(program, name)
}

// writeConfigs writes the files that Kafka's commands are given, where there are none.
func writeConfigs(dir string) error {
	server := "# A broker of Logbahn. Every setting of Kafka's server.properties may stand here; `logbahn config explain` has them.\n" +
		"listeners=PLAINTEXT://localhost:9092\n" +
		"log.dirs=" + filepath.ToSlash(filepath.Join(dir, "data")) + "\n"
	zooKeeper := "# Logbahn has no ZooKeeper: this file is here for commands that name it.\n"
	for name, text := range map[string]string{"server.properties": server, "zookeeper.properties": zooKeeper} {
		f, err := os.OpenFile(filepath.Join(dir, "config", name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return err
		}
		_, err = f.WriteString(text)
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}
