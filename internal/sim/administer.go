package sim

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/sim/check"
)

// What is asked of one topic before another takes its place: checking all orders of operations costs most where outcomes are
// unknown.
const (
	opsPerTopicMax     = 24
	unknownPerTopicMax = 3
	topicPartitionsMax = 5
)

// retentionBase begins the values of the setting that is changed: each is another, and none lets anything expire.
const retentionBase = 1_000_000_000_000

// turn numbers the topics that follow each other.
type turn struct {
	number, ops, unknown int
}

// next returns the number of the topic for one more operation.
func (t *turn) next() int {
	if t.ops++; t.ops > opsPerTopicMax || t.unknown > unknownPerTopicMax {
		*t = turn{number: t.number + 1, ops: 1}
	}
	return t.number
}

// administrator is a client that makes, changes, deletes and looks at topics, each time at a machine that it draws. After
// each answer of the controller it looks at what the same machine knows, which must have the change.
//
// Some topics are its own. Others are changed by several, maybe at other machines, whose images come later: what a machine
// shows then is of a time not before the answer that it has passed on.
type administrator struct {
	load   *Load
	client *kgo.Client
	rand   *rand.Rand
	number int
	own    turn
	value  int
}

func (l *Load) administer(ctx context.Context, r *rand.Rand, host *Host, number int) {
	a := &administrator{load: l, rand: r, number: number}
	for ctx.Err() == nil {
		cl, err := l.client(host)
		if err != nil {
			l.tell("administrator: %v", err)
			return
		}
		a.client = cl
		living, end := context.WithTimeout(ctx, lifetime(r))
		for rest(living, r, 1500*time.Millisecond) {
			a.operate(ctx)
		}
		end()
		cl.Close()
	}
}

// operate changes a topic, or asks whether it could be made, and looks at it.
func (a *administrator) operate(ctx context.Context) {
	machine := a.rand.IntN(len(a.load.cluster.Machines))
	name, own := a.name()
	op := check.MetadataOp{Topic: name, Client: a.number, Kind: a.kind(), Begin: a.load.now()}
	op.Partitions = 1 + a.rand.Int32N(topicPartitionsMax)
	a.value++
	op.Value = strconv.Itoa(retentionBase + a.number*1_000_000 + a.value)
	known := a.change(ctx, machine, &op)
	a.load.op("administer %d: %s", machine+1, &op)
	if op.Answer == check.Unknown {
		a.unknown(own)
	}
	if !known || ctx.Err() != nil {
		return
	}
	if own {
		op.Begin = a.load.now()
	}
	a.describe(ctx, machine, name, op.Begin)
}

func (a *administrator) name() (name string, own bool) {
	if chance(a.rand, 2) {
		return fmt.Sprintf("own-%d-%d", a.number, a.own.next()), true
	}
	a.load.mu.Lock()
	defer a.load.mu.Unlock()
	return "shared-" + strconv.Itoa(a.load.shared.next()), false
}

func (a *administrator) unknown(own bool) {
	if own {
		a.own.unknown++
		return
	}
	a.load.mu.Lock()
	defer a.load.mu.Unlock()
	a.load.shared.unknown++
}

func (a *administrator) kind() check.MetadataKind {
	kinds := []check.MetadataKind{
		check.CreateTopic, check.CreateTopic, check.DeleteTopic, check.AddPartitions, check.SetConfig, check.SetConfig, check.ProbeTopic,
	}
	return kinds[a.rand.IntN(len(kinds))]
}

// change asks for the operation, and tells whether its answer came from the controller.
func (a *administrator) change(ctx context.Context, machine int, op *check.MetadataOp) (known bool) {
	var code int16
	var err error
	switch op.Kind {
	case check.CreateTopic, check.ProbeTopic:
		code, err = a.create(ctx, machine, op)
	case check.DeleteTopic:
		code, err = a.delete(ctx, machine, op.Topic)
	case check.AddPartitions:
		code, err = a.grow(ctx, machine, op)
	case check.SetConfig:
		code, err = a.configure(ctx, machine, op)
	}
	op.End = a.load.now()
	answer, said := answerOf(code, err)
	if said {
		op.Answer = answer
		a.load.recordMetadata(*op)
	}
	return said && answer != check.Unknown
}

// answerOf says what an answer means; false when nothing was done and nothing was said of the topic.
func answerOf(code int16, err error) (check.MetadataAnswer, bool) {
	var dial *net.OpError
	if errors.As(err, &dial) && dial.Op == "dial" {
		return check.Unknown, false
	}
	if err != nil {
		return check.Unknown, true
	}
	switch kerr.ErrorForCode(code) {
	case nil:
		return check.Done, true
	case kerr.TopicAlreadyExists:
		return check.Exists, true
	case kerr.UnknownTopicOrPartition:
		return check.Missing, true
	case kerr.InvalidPartitions:
		return check.NoIncrease, true
	case kerr.NotController, kerr.InvalidReplicationFactor, kerr.InvalidReplicaAssignment:
		return check.Unknown, false
	}
	return check.Unknown, true
}

func (a *administrator) create(ctx context.Context, machine int, op *check.MetadataOp) (int16, error) {
	req := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = op.Topic, op.Partitions, -1
	c := kmsg.NewCreateTopicsRequestTopicConfig()
	c.Name, c.Value = "retention.ms", &op.Value
	t.Configs = append(t.Configs, c)
	req.Topics, req.TimeoutMillis, req.ValidateOnly = append(req.Topics, t), int32(callMax.Milliseconds()), op.Kind == check.ProbeTopic
	resp, err := ask[*kmsg.CreateTopicsResponse](ctx, a.client, machine, req)
	if err != nil {
		return 0, err
	}
	if op.Kind == check.CreateTopic && resp.Topics[0].ErrorCode == 0 {
		op.ID = hex.EncodeToString(resp.Topics[0].TopicID[:])
	}
	return resp.Topics[0].ErrorCode, nil
}

func (a *administrator) delete(ctx context.Context, machine int, topic string) (int16, error) {
	req := kmsg.NewPtrDeleteTopicsRequest()
	t := kmsg.NewDeleteTopicsRequestTopic()
	t.Topic = &topic
	req.Topics, req.TopicNames, req.TimeoutMillis = append(req.Topics, t), []string{topic}, int32(callMax.Milliseconds())
	resp, err := ask[*kmsg.DeleteTopicsResponse](ctx, a.client, machine, req)
	if err != nil {
		return 0, err
	}
	return resp.Topics[0].ErrorCode, nil
}

func (a *administrator) grow(ctx context.Context, machine int, op *check.MetadataOp) (int16, error) {
	req := kmsg.NewPtrCreatePartitionsRequest()
	t := kmsg.NewCreatePartitionsRequestTopic()
	t.Topic, t.Count = op.Topic, op.Partitions
	req.Topics, req.TimeoutMillis = append(req.Topics, t), int32(callMax.Milliseconds())
	resp, err := ask[*kmsg.CreatePartitionsResponse](ctx, a.client, machine, req)
	if err != nil {
		return 0, err
	}
	return resp.Topics[0].ErrorCode, nil
}

func (a *administrator) configure(ctx context.Context, machine int, op *check.MetadataOp) (int16, error) {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	res := kmsg.NewIncrementalAlterConfigsRequestResource()
	res.ResourceType, res.ResourceName = kmsg.ConfigResourceTypeTopic, op.Topic
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Op, c.Value = "retention.ms", kmsg.IncrementalAlterConfigOpSet, &op.Value
	res.Configs = append(res.Configs, c)
	req.Resources = append(req.Resources, res)
	resp, err := ask[*kmsg.IncrementalAlterConfigsResponse](ctx, a.client, machine, req)
	if err != nil {
		return 0, err
	}
	return resp.Resources[0].ErrorCode, nil
}

// describe looks at a topic as a machine knows it. What it shows is of a time from begin on.
func (a *administrator) describe(ctx context.Context, machine int, topic string, begin time.Duration) {
	req := kmsg.NewPtrMetadataRequest()
	t := kmsg.NewMetadataRequestTopic()
	t.Topic = &topic
	req.Topics, req.AllowAutoTopicCreation = append(req.Topics, t), false
	op := check.MetadataOp{Topic: topic, Client: a.number, Kind: check.DescribeTopic, Begin: begin}
	if resp, err := ask[*kmsg.MetadataResponse](ctx, a.client, machine, req); err == nil {
		found := resp.Topics[0]
		op.ID, op.Partitions = hex.EncodeToString(found.TopicID[:]), int32(len(found.Partitions))
		a.described(machine, &op, found.ErrorCode)
	}
	configs := kmsg.NewPtrDescribeConfigsRequest()
	res := kmsg.NewDescribeConfigsRequestResource()
	res.ResourceType, res.ResourceName, res.ConfigNames = kmsg.ConfigResourceTypeTopic, topic, []string{"retention.ms"}
	configs.Resources = append(configs.Resources, res)
	op = check.MetadataOp{Topic: topic, Client: a.number, Kind: check.DescribeConfig, Begin: begin}
	if resp, err := ask[*kmsg.DescribeConfigsResponse](ctx, a.client, machine, configs); err == nil {
		found := resp.Resources[0]
		if len(found.Configs) == 1 && found.Configs[0].Value != nil {
			op.Value = *found.Configs[0].Value
		}
		a.described(machine, &op, found.ErrorCode)
	}
}

// described records what a machine has shown.
func (a *administrator) described(machine int, op *check.MetadataOp, code int16) {
	answer, said := answerOf(code, nil)
	op.Answer, op.End = answer, a.load.now()
	a.load.op("administer %d: %s", machine+1, op)
	if said && answer != check.Unknown {
		a.load.recordMetadata(*op)
	}
}

func (l *Load) recordMetadata(op check.MetadataOp) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.history.Metadata = append(l.history.Metadata, op)
}
