package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/logbahn/logbahn/internal/kafkacli"
)

// kafkaTool tells whether the program was started under the name of one of Kafka's tools, as install-aliases makes
// them, and which.
func kafkaTool(program string) (name string, ok bool) { return kafkacli.Lookup(program) }

// runKafkaTool runs one of Kafka's tools and returns its exit code, which is Kafka's: 0 or 1, and 130 after Ctrl-C.
func runKafkaTool(ctx context.Context, name string, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	// Whoever reads the output may stop before its end: a write then fails instead of ending the process, and a consumer
	// leaves its group in order.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	return kafkacli.Run(ctx, kafkacli.Env{
		Stdin: stdin, Stdout: stdout, Stderr: stderr, Interactive: isTerminal(stdin),
		StartServer: func(ctx context.Context, s kafkacli.ServerStart) int { return startServer(ctx, s, stdout, stderr) },
		StopServers: stopServers,
	}, name, args)
}

// exitStatus is the exit code of a tool that has said everything itself.
type exitStatus int

func (e exitStatus) Error() string { return "" }

// kafkaCommands are Kafka's tools as subcommands. Their flags are not POSIX and not ours: the tools read them.
func kafkaCommands() []*cobra.Command {
	var commands []*cobra.Command
	for _, name := range kafkacli.Names() {
		commands = append(commands, &cobra.Command{
			Use: name, Short: "Kafka's " + name, Hidden: true, DisableFlagParsing: true,
			RunE: func(c *cobra.Command, args []string) error {
				code := runKafkaTool(c.Context(), name, args, c.InOrStdin(), c.OutOrStdout(), c.ErrOrStderr())
				if code != 0 {
					return exitStatus(code)
				}
				return nil
			},
		})
	}
	return slices.Clip(commands)
}
