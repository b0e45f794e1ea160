package controller

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/seeded"
	"github.com/logbahn/logbahn/internal/wire"
)

// createTopics serves CreateTopics. A topic named twice is not made at all. v1 adds validate_only and messages, v4 -1 for
// the default numbers, v5 the configs of what was made (KIP-525), v7 its id (KIP-516).
func (m *Machine) createTopics(img *cluster.Image, req *kmsg.CreateTopicsRequest) (kmsg.Response, []cluster.Change) {
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	names := make([]string, len(req.Topics))
	for i := range req.Topics {
		names[i] = req.Topics[i].Topic
	}
	once, refused := distinct(names)
	tooMany := m.tooManyToCreate(req.Topics)
	collisions, sites := &collisions{img: img}, newPlacement(img.Brokers())
	var changes []cluster.Change
	for _, i := range once {
		t := &req.Topics[i]
		result := kmsg.NewCreateTopicsResponseTopic()
		result.Topic = t.Topic
		topic, why := cluster.Topic{}, refused[t.Topic]
		if why == nil {
			why = tooMany
		}
		if why == nil {
			topic, why = m.newTopic(img, collisions, sites, t)
		}
		if why != nil {
			result.ErrorCode, result.ErrorMessage = why.code.Code(), why.message()
		} else {
			m.describe(img, &topic, req.Version, &result)
			changes = append(changes, cluster.CreateTopic{Topic: topic})
			collisions.add(topic.Name)
		}
		resp.Topics = append(resp.Topics, result)
	}
	if req.ValidateOnly {
		return resp, nil
	}
	return resp, changes
}

// distinct returns where each name comes first, and the refusal of those that come again.
func distinct(names []string) (once []int, refused map[string]*refusal) {
	seen := make(map[string]bool, len(names))
	refused = make(map[string]*refusal)
	for i, name := range names {
		if seen[name] {
			refused[name] = &refusal{wire.InvalidRequest, "Duplicate topic name."}
			continue
		}
		seen[name] = true
		once = append(once, i)
	}
	return once, refused
}

// tooManyToCreate refuses a request whole when it asks for too many partitions.
func (m *Machine) tooManyToCreate(topics []kmsg.CreateTopicsRequestTopic) *refusal {
	total := int64(0)
	for i := range topics {
		n := max(int64(topics[i].NumPartitions), int64(len(topics[i].ReplicaAssignment)))
		if n == 0 && topics[i].NumPartitions == -1 {
			n = int64(m.cfg.NumPartitions)
		}
		total += n
	}
	return tooMany(total)
}

func tooMany(partitions int64) *refusal {
	if partitions <= partitionsPerRequestMax {
		return nil
	}
	return &refusal{wire.PolicyViolation, "Excessively large number of partitions per request."}
}

// newTopic makes a topic of what was asked for.
func (m *Machine) newTopic(img *cluster.Image, c *collisions, sites *placement, t *kmsg.CreateTopicsRequestTopic) (cluster.Topic, *refusal) {
	if t.Topic == metadataTopic {
		return cluster.Topic{}, &refusal{
			wire.InvalidRequest, "Creation of internal topic " + metadataTopic + " is prohibited.",
		}
	}
	if why := checkTopicName(t.Topic); why != nil {
		return cluster.Topic{}, why
	}
	if _, exists := img.Topic(t.Topic); exists {
		return cluster.Topic{}, &refusal{wire.TopicAlreadyExists, fmt.Sprintf("Topic '%s' already exists.", t.Topic)}
	}
	if why := c.check(t.Topic); why != nil {
		return cluster.Topic{}, why
	}
	configs, why := newTopicConfigs(t.Configs)
	if why != nil {
		return cluster.Topic{}, why
	}
	assigned, why := m.assign(img, sites, t)
	if why != nil {
		return cluster.Topic{}, why
	}
	id := m.topicID(img)
	if seeded.Is(seeded.ReuseTopicID) {
		id = cluster.UUID{}
		copy(id[:], t.Topic)
	}
	topic := cluster.Topic{Name: t.Topic, ID: id, Internal: internalTopics[t.Topic], Config: configs}
	for i, replicas := range assigned {
		p, ok := newPartition(img, replicas)
		if !ok {
			return cluster.Topic{}, &refusal{wire.InvalidReplicaAssignment, fmt.Sprintf("All brokers specified in the "+
				"manual partition assignment for partition %d are fenced or in controlled shutdown.", i)}
		}
		topic.Partitions = append(topic.Partitions, p)
	}
	return topic, nil
}

func newTopicConfigs(asked []kmsg.CreateTopicsRequestTopicConfig) (map[string]string, *refusal) {
	if len(asked) == 0 {
		return nil, nil
	}
	configs := make(map[string]string, len(asked))
	var null []string
	for i := range asked {
		if asked[i].Value == nil {
			null = append(null, asked[i].Name)
			continue
		}
		configs[asked[i].Name] = *asked[i].Value
	}
	if len(null) > 0 {
		return nil, &refusal{
			wire.InvalidConfig, "Null value not supported for topic configs: " + strings.Join(null, ","),
		}
	}
	return configs, refusedConfig(config.ValidateTopic(configs))
}

// assign returns the replicas of each partition: as the request says, or as place says.
func (m *Machine) assign(img *cluster.Image, sites *placement, t *kmsg.CreateTopicsRequestTopic) ([][]cluster.NodeID, *refusal) {
	if len(t.ReplicaAssignment) > 0 {
		return manual(img, t)
	}
	rf, n := t.ReplicationFactor, t.NumPartitions
	switch {
	case rf < -1 || rf == 0:
		return nil, &refusal{
			wire.InvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.",
		}
	case n < -1 || n == 0:
		return nil, &refusal{wire.InvalidPartitions, "Number of partitions was set to an invalid non-positive value."}
	}
	if rf == -1 {
		rf = m.cfg.ReplicationFactor
	}
	if n == -1 {
		n = m.cfg.NumPartitions
	}
	return sites.place(int(n), int(rf), m.cfg.Rand())
}

// manual reads an assignment by hand.
func manual(img *cluster.Image, t *kmsg.CreateTopicsRequestTopic) ([][]cluster.NodeID, *refusal) {
	switch {
	case t.ReplicationFactor != -1:
		return nil, &refusal{wire.InvalidRequest,
			"A manual partition assignment was specified, but replication factor was not set to -1."}
	case t.NumPartitions != -1:
		return nil, &refusal{wire.InvalidRequest,
			"A manual partition assignment was specified, but numPartitions was not set to -1."}
	}
	assigned := make([][]cluster.NodeID, len(t.ReplicaAssignment))
	rf := 0
	for i := range t.ReplicaAssignment {
		a := &t.ReplicaAssignment[i]
		switch {
		case a.Partition < 0 || int(a.Partition) >= len(assigned):
			return nil, &refusal{wire.InvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence"}
		case assigned[a.Partition] != nil:
			return nil, &refusal{wire.InvalidReplicaAssignment,
				fmt.Sprintf("Found multiple manual partition assignments for partition %d", a.Partition)}
		}
		if why := checkAssignment(img, a.Replicas, rf); why != nil {
			return nil, why
		}
		rf = len(a.Replicas)
		assigned[a.Partition] = slices.Clone(a.Replicas)
	}
	return assigned, nil
}

// checkAssignment checks one partition's replicas against those before it, which have rf each; 0 when it is the first.
func checkAssignment(img *cluster.Image, replicas []cluster.NodeID, rf int) *refusal {
	refuse := func(format string, args ...any) *refusal {
		return &refusal{wire.InvalidReplicaAssignment, fmt.Sprintf("The manual partition assignment includes "+format, args...)}
	}
	if len(replicas) == 0 {
		return refuse("an empty replica list.")
	}
	for i, id := range replicas {
		if _, ok := img.Broker(id); !ok {
			return refuse("broker %d, but no such broker is registered.", id)
		}
		if slices.Contains(replicas[:i], id) {
			return refuse("the broker %d more than once.", id)
		}
	}
	if rf != 0 && len(replicas) != rf {
		return refuse("a partition with %d replica(s), but this is not consistent with previous partitions, which have "+
			"%d replica(s).", len(replicas), rf)
	}
	return nil
}

// newPartition returns a partition that its first live replica leads; false when none is live.
func newPartition(img *cluster.Image, replicas []cluster.NodeID) (cluster.Partition, bool) {
	isr := liveOf(img, replicas)
	if len(isr) == 0 {
		return cluster.Partition{}, false
	}
	return cluster.Partition{Replicas: replicas, ISR: isr, Leader: isr[0]}, true
}

// topicID draws an id as Kafka's own are: a random UUID of version 4 whose text does not begin with '-', which command
// lines would take for a flag.
func (m *Machine) topicID(img *cluster.Image) cluster.UUID {
	for {
		var id cluster.UUID
		binary.BigEndian.PutUint64(id[:8], m.cfg.Rand())
		binary.BigEndian.PutUint64(id[8:], m.cfg.Rand())
		id[6] = id[6]&0x0f | 0x40
		id[8] = id[8]&0x3f | 0x80
		if _, taken := img.TopicByID(id); !taken && !id.Reserved() && id.String()[0] != '-' {
			return id
		}
	}
}

// configsSince is the version of CreateTopics that returns what came of a topic.
const configsSince = 5

// describe fills in what came of a new topic.
func (m *Machine) describe(img *cluster.Image, t *cluster.Topic, version int16, result *kmsg.CreateTopicsResponseTopic) {
	if version < configsSince {
		return
	}
	result.TopicID = t.ID
	result.NumPartitions = int32(len(t.Partitions))
	result.ReplicationFactor = int16(len(t.Partitions[0].Replicas))
	defaults := img.Config(cluster.Resource{Type: cluster.BrokerDefaultResource})
	for _, e := range (config.Layers{DynamicDefault: defaults, Static: m.cfg.Static}).DescribeTopic(t.Config) {
		c := kmsg.NewCreateTopicsResponseTopicConfig()
		c.Name, c.Value, c.ReadOnly, c.Source, c.IsSensitive = e.Name, e.Value, e.ReadOnly, int8(e.Source), e.Sensitive
		result.Configs = append(result.Configs, c)
	}
}
