package node

import (
	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/quorum/controller"
)

// newController makes the machine that decides about the cluster while this node leads it.
func newController(b config.Broker, static map[string]string) *controller.Machine {
	return controller.New(controller.Config{
		NumPartitions:     b.Topics.Partitions,
		ReplicationFactor: b.Topics.ReplicationFactor,
		NoTopicDeletion:   !b.Topics.DeleteEnabled,
		SessionTimeoutMs:  int64(b.Quorum.SessionTimeoutMs),
		FlushOS:           b.Logs.FlushOS,
		Rebalance:         b.Quorum.RebalanceLeaders,
		RebalanceMs:       b.Quorum.RebalanceCheckSeconds * 1000,
		Static:            static,
	})
}
