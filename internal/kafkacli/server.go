package kafkacli

import (
	"context"
	"fmt"
	"strings"
)

// ServerStart is the command line of kafka-server-start.
type ServerStart struct {
	Daemon    bool     // run in the background, as -daemon asks
	File      string   // server.properties
	Overrides []string // key=value, the later ones first
}

const serverUsage = "USAGE: kafka-server-start [-daemon] server.properties [--override property=value]*"

func serverStartTool() *tool {
	return &tool{name: "kafka-server-start", untilStopped: true, raw: func(ctx context.Context, c *call, args []string) error {
		s, err := parseServerStart(args)
		switch {
		case err != nil:
			fmt.Fprintf(c.Stderr, "%v\n%s\n", err, serverUsage)
			return exitError(1)
		case s == nil && len(args) > 0 && args[0] == "--version":
			fmt.Fprintln(c.out, KafkaVersion)
			return nil
		case s == nil:
			fmt.Fprintln(c.out, serverUsage)
			return exitError(1)
		case c.StartServer == nil:
			return failf("A server cannot be started from here")
		}
		return exitCode(c.StartServer(ctx, *s))
	}}
}

// exitCode is nil for 0.
func exitCode(code int) error {
	if code == 0 {
		return nil
	}
	return exitError(code)
}

// parseServerStart returns nil when only help was asked for.
func parseServerStart(args []string) (*ServerStart, error) {
	s := &ServerStart{}
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "-daemon" || arg == "--daemon":
			s.Daemon = true
		case arg == "-name" || arg == "-loggc":
			if arg == "-name" {
				i++
			}
		case arg == "--help" || arg == "--version":
			return nil, nil
		case strings.HasPrefix(arg, "--override="):
			s.Overrides = append(s.Overrides, strings.TrimPrefix(arg, "--override="))
		case arg == "--override":
			if i++; i == len(args) {
				return nil, optionErrorf("Option override requires an argument")
			}
			s.Overrides = append(s.Overrides, args[i])
		case strings.HasPrefix(arg, "-"):
			return nil, optionErrorf("%s is not a recognized option", strings.TrimLeft(arg, "-"))
		case s.File != "":
			return nil, optionErrorf("Found non argument parameters: %s", arg)
		default:
			s.File = arg
		}
	}
	for _, o := range s.Overrides {
		if !strings.Contains(o, "=") {
			return nil, optionErrorf("--override %s: it is not of the form property=value", o)
		}
	}
	if s.File == "" {
		return nil, nil
	}
	return s, nil
}

func serverStopTool() *tool {
	return &tool{name: "kafka-server-stop", raw: func(_ context.Context, c *call, args []string) error {
		switch {
		case len(args) > 0:
			return failf("kafka-server-stop stops every server of this user that kafka-server-start started; %s cannot pick one", args[0])
		case c.StopServers == nil:
			return failf("Servers cannot be stopped from here")
		}
		n, err := c.StopServers()
		if err != nil {
			return err
		}
		if n == 0 {
			fmt.Fprintln(c.out, "No kafka server to stop")
			return exitError(1)
		}
		return nil
	}}
}

// zooKeeperTool explains that there is none.
func zooKeeperTool(name, instead string) *tool {
	return &tool{name: name, raw: func(_ context.Context, c *call, _ []string) error {
		fmt.Fprintf(c.out, "Logbahn has no ZooKeeper: %s does nothing, %s.\n", name, instead)
		return nil
	}}
}
