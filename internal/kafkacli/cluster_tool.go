package kafkacli

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func clusterTool() *tool {
	return &tool{name: "kafka-cluster", does: "The Kafka cluster tool.", raw: runCluster, failed: func(c *call, err error) {
		prefix := ""
		if _, ok := err.(*brokerError); ok {
			prefix = class(err) + ": "
		}
		fmt.Fprintf(c.Stderr, "%s%v\n", prefix, err)
	}}
}

// connection are the arguments with which a subcommand of kafka-cluster finds the cluster.
var connection = []argument{
	{names: []string{"--bootstrap-server", "-b"}, kind: text, group: 1, help: "Where the cluster answers, host:port,..."},
	{names: []string{"--bootstrap-controller", "-C"}, kind: text, group: 1, help: "Where a controller answers, host:port,..."},
	{names: []string{"--command-config", "-c"}, kind: text, help: "A file with properties for the connection."},
	{names: []string{"--config"}, kind: text, help: "(DEPRECATED) The name of --command-config before Kafka 4.2."},
}

var clusterCommands = []subcommand{
	{"cluster-id", "Get information about the ID of a cluster.", connection},
	{"unregister", "Unregister a broker.", append([]argument{{names: []string{"--id", "-i"}, kind: integer, required: true, help: "The id of the broker."}}, connection...)},
	{"list-endpoints", "List endpoints", append([]argument{{names: []string{"--include-fenced-brokers"}, help: "Show brokers that are fenced as well."}}, connection...)},
}

func runCluster(ctx context.Context, c *call, args []string) error {
	command, a, done, err := c.choose(clusterCommands, args, 1)
	if done {
		return err
	}
	if a.has("--config") {
		fmt.Fprintln(c.Stderr, "Option --config has been deprecated and will be removed in a future version. Use --command-config instead.")
	}
	return c.reach(ctx, a, a.either("--command-config", "--config"), func(ctx context.Context, client *kgo.Client) error {
		switch command {
		case "cluster-id":
			return c.clusterID(ctx, client)
		case "unregister":
			return c.unregister(ctx, client, int32(a.long("--id")))
		}
		return c.listEndpoints(ctx, client, a)
	})
}

// reach is admin for tools that follow argparse.
func (c *call) reach(ctx context.Context, a *arguments, file string, do func(context.Context, *kgo.Client) error) error {
	p, err := loadProperties(file)
	if err != nil {
		return err
	}
	client, err := c.connect(ctx, a.either("--bootstrap-server", "--bootstrap-controller"), p)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, adminPatience)
	defer cancel()
	return do(ctx, client)
}

func (c *call) clusterID(ctx context.Context, client *kgo.Client) error {
	resp, err := kmsg.NewPtrDescribeClusterRequest().RequestWith(ctx, client)
	if err == nil {
		err = refusal(resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "Cluster ID: %s\n", resp.ClusterID)
	return nil
}

func (c *call) unregister(ctx context.Context, client *kgo.Client, id int32) error {
	req := kmsg.NewPtrUnregisterBrokerRequest()
	req.BrokerID = id
	resp, err := req.RequestWith(ctx, client)
	if err != nil && unsupported(err) {
		fmt.Fprintln(c.out, "The target cluster does not support the broker unregistration API.")
		return nil
	}
	if err == nil {
		err = refusal(resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "Broker %d is no longer registered.\n", id)
	return nil
}

func (c *call) listEndpoints(ctx context.Context, client *kgo.Client, a *arguments) error {
	req := kmsg.NewPtrDescribeClusterRequest()
	req.EndpointType = 1
	kind := "broker"
	if a.has("--bootstrap-controller") {
		req.EndpointType, kind = 2, "controller"
	}
	req.IncludeFencedBrokers = a.has("--include-fenced-brokers")
	resp, err := req.RequestWith(ctx, client)
	if err == nil {
		err = refusal(resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil {
		return err
	}
	slices.SortFunc(resp.Brokers, func(a, b kmsg.DescribeClusterResponseBroker) int { return int(a.NodeID - b.NodeID) })
	hosts, racks := 0, 10
	for _, b := range resp.Brokers {
		hosts, racks = max(hosts, len(b.Host)), max(racks, len(valueOf(b.Rack)))
	}
	row := func(id, host, port, rack, state, kind any) {
		fmt.Fprintf(c.out, "%-10v %-*v %-10v %-*v %-10v %-15v\n", id, hosts, host, port, racks, rack, state, kind)
	}
	row("ID", "HOST", "PORT", "RACK", "STATE", "ENDPOINT_TYPE")
	for _, b := range resp.Brokers {
		state := "unfenced"
		if b.IsFenced {
			state = "fenced"
		}
		row(b.NodeID, b.Host, b.Port, valueOf(b.Rack), state, kind)
	}
	return nil
}
