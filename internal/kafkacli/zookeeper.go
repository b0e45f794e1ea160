package kafkacli

import (
	"fmt"
	"slices"
	"strings"
)

// onceZooKeeper are the tools that took --zookeeper in Kafka's releases before 4.0.
var onceZooKeeper = []string{"kafka-topics", "kafka-configs", "kafka-consumer-groups", "kafka-console-consumer"}

// withoutZooKeeper takes --zookeeper off the command line of a tool that once had it, says so, and puts the broker of
// this machine in its place unless another one is named.
func (c *call) withoutZooKeeper(args []string) ([]string, error) {
	if !slices.Contains(onceZooKeeper, c.tool.name) {
		return args, nil
	}
	var rest []string
	found, server := false, false
	for i := 0; i < len(args); i++ {
		name, _, hasValue := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		if !strings.HasPrefix(args[i], "-") || name != "zookeeper" {
			server = server || strings.HasPrefix(args[i], "-") && name == "bootstrap-server"
			rest = append(rest, args[i])
			continue
		}
		found = true
		if !hasValue {
			if i++; i == len(args) {
				return nil, optionErrorf("Option zookeeper requires an argument")
			}
		}
	}
	if !found {
		return args, nil
	}
	address := "the broker that --bootstrap-server names"
	if !server {
		rest = append(rest, "--bootstrap-server", defaultServer)
		address = defaultServer
	}
	fmt.Fprintf(c.Stderr, "Logbahn has no ZooKeeper: --zookeeper is not needed, this runs against %s.\n", address)
	return rest, nil
}
