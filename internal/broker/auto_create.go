package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// autoCreatePatience bounds how long a request waits for topics that it makes by naming them.
const autoCreatePatience = 10 * time.Second

// offsetsTopic is where groups keep their state.
const offsetsTopic = "__consumer_offsets"

// missingNames returns the valid names of topics that do not exist, each once.
func missingNames(img *cluster.Image, topics []kmsg.MetadataRequestTopic) []string {
	var names []string
	named := make(map[string]bool)
	for i := range topics {
		name := topics[i].Topic
		if name == nil || !validTopicName(*name) || named[*name] {
			continue
		}
		if _, exists := img.Topic(*name); !exists {
			named[*name] = true
			names = append(names, *name)
		}
	}
	return names
}

// autoCreate makes topics with the cluster's defaults, if that is allowed, and returns what came of each. It is nil when
// nothing was tried.
func (b *Broker) autoCreate(ctx context.Context, names []string) map[string]wire.Error {
	if len(names) == 0 || !b.cfg.Settings.AutoCreateTopics {
		return nil
	}
	topics := make([]kmsg.CreateTopicsRequestTopic, len(names))
	for i, name := range names {
		topics[i] = newTopic(name)
		if name == offsetsTopic {
			topics[i] = b.newOffsetsTopic()
		}
	}
	return b.create(ctx, topics)
}

func newTopic(name string) kmsg.CreateTopicsRequestTopic {
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, -1, -1
	return t
}

// newOffsetsTopic is the topic that the group coordinators need. With three replicas two have to be in sync: what groups
// have committed is not lost with one broker.
//
// With fewer brokers than offsets.topic.replication.factor asks for it gets as many replicas as there are brokers: without
// it no group works at all. But voters count as brokers, which they will be: until then the request is refused, as Kafka
// refuses it, so that whoever is up first does not make the topic of a cluster with one replica.
func (b *Broker) newOffsetsTopic() kmsg.CreateTopicsRequestTopic {
	s := &b.cfg.Settings
	t := newTopic(offsetsTopic)
	brokers := max(len(b.cfg.Metadata.Image().Brokers()), b.voters())
	t.NumPartitions = s.OffsetsTopicPartitions
	t.ReplicationFactor = min(s.OffsetsTopicReplicationFactor, int16(brokers))
	for _, c := range s.offsetsTopicConfigs(t.ReplicationFactor) {
		rc := kmsg.NewCreateTopicsRequestTopicConfig()
		rc.Name, rc.Value = c[0], kmsg.StringPtr(c[1])
		t.Configs = append(t.Configs, rc)
	}
	return t
}

// voters returns how many members of the quorum vote.
func (b *Broker) voters() (n int) {
	for _, m := range b.cfg.Metadata.Status().Members {
		if !m.Learner {
			n++
		}
	}
	return n
}

// ensureOffsetsTopic makes the topic that group requests need, where it is missing. Clients that commit without having
// asked for a coordinator come here first.
func (b *Broker) ensureOffsetsTopic(ctx context.Context) {
	if _, ok := b.cfg.Metadata.Image().Topic(offsetsTopic); !ok {
		b.create(ctx, []kmsg.CreateTopicsRequestTopic{b.newOffsetsTopic()})
	}
}

// create makes topics and returns what came of each.
func (b *Broker) create(ctx context.Context, topics []kmsg.CreateTopicsRequestTopic) map[string]wire.Error {
	ctx, cancel := context.WithTimeout(ctx, autoCreatePatience)
	defer cancel()
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = req.MaxVersion()
	req.TimeoutMillis = int32(autoCreatePatience / time.Millisecond)
	req.Topics = topics
	outcome := make(map[string]wire.Error, len(topics))
	for i := range topics {
		outcome[topics[i].Topic] = wire.LeaderNotAvailable
	}
	resp, err := b.cfg.Metadata.Do(ctx, req)
	if err != nil {
		b.log.Warn("topics were not created", "err", err)
		return outcome
	}
	for _, t := range resp.(*kmsg.CreateTopicsResponse).Topics {
		outcome[t.Topic] = wire.Error(t.ErrorCode)
		if code := wire.Error(t.ErrorCode); code != wire.None && code != wire.TopicAlreadyExists {
			b.log.Warn("topic was not created", "topic", t.Topic, "err", code)
		}
	}
	return outcome
}
