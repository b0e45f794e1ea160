package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type quorumObject struct {
	Leader int32          `json:"leader" doc:"node that leads"`
	Epoch  int32          `json:"epoch" doc:"its epoch"`
	High   int64          `json:"high_watermark" doc:"end of what a majority has"`
	Nodes  []quorumMember `json:"nodes" doc:"voters, then observers"`
}

type quorumMember struct {
	Node     int32  `json:"node" doc:"node.id"`
	Role     string `json:"role" doc:"leader, voter or observer"`
	End      int64  `json:"end_offset" doc:"end of its log"`
	Lag      int64  `json:"lag" doc:"behind the leader, in entries"`
	CaughtUp int64  `json:"last_caught_up_ms" doc:"Unix ms; -1: not known"`

	directory [16]byte
}

func clusterQuorum() *cobra.Command {
	c := &cobra.Command{Use: "quorum", Short: "Show the controllers and how far each of them is", Args: exactArgs(0), ValidArgsFunction: cobra.NoFileCompletions}
	outputFlag(c)
	c.AddCommand(quorumAdd(), quorumRemove())
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withClient(c, func(ctx context.Context, client *kgo.Client, _ *kadm.Client) error {
			q, err := quorumOf(ctx, client)
			if err != nil {
				return err
			}
			if forPeople(c) {
				fmt.Fprintf(c.OutOrStdout(), "leader %d  epoch %d  high watermark %d\n\n", q.Leader, q.Epoch, q.High)
			}
			return show(c, q, "NODE ROLE END LAG CAUGHT-UP", func(line func(...any)) {
				for _, m := range q.Nodes {
					line(m.Node, m.Role, m.End, lagCell(m.Lag), caughtUpCell(m.CaughtUp, time.Now()))
				}
			})
		})
	}
	return c
}

// caughtUpCell tells since when a node has not had all that the leader has. Who lives has it within a moment.
func caughtUpCell(ms int64, now time.Time) any {
	switch behind := now.Sub(time.UnixMilli(ms)).Round(time.Second); {
	case ms < 0:
		return "-"
	case behind > quorumLagMax:
		return painted{behind.String() + " ago", yellow}
	case behind > quorumSilenceMax:
		return behind.String() + " ago"
	}
	return "now"
}

// quorumSilenceMax is for how long a node that follows may not be heard of, in the clocks of two machines.
const quorumSilenceMax = 3 * time.Second

func quorumOf(ctx context.Context, client kmsg.Requestor) (quorumObject, error) {
	req := kmsg.NewPtrDescribeQuorumRequest()
	topic := kmsg.NewDescribeQuorumRequestTopic()
	topic.Topic = "__cluster_metadata"
	topic.Partitions = append(topic.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return quorumObject{}, err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return quorumObject{}, err
	}
	if len(resp.Topics) == 0 || len(resp.Topics[0].Partitions) == 0 {
		return quorumObject{}, errors.New("the broker tells nothing of its quorum")
	}
	p := &resp.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
		return quorumObject{}, err
	}
	q := quorumObject{Leader: p.LeaderID, Epoch: p.LeaderEpoch, High: p.HighWatermark, Nodes: []quorumMember{}}
	end := p.HighWatermark
	for _, v := range p.CurrentVoters {
		if v.ReplicaID == p.LeaderID {
			end = v.LogEndOffset
		}
	}
	add := func(role string, states []kmsg.DescribeQuorumResponseTopicPartitionReplicaState) {
		for _, s := range states {
			m := quorumMember{Node: s.ReplicaID, Role: role, End: s.LogEndOffset, Lag: max(end-s.LogEndOffset, 0), CaughtUp: s.LastCaughtUpTimestamp, directory: s.ReplicaDirectoryID}
			if s.ReplicaID == p.LeaderID {
				m.Role = "leader"
			}
			q.Nodes = append(q.Nodes, m)
		}
	}
	add("voter", p.CurrentVoters)
	add("observer", p.Observers)
	return q, nil
}
