package driver

import (
	"context"
	"errors"
	"slices"
	"time"
)

// TopicAdmin lists and deletes topics.
type TopicAdmin interface {
	ListTopics(ctx context.Context) ([]string, error)
	DeleteTopic(ctx context.Context, topic string) error
}

// ConfigAdmin describes and alters configs.
type ConfigAdmin interface {
	DescribeTopicConfigs(ctx context.Context, topic string) (map[string]Config, error)
	DescribeBrokerConfigs(ctx context.Context) error
	// AlterTopicConfig sets one key, incrementally where the library can.
	AlterTopicConfig(ctx context.Context, topic, key, value string) error
}

// Config is one entry of a description. What the library does not show is left zero.
type Config struct {
	Value      *string  `json:"value"`
	Source     string   `json:"source,omitempty"`
	ReadOnly   bool     `json:"read_only"`
	Sensitive  bool     `json:"sensitive"`
	Type       string   `json:"type,omitempty"`
	Synonyms   []string `json:"synonyms,omitzero"` // name=value@SOURCE
	Documented *bool    `json:"documented,omitempty"`
}

// PartitionAdmin grows topics.
type PartitionAdmin interface {
	CreatePartitions(ctx context.Context, topic string, total int) error
}

// RecordAdmin deletes records of partition 0 and returns the low watermark.
type RecordAdmin interface {
	DeleteRecords(ctx context.Context, topic string, before int64) (int64, error)
}

// GroupAdmin lists, describes and deletes groups.
type GroupAdmin interface {
	ListGroups(ctx context.Context) ([]string, error)
	DescribeGroup(ctx context.Context, group string) (Group, error)
	DeleteGroup(ctx context.Context, group string) error
}

// Group is a group's description; State in capitals.
type Group struct {
	State, ProtocolType, Protocol string
	Members                       int
}

// OffsetAdmin asks for offsets of partition 0 and alters those of groups.
type OffsetAdmin interface {
	Earliest(ctx context.Context, topic string) (int64, error)
	Latest(ctx context.Context, topic string) (int64, error)
	MaxTimestamp(ctx context.Context, topic string) (int64, error)
	AlterOffset(ctx context.Context, group, topic string, offset int64) error
	DeleteOffset(ctx context.Context, group, topic string) error
}

// ClusterAdmin describes the cluster.
type ClusterAdmin interface {
	DescribeCluster(ctx context.Context) (Cluster, error)
}

// Cluster is a cluster's description. Operations nil: the library does not ask for them.
type Cluster struct {
	ID              string
	Brokers         int
	ControllerKnown bool
	Operations      []string
}

// LogDirAdmin describes the log directories: how many, how many partitions of the topic have a
// replica in them, and the size of those.
type LogDirAdmin interface {
	DescribeLogDirs(ctx context.Context, topic string) (dirs, partitions int, bytes int64, err error)
}

// ProducerAdmin describes the producers of partition 0.
type ProducerAdmin interface {
	DescribeProducers(ctx context.Context, topic string) ([]Producer, error)
}

// Producer is an idempotent producer that a partition knows.
type Producer struct{ Epoch, LastSequence int32 }

// FeatureAdmin describes features: name to lowest and highest version.
type FeatureAdmin interface {
	DescribeFeatures(ctx context.Context) (finalized, supported map[string][2]int16, err error)
}

// ElectionAdmin elects the leader of partition 0.
type ElectionAdmin interface {
	ElectLeader(ctx context.Context, topic string, unclean bool) error
}

// ReassignmentAdmin moves partition 0; no brokers cancels the move.
type ReassignmentAdmin interface {
	ListReassignments(ctx context.Context) (int, error)
	Reassign(ctx context.Context, topic string, brokers []int32) error
}

// offered is the library's side of a check, or that it has none.
func offered[A any](r *Run, api string) (A, error) {
	if a, ok := r.Library.(A); ok {
		return a, nil
	}
	var none A
	return none, Unsupported("no API " + api)
}

// fact notes an error's name, unless it says that the library cannot ask.
func (r *Run) fact(name string, err error) {
	if !errors.Is(err, ErrUnsupported) {
		r.Facts[name] = r.Name(err)
	}
}

// offset notes an offset, unless the library cannot ask.
func (r *Run) offset(name string, offset int64, err error) error {
	if errors.Is(err, ErrUnsupported) {
		return nil
	}
	r.Facts[name] = offset
	return err
}

func (r *Run) unknown() string { return r.Topic + "-unknown" }

func adminTopics(r *Run) error {
	admin, err := offered[TopicAdmin](r, "to list and delete topics")
	if err != nil {
		return err
	}
	if err := r.create(r.Topic, 3, nil); err != nil {
		return err
	}
	err = r.until("the topic in the list", func() (bool, error) { // another broker may answer than the one that has shown it
		listed, err := admin.ListTopics(r.Context)
		return slices.Contains(listed, r.Topic), err
	})
	if err != nil {
		return err
	}
	d, err := r.Library.Describe(r.Context, r.Topic)
	if err != nil {
		return err
	}
	r.Facts["listed"], r.Facts["partitions"], r.Facts["internal"] = true, d.Partitions, d.Internal
	r.fact("deleted", admin.DeleteTopic(r.Context, r.Topic))
	err = r.until("gone from the list", func() (bool, error) {
		listed, err := admin.ListTopics(r.Context)
		return !slices.Contains(listed, r.Topic), err
	})
	r.Facts["listed_after"] = err != nil
	r.fact("delete_unknown", admin.DeleteTopic(r.Context, r.unknown()))
	_, unknown := r.Library.Describe(r.Context, r.unknown())
	r.fact("describe_unknown", unknown)
	return err
}

func adminConfigs(r *Run) error {
	admin, err := offered[ConfigAdmin](r, "to describe and alter configs")
	if err != nil {
		return err
	}
	if err := r.create(r.Topic, 1, map[string]string{"cleanup.policy": "compact"}); err != nil {
		return err
	}
	describe := func(fact string) (map[string]Config, error) {
		all, err := admin.DescribeTopicConfigs(r.Context, r.Topic)
		two := map[string]Config{"retention.ms": all["retention.ms"], "cleanup.policy": all["cleanup.policy"]}
		r.Facts[fact] = two
		return two, err
	}
	err = r.until("the topic's settings", func() (bool, error) { // another broker may answer than the one that has shown it
		_, err := describe("before")
		if err != nil && r.Name(err) == "UNKNOWN_TOPIC_OR_PARTITION" {
			return false, nil
		}
		return true, err
	})
	if err != nil {
		return err
	}
	r.fact("altered", admin.AlterTopicConfig(r.Context, r.Topic, "retention.ms", "86400000"))
	var after map[string]Config
	err = r.until("the altered value", func() (bool, error) {
		after, err = describe("after")
		v := after["retention.ms"].Value
		return v != nil && *v == "86400000", err
	})
	if err != nil {
		return err
	}
	policy := after["cleanup.policy"].Value
	r.Facts["other_kept"] = policy != nil && *policy == "compact"
	r.fact("bad_key", admin.AlterTopicConfig(r.Context, r.Topic, "no.such.key", "1"))
	r.fact("bad_value", admin.AlterTopicConfig(r.Context, r.Topic, "retention.ms", "abc"))
	_, err = admin.DescribeTopicConfigs(r.Context, r.unknown())
	r.fact("unknown_topic", err)
	r.fact("broker", admin.DescribeBrokerConfigs(r.Context))
	return nil
}

func adminPartitions(r *Run) error {
	admin, err := offered[PartitionAdmin](r, "to create partitions")
	if err != nil {
		return err
	}
	if err := r.create(r.Topic, 2, nil); err != nil {
		return err
	}
	r.fact("grown", admin.CreatePartitions(r.Context, r.Topic, 4))
	if err := r.shown(r.Topic, 4); err != nil {
		return err
	}
	r.Facts["partitions"] = 4
	r.fact("fewer", admin.CreatePartitions(r.Context, r.Topic, 3))
	r.fact("same", admin.CreatePartitions(r.Context, r.Topic, 4))
	r.fact("unknown_topic", admin.CreatePartitions(r.Context, r.unknown(), 4))
	return nil
}

func adminRecords(r *Run) error {
	admin, err := offered[RecordAdmin](r, "to delete records")
	if err != nil {
		return err
	}
	if err := r.create(r.Topic, 1, nil); err != nil {
		return err
	}
	if err := r.produce(r.Topic, 0, records(0, 100), ProduceOptions{}); err != nil {
		return err
	}
	low, err := admin.DeleteRecords(r.Context, r.Topic, 42)
	r.fact("deleted", err)
	if err := r.offset("low_watermark", low, nil); err != nil {
		return err
	}
	if offsets, ok := r.Library.(OffsetAdmin); ok {
		earliest, err := offsets.Earliest(r.Context, r.Topic)
		if err := r.offset("earliest", earliest, err); err != nil {
			return err
		}
	}
	_, err = admin.DeleteRecords(r.Context, r.Topic, 1000)
	r.fact("beyond_end", err)
	low, err = admin.DeleteRecords(r.Context, r.Topic, -1)
	if err := r.offset("all_low_watermark", low, err); err != nil {
		return err
	}
	_, err = admin.DeleteRecords(r.Context, r.unknown(), 1)
	r.fact("unknown_topic", err)
	return nil
}

func adminGroups(r *Run) error {
	admin, err := offered[GroupAdmin](r, "to list, describe and delete groups")
	if err != nil {
		return err
	}
	if err := r.create(r.Topic, groupPartitions, nil); err != nil {
		return err
	}
	ms, err := r.join(MemberOptions{})
	if err != nil {
		return err
	}
	if err := ms.shares(groupPartitions); err != nil {
		ms.leave()
		return err
	}
	listed, err := admin.ListGroups(r.Context)
	if err != nil {
		return err
	}
	g, err := admin.DescribeGroup(r.Context, r.Group)
	if err != nil {
		return err
	}
	r.Facts["listed"], r.Facts["state"], r.Facts["members"] = slices.Contains(listed, r.Group), g.State, g.Members
	r.Facts["protocol_type"], r.Facts["protocol"] = g.ProtocolType, g.Protocol
	r.fact("delete_non_empty", admin.DeleteGroup(r.Context, r.Group))
	ms.leave()
	err = r.until("an empty group", func() (bool, error) {
		g, err = admin.DescribeGroup(r.Context, r.Group)
		return g.State == "EMPTY", err
	})
	if r.Facts["empty_state"] = g.State; err != nil {
		return err
	}
	r.fact("deleted", admin.DeleteGroup(r.Context, r.Group))
	if listed, err = admin.ListGroups(r.Context); err != nil {
		return err
	}
	r.Facts["listed_after"] = slices.Contains(listed, r.Group)
	r.fact("delete_unknown", admin.DeleteGroup(r.Context, r.Group+"-unknown"))
	g, err = admin.DescribeGroup(r.Context, r.Group+"-unknown")
	if r.fact("describe_unknown", err); err == nil {
		r.Facts["describe_unknown"] = g.State
	}
	return nil
}

func adminOffsets(r *Run) error {
	admin, err := offered[OffsetAdmin](r, "to list and alter offsets")
	if err != nil {
		return err
	}
	if err := r.create(r.Topic, 1, nil); err != nil {
		return err
	}
	rs, start := timed()
	rs[60].Time = start.Add(500 * time.Second)
	if err := r.produce(r.Topic, 0, rs, ProduceOptions{}); err != nil {
		return err
	}
	ask := func(name string, offset int64, err error) {
		if r.offset(name, offset, err) != nil {
			r.Facts[name] = r.Name(err)
		}
	}
	offset, err := admin.Earliest(r.Context, r.Topic)
	ask("earliest", offset, err)
	offset, err = admin.Latest(r.Context, r.Topic)
	ask("latest", offset, err)
	offset, err = admin.MaxTimestamp(r.Context, r.Topic)
	ask("max_timestamp", offset, err)
	offset, err = r.Library.OffsetAt(r.Context, r.Topic, start.Add(41500*time.Millisecond))
	ask("timestamp", offset, err)
	r.fact("altered", admin.AlterOffset(r.Context, r.Group, r.Topic, 17))
	offset, err = r.Library.Committed(r.Context, r.Group, r.Topic)
	ask("committed", offset, err)
	err = admin.DeleteOffset(r.Context, r.Group, r.Topic)
	r.fact("deleted", err)
	if errors.Is(err, ErrUnsupported) {
		return nil
	}
	offset, err = r.Library.Committed(r.Context, r.Group, r.Topic)
	ask("committed_after", offset, err)
	r.fact("delete_unknown_group", admin.DeleteOffset(r.Context, r.Group+"-unknown", r.Topic))
	return nil
}

func adminCluster(r *Run) error {
	admin, err := offered[ClusterAdmin](r, "to describe the cluster")
	if err != nil {
		return err
	}
	c, err := admin.DescribeCluster(r.Context)
	if err != nil {
		return err
	}
	r.Facts["brokers"], r.Facts["controller_known"], r.Facts["cluster_id_known"] = c.Brokers, c.ControllerKnown, c.ID != ""
	if c.Operations != nil {
		slices.Sort(c.Operations)
		r.Facts["authorized_operations"] = c.Operations
	}
	return nil
}

func adminLogDirs(r *Run) error {
	admin, err := offered[LogDirAdmin](r, "to describe log directories")
	if err != nil {
		return err
	}
	if err := r.create(r.Topic, 3, nil); err != nil {
		return err
	}
	if err := r.produce(r.Topic, 0, records(0, 100), ProduceOptions{}); err != nil {
		return err
	}
	var dirs, partitions int
	var size int64
	var failure error
	if err := r.until("all partitions in the directories", func() (bool, error) { // Kafka makes them after its answer
		dirs, partitions, size, failure = admin.DescribeLogDirs(r.Context, r.Topic)
		return failure != nil || partitions == 3, nil
	}); err != nil {
		return err
	}
	r.fact("error", failure)
	r.Facts["dirs"], r.Facts["partitions"], r.Facts["size_positive"] = dirs, partitions, size > 0
	return nil
}

func adminProducers(r *Run) error {
	admin, err := offered[ProducerAdmin](r, "to describe producers")
	if err != nil {
		return err
	}
	if err := r.create(r.Topic, 1, nil); err != nil {
		return err
	}
	if err := r.produce(r.Topic, 0, records(0, 10), ProduceOptions{Idempotent: true}); err != nil {
		return err
	}
	producers, err := admin.DescribeProducers(r.Context, r.Topic)
	if err != nil {
		return err
	}
	if r.Facts["producers"] = len(producers); len(producers) == 1 {
		r.Facts["epoch"], r.Facts["last_sequence"] = producers[0].Epoch, producers[0].LastSequence
	}
	_, err = admin.DescribeProducers(r.Context, r.unknown())
	r.fact("unknown_topic", err)
	return nil
}

func adminFeatures(r *Run) error {
	admin, err := offered[FeatureAdmin](r, "to describe features")
	if err != nil {
		return err
	}
	r.Facts["finalized"], r.Facts["supported"], err = admin.DescribeFeatures(r.Context)
	return err
}

func adminElect(r *Run) error {
	admin, err := offered[ElectionAdmin](r, "to elect leaders")
	if err != nil {
		return err
	}
	if err := r.create(r.Topic, 1, nil); err != nil {
		return err
	}
	r.fact("preferred", admin.ElectLeader(r.Context, r.Topic, false))
	r.fact("unclean", admin.ElectLeader(r.Context, r.Topic, true))
	r.fact("unknown_topic", admin.ElectLeader(r.Context, r.unknown(), false))
	return nil
}

func adminReassign(r *Run) error {
	admin, err := offered[ReassignmentAdmin](r, "to reassign partitions")
	if err != nil {
		return err
	}
	if err := r.create(r.Topic, 1, nil); err != nil {
		return err
	}
	r.Facts["count"], err = admin.ListReassignments(r.Context)
	r.fact("error", err)
	r.fact("cancel", admin.Reassign(r.Context, r.Topic, nil))
	r.fact("unknown_broker", admin.Reassign(r.Context, r.Topic, []int32{99}))
	return nil
}
