package kafkacli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kgo"
)

// KafkaVersion is the release whose tools these are.
const KafkaVersion = "4.3.1"

// Env is what a command works with.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Client are options for every connection, such as a dialer into the process.
	Client []kgo.Opt
	// Interactive tells that standard input is a terminal: the console producer then shows a prompt.
	Interactive bool
	// StartServer runs a server, until the context ends or, as a daemon, in the background, and returns an exit code;
	// StopServers stops those that were started so and says how many. Nil: not offered.
	StartServer func(ctx context.Context, s ServerStart) int
	StopServers func() (int, error)
}

// tool is one command.
type tool struct {
	name string
	does string // shown above the help
	// empty is shown above the help when there are no words at all, where that differs.
	empty   string
	options []option
	run     func(ctx context.Context, c *call) error
	// raw takes the whole command line itself: tools that follow another parser.
	raw func(ctx context.Context, c *call, args []string) error
	// badOption says what an option error looks like.
	badOption errorStyle
	// failed says what any other error looks like.
	failed func(c *call, err error)
	// untilStopped tells that the end of the context is the ordinary end of the tool.
	untilStopped bool
}

// errorStyle is how a tool prints a command line that does not parse.
type errorStyle int8

const (
	messageOnly errorStyle = iota
	messageAndHelp
)

// tools are all tools, by name.
var tools []*tool

func init() {
	tools = []*tool{
		brokerAPIVersionsTool(), clusterTool(), configsTool(), consoleConsumerTool(), consoleProducerTool(), consumerGroupsTool(),
		consumerPerfTool(), deleteRecordsTool(), dumpLogTool(), featuresTool(), getOffsetsTool(), groupsTool(), leaderElectionTool(), logDirsTool(), metadataQuorumTool(), producerPerfTool(), reassignPartitionsTool(), replicaVerificationTool(), serverStartTool(), serverStopTool(), storageTool(), topicsTool(),
		verifiableConsumerTool(), verifiableProducerTool(),
		zooKeeperTool("zookeeper-server-start", "kafka-server-start is all that is needed"), zooKeeperTool("zookeeper-server-stop", "kafka-server-stop is all that is needed"),
	}
	slices.SortFunc(tools, func(a, b *tool) int { return strings.Compare(a.name, b.name) })
}

// Names returns the names of all tools, sorted.
func Names() []string {
	names := make([]string, len(tools))
	for i, t := range tools {
		names[i] = t.name
	}
	return names
}

// Lookup returns the tool that a program's name stands for: without folders, .sh, .bat and .exe. ok tells whether there
// is one.
func Lookup(program string) (name string, ok bool) {
	if i := strings.LastIndexAny(program, `/\`); i >= 0 {
		program = program[i+1:]
	}
	for _, suffix := range []string{".exe", ".sh", ".bat"} {
		program = strings.TrimSuffix(program, suffix)
	}
	return program, find(program) != nil
}

func find(name string) *tool {
	for _, t := range tools {
		if t.name == name {
			return t
		}
	}
	return nil
}

// call is one run of a tool.
type call struct {
	Env
	tool  *tool
	opts  *options
	words []string      // the command line
	out   *bufio.Writer // standard output; whoever prints and then waits flushes it
}

// exitInterrupted is the exit code of a tool that was stopped by its context's end: a shell's for Ctrl-C.
const exitInterrupted = 130

// nobodyReads tells whether err is that the reader of standard output has gone. A connection to a broker can break with the same
// errno, and that is a failure.
func nobodyReads(err error) bool {
	var connection *net.OpError
	return errors.Is(err, syscall.EPIPE) && !errors.As(err, &connection)
}

// Run runs the tool of that name, which [Lookup] knows, and returns its exit code: 130 when the context ends before the
// tool does. Nobody reading standard output any longer is no failure.
func Run(ctx context.Context, env Env, name string, args []string) int {
	t := find(name)
	if t == nil {
		fmt.Fprintf(env.Stderr, "there is no tool %s\n", name)
		return 1
	}
	c := &call{Env: env, tool: t, words: args, out: bufio.NewWriterSize(env.Stdout, 64<<10)}
	err := c.do(ctx, args)
	if flushErr := c.out.Flush(); err == nil {
		err = flushErr
	}
	switch {
	case ended(ctx) && !t.untilStopped:
		return exitInterrupted
	case nobodyReads(err):
		return 0
	}
	return c.finish(err)
}

func (c *call) do(ctx context.Context, args []string) error {
	if c.tool.raw != nil {
		return c.tool.raw(ctx, c, args)
	}
	args, err := c.withoutZooKeeper(args)
	if err != nil {
		return err
	}
	c.opts, err = parse(append(slices.Clone(c.tool.options), helpAndVersion...), args)
	if err != nil {
		return err
	}
	switch {
	case len(args) == 0 && c.tool.empty != "":
		return usage("%s", c.tool.empty)
	case len(args) == 0 || c.opts.has("help"):
		return usage("%s", c.tool.does)
	case c.opts.has("version"):
		fmt.Fprintln(c.out, KafkaVersion)
		return nil
	}
	return c.tool.run(ctx, c)
}

// finish prints an error as the tool does and returns the exit code.
func (c *call) finish(err error) int {
	var exit exitError
	var wrong *usageError
	var option *optionError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return int(exit)
	case errors.As(err, &wrong):
		fmt.Fprintln(c.Stderr, wrong.text)
		c.printHelp(c.Stderr)
	case errors.As(err, &option) && c.tool.badOption == messageAndHelp:
		fmt.Fprintln(c.Stderr, option.text)
		c.printHelp(c.Stderr)
	case c.tool.failed != nil:
		c.tool.failed(c, err)
		_ = c.out.Flush()
	default:
		fmt.Fprintln(c.Stderr, err)
	}
	return 1
}

// exitError ends a tool with an exit code; everything that is to be said has been printed.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageError is a command line that a tool refuses: the message is printed above the help.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usage(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// deprecated warns of an old spelling, on standard error.
func (c *call) deprecated(format, old, now string) {
	if c.opts.has(old) {
		fmt.Fprintf(c.Stderr, format+"\n", old, now)
	}
}
