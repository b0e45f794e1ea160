package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/IBM/sarama"
	"github.com/logbahn/logbahn/interop/clients/go/driver"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (l *library) ListTopics(context.Context) ([]string, error) {
	topics, err := l.ClusterAdmin.ListTopics()
	var names []string
	for name := range topics {
		names = append(names, name)
	}
	return names, err
}

func (l *library) DeleteTopic(_ context.Context, topic string) error {
	return l.ClusterAdmin.DeleteTopic(topic)
}

func (l *library) describeConfigs(kind sarama.ConfigResourceType, name string) ([]sarama.ConfigEntry, error) {
	results, err := l.DescribeConfigs([]*sarama.ConfigResource{{Type: kind, Name: name}},
		sarama.DescribeConfigsOptions{IncludeSynonyms: true, IncludeDocumentation: true})
	if err != nil {
		return nil, err
	}
	return results[0].Configs, answered(results[0].ErrorCode)
}

func (l *library) DescribeTopicConfigs(_ context.Context, topic string) (map[string]driver.Config, error) {
	entries, err := l.describeConfigs(sarama.TopicResource, topic)
	configs := map[string]driver.Config{}
	for _, e := range entries {
		synonyms := []string{}
		for _, s := range e.Synonyms {
			synonyms = append(synonyms, fmt.Sprintf("%s=%s@%s", s.ConfigName, s.ConfigValue, kmsg.ConfigSource(s.Source)))
		}
		documented := e.Documentation != nil && *e.Documentation != ""
		configs[e.Name] = driver.Config{
			Value: &e.Value, Source: kmsg.ConfigSource(e.Source).String(), ReadOnly: e.ReadOnly, Sensitive: e.Sensitive,
			Type: kmsg.ConfigType(e.Type).String(), Synonyms: synonyms, Documented: &documented,
		}
	}
	return configs, err
}

// anyBroker is the id of a broker that the client has been told of.
func (l *library) anyBroker() (int32, error) {
	brokers, _, err := l.ClusterAdmin.DescribeCluster()
	if err != nil {
		return 0, err
	}
	return brokers[0].ID(), nil
}

func (l *library) DescribeBrokerConfigs(context.Context) error {
	id, err := l.anyBroker()
	if err == nil {
		_, err = l.describeConfigs(sarama.BrokerResource, strconv.Itoa(int(id)))
	}
	return err
}

func (l *library) AlterTopicConfig(_ context.Context, topic, key, value string) error {
	entries := map[string]sarama.IncrementalAlterConfigsEntry{key: {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value}}
	return l.IncrementalAlterConfig(sarama.TopicResource, topic, entries, false)
}

func (l *library) CreatePartitions(_ context.Context, topic string, total int) error {
	return l.ClusterAdmin.CreatePartitions(topic, int32(total), nil, false)
}

// DeleteRecords asks the broker itself: the admin's call of that name does not tell the low watermark.
func (l *library) DeleteRecords(_ context.Context, topic string, before int64) (int64, error) {
	broker, err := l.client.Leader(topic, 0)
	if err != nil {
		return 0, err
	}
	response, err := broker.DeleteRecords(&sarama.DeleteRecordsRequest{
		Timeout: 10 * time.Second,
		Topics:  map[string]*sarama.DeleteRecordsRequestTopic{topic: {PartitionOffsets: map[int32]int64{0: before}}},
	})
	if err != nil {
		return 0, err
	}
	partition := response.Topics[topic].Partitions[0]
	return partition.LowWatermark, answered(partition.Err)
}

func (l *library) ListGroups(context.Context) ([]string, error) {
	groups, err := l.ListConsumerGroups()
	var names []string
	for name := range groups {
		names = append(names, name)
	}
	return names, err
}

func (l *library) DescribeGroup(_ context.Context, group string) (driver.Group, error) {
	groups, err := l.DescribeConsumerGroups([]string{group})
	if err != nil {
		return driver.Group{}, err
	}
	g := groups[0]
	return driver.Group{State: strings.ToUpper(g.State), ProtocolType: g.ProtocolType, Protocol: g.Protocol, Members: len(g.Members)}, answered(g.Err)
}

func (l *library) DeleteGroup(_ context.Context, group string) error {
	return l.DeleteConsumerGroup(group)
}

func (l *library) offset(topic string, at int64) (int64, error) {
	results, err := l.ListOffsets(map[string]map[int32]int64{topic: {0: at}}, nil)
	if err != nil {
		return 0, err
	}
	result := results[topic][0]
	if errors.Is(result.Err, sarama.ErrNoError) {
		return result.Offset, nil
	}
	return result.Offset, result.Err
}

func (l *library) Earliest(_ context.Context, topic string) (int64, error) {
	return l.offset(topic, sarama.OffsetOldest)
}

func (l *library) Latest(_ context.Context, topic string) (int64, error) {
	return l.offset(topic, sarama.OffsetNewest)
}

// MaxTimestamp: -3 is the protocol's word for it, which sarama passes on.
func (l *library) MaxTimestamp(_ context.Context, topic string) (int64, error) {
	return l.offset(topic, -3)
}

func (l *library) AlterOffset(_ context.Context, group, topic string, at int64) error {
	offsets := map[string]map[int32]sarama.OffsetAndMetadata{topic: {0: {Offset: at, LeaderEpoch: -1}}}
	response, err := l.AlterConsumerGroupOffsets(group, offsets, nil)
	if err != nil {
		return err
	}
	return answered(response.Errors[topic][0])
}

func (l *library) DeleteOffset(_ context.Context, group, topic string) error {
	return l.DeleteConsumerGroupOffset(group, topic, 0)
}

// DescribeCluster asks the broker itself: the admin's call of that name tells neither id nor operations.
func (l *library) DescribeCluster(context.Context) (driver.Cluster, error) {
	broker, err := l.Controller()
	if err != nil {
		return driver.Cluster{}, err
	}
	request := sarama.NewDescribeClusterRequest(sarama.MaxVersion)
	request.IncludeClusterAuthorizedOperations = true
	response, err := broker.DescribeCluster(request)
	if err != nil {
		return driver.Cluster{}, err
	}
	c := driver.Cluster{ID: response.ClusterID, Brokers: len(response.Brokers), ControllerKnown: response.ControllerID >= 0}
	for bit := range 32 {
		if response.ClusterAuthorizedOperations&(1<<bit) != 0 {
			c.Operations = append(c.Operations, kmsg.ACLOperation(bit).String())
		}
	}
	return c, answered(response.Err)
}

func (l *library) DescribeLogDirs(_ context.Context, topic string) (dirs, partitions int, size int64, err error) {
	id, err := l.anyBroker()
	if err != nil {
		return 0, 0, 0, err
	}
	all, err := l.ClusterAdmin.DescribeLogDirs([]int32{id})
	for _, dir := range all[id] {
		dirs++
		err = errors.Join(err, answered(dir.ErrorCode))
		for _, t := range dir.Topics {
			if t.Topic != topic {
				continue
			}
			partitions += len(t.Partitions)
			for _, p := range t.Partitions {
				size += p.Size
			}
		}
	}
	return dirs, partitions, size, err
}

// leader is the broker that leads partition 0; of a topic that does not exist any broker knows that.
func (l *library) leader(topic string) (*sarama.Broker, error) {
	topics, err := l.DescribeTopics([]string{topic})
	if err != nil {
		return nil, err
	}
	if len(topics[0].Partitions) == 0 {
		return l.Controller()
	}
	return l.client.Leader(topic, 0)
}

// DescribeProducers and DescribeFeatures are calls of a broker, not of the admin.
func (l *library) DescribeProducers(_ context.Context, topic string) ([]driver.Producer, error) {
	broker, err := l.leader(topic)
	if err != nil {
		return nil, err
	}
	response, err := broker.DescribeProducers(&sarama.DescribeProducersRequest{
		Topics: []sarama.DescribeProducersRequestTopic{{Name: topic, PartitionIndexes: []int32{0}}},
	})
	if err != nil {
		return nil, err
	}
	partition := response.Topics[0].Partitions[0]
	var producers []driver.Producer
	for _, p := range partition.ActiveProducers {
		producers = append(producers, driver.Producer{Epoch: p.ProducerEpoch, LastSequence: p.LastSequence})
	}
	return producers, answered(partition.ErrorCode)
}

func (l *library) DescribeFeatures(context.Context) (finalized, supported map[string][2]int16, err error) {
	broker, err := l.Controller()
	if err != nil {
		return nil, nil, err
	}
	response, err := broker.ApiVersions(&sarama.ApiVersionsRequest{Version: 4, ClientSoftwareName: "sarama", ClientSoftwareVersion: "1"})
	if err != nil {
		return nil, nil, err
	}
	finalized, supported = map[string][2]int16{}, map[string][2]int16{}
	for _, f := range response.FinalizedFeatures {
		finalized[f.Name] = [2]int16{f.MinVersionLevel, f.MaxVersionLevel}
	}
	for _, f := range response.SupportedFeatures {
		supported[f.Name] = [2]int16{f.MinVersion, f.MaxVersion}
	}
	return finalized, supported, answered(sarama.KError(response.ErrorCode))
}

func (l *library) ElectLeader(_ context.Context, topic string, unclean bool) error {
	how := sarama.PreferredElection
	if unclean {
		how = sarama.UncleanElection
	}
	results, err := l.ElectLeaders(how, map[string][]int32{topic: {0}})
	if err != nil {
		return err
	}
	if results[topic][0] == nil {
		return errors.New("no result for partition 0")
	}
	return answered(results[topic][0].ErrorCode)
}

func (l *library) ListReassignments(context.Context) (int, error) {
	status, err := l.ListPartitionReassignments("", nil)
	return len(status), err
}

func (l *library) Reassign(_ context.Context, topic string, brokers []int32) error {
	return l.AlterPartitionReassignments(topic, [][]int32{brokers})
}
