package proxy

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/peer"
)

// What is asked about brokers. The client knows of one, this one, and is told about that; but who knows the ids of others,
// from elsewhere, may ask about them too.

// askAll asks every broker that lives, in the order of their ids. unreachable tells that one of them could not be asked.
func askAll[P kmsg.Response](ctx context.Context, r *call, request func() kmsg.Request) (answers []P, unreachable bool, err error) {
	var sent []*peer.Sent
	for _, b := range r.img.Brokers() {
		if b.Fenced {
			continue
		}
		s, err := r.stream(ctx, b.ID)
		if errors.Is(err, peer.ErrNotSent) {
			unreachable = true
			continue
		}
		if err != nil {
			return nil, false, err
		}
		sent = append(sent, s.Send(r.message(request())))
	}
	for _, s := range sent {
		answer, err := s.Wait(ctx)
		if err != nil {
			return nil, false, err
		}
		answers = append(answers, answer.(P))
	}
	return answers, unreachable, nil
}

// ofResource returns the node to ask about a resource: the broker that it is, else this one.
func (r *call) ofResource(kind kmsg.ConfigResourceType, name string) cluster.NodeID {
	if kind != kmsg.ConfigResourceTypeBroker && kind != kmsg.ConfigResourceTypeBrokerLogger {
		return r.proxy.cfg.NodeID
	}
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil {
		return r.proxy.cfg.NodeID
	}
	return r.alive(cluster.NodeID(id))
}

func (r *call) describeConfigs(ctx context.Context) (kmsg.Response, error) {
	req := r.req.(*kmsg.DescribeConfigsRequest)
	return list[kmsg.DescribeConfigsRequestResource, kmsg.DescribeConfigsResponseResource]{
		elements: &req.Resources,
		node: func(q *kmsg.DescribeConfigsRequestResource) cluster.NodeID {
			return r.ofResource(q.ResourceType, q.ResourceName)
		},
		answers: func(resp kmsg.Response) *[]kmsg.DescribeConfigsResponseResource {
			return &resp.(*kmsg.DescribeConfigsResponse).Resources
		},
	}.ask(ctx, r)
}

func (r *call) alterConfigs(ctx context.Context) (kmsg.Response, error) {
	req := r.req.(*kmsg.AlterConfigsRequest)
	return list[kmsg.AlterConfigsRequestResource, kmsg.AlterConfigsResponseResource]{
		elements: &req.Resources,
		node: func(q *kmsg.AlterConfigsRequestResource) cluster.NodeID {
			return r.ofResource(q.ResourceType, q.ResourceName)
		},
		answers: func(resp kmsg.Response) *[]kmsg.AlterConfigsResponseResource {
			return &resp.(*kmsg.AlterConfigsResponse).Resources
		},
	}.ask(ctx, r)
}

func (r *call) incrementalAlterConfigs(ctx context.Context) (kmsg.Response, error) {
	req := r.req.(*kmsg.IncrementalAlterConfigsRequest)
	return list[kmsg.IncrementalAlterConfigsRequestResource, kmsg.IncrementalAlterConfigsResponseResource]{
		elements: &req.Resources,
		node: func(q *kmsg.IncrementalAlterConfigsRequestResource) cluster.NodeID {
			return r.ofResource(q.ResourceType, q.ResourceName)
		},
		answers: func(resp kmsg.Response) *[]kmsg.IncrementalAlterConfigsResponseResource {
			return &resp.(*kmsg.IncrementalAlterConfigsResponse).Resources
		},
	}.ask(ctx, r)
}

// unknownBytes is what a directory says of a size that nobody knows.
const unknownBytes = -1

// describeLogDirs shows one directory with every partition once, as its leader has it: the one replica that the client knows
// of. Its space is that of all brokers that live.
func (r *call) describeLogDirs(ctx context.Context) (kmsg.Response, error) {
	answers, _, err := askAll[*kmsg.DescribeLogDirsResponse](ctx, r, func() kmsg.Request {
		part := *r.req.(*kmsg.DescribeLogDirsRequest)
		return &part
	})
	if err != nil {
		return nil, err
	}
	merged := kmsg.NewPtrDescribeLogDirsResponse()
	merged.Version = r.header.Version
	dir := kmsg.NewDescribeLogDirsResponseDir()
	dir.Dir, dir.TotalBytes, dir.UsableBytes, dir.IsCordoned = r.proxy.cfg.LogDir, 0, 0, len(answers) > 0
	copies := replicaSizes{}
	for _, answer := range answers {
		if answer.ErrorCode != 0 {
			merged.ErrorCode = answer.ErrorCode
		}
		for i := range answer.Dirs {
			d := &answer.Dirs[i]
			if d.ErrorCode != 0 {
				continue // the replicas that are there are elsewhere too, or lost
			}
			dir.TotalBytes, dir.UsableBytes = addBytes(dir.TotalBytes, d.TotalBytes), addBytes(dir.UsableBytes, d.UsableBytes)
			dir.IsCordoned = dir.IsCordoned && d.IsCordoned
			copies.add(d)
		}
	}
	dir.Topics = copies.topics()
	merged.Dirs = append(merged.Dirs, dir)
	return merged, nil
}

func addBytes(a, b int64) int64 {
	if a == unknownBytes || b == unknownBytes {
		return unknownBytes
	}
	return a + b
}

// replicaSizes has one replica of each partition: the one that has most to show, which is the leader's or was.
type replicaSizes map[string]map[int32]kmsg.DescribeLogDirsResponseDirTopicPartition

func (s replicaSizes) add(d *kmsg.DescribeLogDirsResponseDir) {
	for i := range d.Topics {
		t := &d.Topics[i]
		if s[t.Topic] == nil {
			s[t.Topic] = map[int32]kmsg.DescribeLogDirsResponseDirTopicPartition{}
		}
		for _, p := range t.Partitions {
			if known, ok := s[t.Topic][p.Partition]; !ok || p.OffsetLag < known.OffsetLag || p.OffsetLag == known.OffsetLag && p.Size > known.Size {
				s[t.Topic][p.Partition] = p
			}
		}
	}
}

// topics returns all of them, sorted.
func (s replicaSizes) topics() []kmsg.DescribeLogDirsResponseDirTopic {
	var list []kmsg.DescribeLogDirsResponseDirTopic
	for name, partitions := range s {
		t := kmsg.NewDescribeLogDirsResponseDirTopic()
		t.Topic = name
		for _, p := range partitions {
			t.Partitions = append(t.Partitions, p)
		}
		slices.SortFunc(t.Partitions, func(a, b kmsg.DescribeLogDirsResponseDirTopicPartition) int {
			return int(a.Partition) - int(b.Partition)
		})
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b kmsg.DescribeLogDirsResponseDirTopic) int { return strings.Compare(a.Topic, b.Topic) })
	return list
}
