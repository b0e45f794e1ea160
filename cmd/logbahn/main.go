// Command logbahn is a Kafka-compatible log in one binary: the broker, its command line, and the pay-as-you-drive
// demo.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	var code int
	if name, ok := kafkaTool(os.Args[0]); ok {
		code = runKafkaTool(ctx, name, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	} else {
		code = run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	}
	stop()
	os.Exit(code)
}

// run executes one command line and returns its exit code (errors.go).
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := rootCommand()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var status exitStatus
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &status):
		return int(status)
	}
	if !errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "error:", err)
		if hint := hintOf(err); hint != "" {
			fmt.Fprintln(stderr, "hint: ", hint)
		}
	}
	return exitCode(err)
}

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "logbahn",
		Short: "A Kafka-compatible log in one binary",
		Long: "Logbahn is an Apache-Kafka-compatible log in one binary, with a pay-as-you-drive car insurance on top of it.\n" +
			"Kafka's own tools are here under their names and with their flags: logbahn kafka-topics --list.",
		Example:       "  logbahn start\n  logbahn produce rides 'a first record'\n  logbahn consume rides --from start",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate(thisVersion().line())
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return &cliError{code: exitUsage, err: err, hint: fmt.Sprintf("%s --help shows the flags", c.CommandPath())}
	})
	for _, group := range []struct {
		title    string
		commands []*cobra.Command
	}{
		{"Run:", []*cobra.Command{startCommand(), demoCommand()}},
		{"Records:", []*cobra.Command{topicCommand(), groupCommand(), produceCommand(), consumeCommand()}},
		{"Operate:", []*cobra.Command{clusterCommand(), configCommand(), doctorCommand(), benchCommand(), logCommand(), aliasesCommand()}},
	} {
		root.AddGroup(&cobra.Group{ID: group.title, Title: group.title})
		for _, c := range group.commands {
			c.GroupID = group.title
			root.AddCommand(c)
		}
	}
	root.AddCommand(versionCommand())
	root.AddCommand(kafkaCommands()...)
	needsSubcommand(root)
	root.InitDefaultHelpCmd()
	knownHelp(root)
	root.InitDefaultCompletionCmd()
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.Short = "Make the script that completes commands, topics and groups in a shell"
		needsSubcommand(completion)
		for _, shell := range completion.Commands() {
			shell.Args = exactArgs(0)
			if shell.Name() == "bash" {
				bashAlone(shell)
			}
		}
	}
	return root
}

// knownHelp makes help refuse a command that there is not: cobra would show the help of what is above it.
func knownHelp(root *cobra.Command) {
	help, _, err := root.Find([]string{"help"})
	if err != nil {
		return
	}
	shows := help.Run
	help.RunE = func(c *cobra.Command, args []string) error {
		found, rest, err := root.Find(args)
		if err == nil && len(rest) > 0 && found.HasSubCommands() {
			return found.Args(found, rest)
		}
		shows(c, args)
		return nil
	}
}

// needsSubcommand makes a command that only gathers others show its help, and refuse a word that is none of them: cobra
// would show the help and call that a success.
func needsSubcommand(c *cobra.Command) {
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		hint := c.CommandPath() + " --help shows the commands"
		c.SuggestionsMinimumDistance = 2
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			hint = "did you mean " + strings.Join(near, " or ") + "?"
		}
		return &cliError{code: exitUsage, err: fmt.Errorf("%s has no command %q", c.CommandPath(), args[0]), hint: hint}
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
}
