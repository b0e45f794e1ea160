package main

import (
	"context"
	"net"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func clusterCommand() *cobra.Command {
	c := &cobra.Command{Use: "cluster", Short: "The cluster: info, health, brokers, partitions, quorum, moves, features, settings"}
	needsSubcommand(c)
	brokersFlag(c)
	c.AddCommand(clusterInfo(), clusterHealth(), clusterBrokers(), clusterPartitions(), clusterMove(), clusterDrain(), clusterQuorum(), clusterFeatures(), clusterConfigs())
	return c
}

// withClient is withAdmin for requests that the administrative client has no method for.
func withClient(c *cobra.Command, do func(ctx context.Context, client *kgo.Client, admin *kadm.Client) error) error {
	client, err := connect(c)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(c.Context(), requestTimeout)
	defer cancel()
	return do(ctx, client, kadm.NewClient(client))
}

// clusterBroker is a broker as the cluster knows it.
type clusterBroker struct {
	id           int32
	host         string
	port         int32
	rack         string
	fenced       bool
	isController bool
}

func (b clusterBroker) address() string { return net.JoinHostPort(b.host, strconv.Itoa(int(b.port))) }

// clusterFacts is what a cluster says of itself.
type clusterFacts struct {
	id         string
	controller int32
	brokers    []clusterBroker
	topics     kadm.TopicDetails
}

// factsOf asks for the brokers, fenced ones too where the broker is of the age to tell them, and for all topics.
func factsOf(ctx context.Context, client *kgo.Client, admin *kadm.Client) (clusterFacts, error) {
	m, err := admin.Metadata(ctx)
	if err != nil {
		return clusterFacts{}, err
	}
	facts := clusterFacts{id: m.Cluster, controller: m.Controller, topics: m.Topics}
	req := kmsg.NewPtrDescribeClusterRequest()
	req.IncludeFencedBrokers = true
	resp, err := req.RequestWith(ctx, client)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil { // older than Kafka 2.8
		for _, b := range m.Brokers {
			facts.add(b.NodeID, b.Host, b.Port, b.Rack, false)
		}
		return facts, nil
	}
	facts.controller = resp.ControllerID
	for _, b := range resp.Brokers {
		facts.add(b.NodeID, b.Host, b.Port, b.Rack, b.IsFenced)
	}
	return facts, nil
}

func (f *clusterFacts) add(id int32, host string, port int32, rack *string, fenced bool) {
	b := clusterBroker{id: id, host: host, port: port, fenced: fenced, isController: id == f.controller}
	if rack != nil {
		b.rack = *rack
	}
	f.brokers = append(f.brokers, b)
}
