package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/logbahn/logbahn/interop/clients/go/driver"
	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// adminTimeout is what the broker has for an election or a reassignment.
const adminTimeout = 5 * time.Second

func (l *library) ListTopics(ctx context.Context) ([]string, error) {
	response, err := l.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, t := range response.Topics {
		names = append(names, t.Name)
	}
	return names, nil
}

func (l *library) DeleteTopic(ctx context.Context, topic string) error {
	response, err := l.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil {
		return err
	}
	return response.Errors[topic]
}

func (l *library) describeConfigs(ctx context.Context, kind kafka.ResourceType, name string) ([]kafka.DescribeConfigResponseConfigEntry, error) {
	response, err := l.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{
		Resources:       []kafka.DescribeConfigRequestResource{{ResourceType: kind, ResourceName: name}},
		IncludeSynonyms: true, IncludeDocumentation: true,
	})
	if err != nil {
		return nil, err
	}
	return response.Resources[0].ConfigEntries, response.Resources[0].Error
}

func (l *library) DescribeTopicConfigs(ctx context.Context, topic string) (map[string]driver.Config, error) {
	entries, err := l.describeConfigs(ctx, kafka.ResourceTypeTopic, topic)
	configs := map[string]driver.Config{}
	for _, e := range entries {
		synonyms := []string{}
		for _, s := range e.ConfigSynonyms {
			synonyms = append(synonyms, fmt.Sprintf("%s=%s@%s", s.ConfigName, s.ConfigValue, kmsg.ConfigSource(s.ConfigSource)))
		}
		documented := e.ConfigDocumentation != ""
		configs[e.ConfigName] = driver.Config{
			Value: &e.ConfigValue, Source: kmsg.ConfigSource(e.ConfigSource).String(), ReadOnly: e.ReadOnly, Sensitive: e.IsSensitive,
			Type: kmsg.ConfigType(e.ConfigType).String(), Synonyms: synonyms, Documented: &documented,
		}
	}
	return configs, err
}

func (l *library) DescribeBrokerConfigs(ctx context.Context) error {
	response, err := l.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return err
	}
	_, err = l.describeConfigs(ctx, kafka.ResourceTypeBroker, strconv.Itoa(response.Brokers[0].ID))
	return err
}

func (l *library) AlterTopicConfig(ctx context.Context, topic, key, value string) error {
	response, err := l.IncrementalAlterConfigs(ctx, &kafka.IncrementalAlterConfigsRequest{
		Resources: []kafka.IncrementalAlterConfigsRequestResource{{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: topic,
			Configs: []kafka.IncrementalAlterConfigsRequestConfig{{Name: key, Value: value, ConfigOperation: kafka.ConfigOperationSet}},
		}},
	})
	if err != nil {
		return err
	}
	return response.Resources[0].Error
}

func (l *library) CreatePartitions(ctx context.Context, topic string, total int) error {
	response, err := l.Client.CreatePartitions(ctx, &kafka.CreatePartitionsRequest{Topics: []kafka.TopicPartitionsConfig{{Name: topic, Count: int32(total)}}})
	if err != nil {
		return err
	}
	return response.Errors[topic]
}

func (l *library) ListGroups(ctx context.Context) ([]string, error) {
	response, err := l.Client.ListGroups(ctx, &kafka.ListGroupsRequest{})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, g := range response.Groups {
		names = append(names, g.GroupID)
	}
	return names, response.Error
}

func (l *library) DescribeGroup(ctx context.Context, group string) (driver.Group, error) {
	response, err := l.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return driver.Group{}, err
	}
	g := response.Groups[0]
	return driver.Group{State: strings.ToUpper(g.GroupState), Members: len(g.Members)}, g.Error
}

func (l *library) DeleteGroup(ctx context.Context, group string) error {
	response, err := l.DeleteGroups(ctx, &kafka.DeleteGroupsRequest{GroupIDs: []string{group}})
	if err != nil {
		return err
	}
	return response.Errors[group]
}

func (l *library) Earliest(ctx context.Context, topic string) (int64, error) {
	p, err := l.listOffsets(ctx, topic, kafka.FirstOffsetOf(0))
	return p.FirstOffset, err
}

func (l *library) Latest(ctx context.Context, topic string) (int64, error) {
	p, err := l.listOffsets(ctx, topic, kafka.LastOffsetOf(0))
	return p.LastOffset, err
}

func (l *library) MaxTimestamp(context.Context, string) (int64, error) {
	return 0, driver.Unsupported("no offset of the largest timestamp")
}

// AlterOffset commits from outside the group, as a member of no generation.
func (l *library) AlterOffset(ctx context.Context, group, topic string, at int64) error {
	response, err := l.OffsetCommit(ctx, &kafka.OffsetCommitRequest{
		GroupID: group, GenerationID: -1, Topics: map[string][]kafka.OffsetCommit{topic: {{Partition: 0, Offset: at}}},
	})
	if err != nil {
		return err
	}
	return response.Topics[topic][0].Error
}

func (l *library) DeleteOffset(ctx context.Context, group, topic string) error {
	response, err := l.OffsetDelete(ctx, &kafka.OffsetDeleteRequest{GroupID: group, Topics: map[string][]int{topic: {0}}})
	if err != nil {
		return err
	}
	if response.Error != nil || len(response.Topics[topic]) == 0 {
		return response.Error
	}
	return response.Topics[topic][0].Error
}

func (l *library) DescribeCluster(ctx context.Context) (driver.Cluster, error) {
	response, err := l.Metadata(ctx, &kafka.MetadataRequest{})
	if err != nil {
		return driver.Cluster{}, err
	}
	return driver.Cluster{ID: response.ClusterID, Brokers: len(response.Brokers), ControllerKnown: response.Controller.Host != ""}, nil
}

// ElectLeader: kafka-go has no unclean elections.
func (l *library) ElectLeader(ctx context.Context, topic string, unclean bool) error {
	if unclean {
		return driver.Unsupported("no unclean elections")
	}
	response, err := l.ElectLeaders(ctx, &kafka.ElectLeadersRequest{Topic: topic, Partitions: []int{0}, Timeout: adminTimeout})
	if err != nil {
		return err
	}
	if response.Error != nil || len(response.PartitionResults) == 0 {
		return response.Error
	}
	return response.PartitionResults[0].Error
}

func (l *library) ListReassignments(ctx context.Context) (int, error) {
	response, err := l.ListPartitionReassignments(ctx, &kafka.ListPartitionReassignmentsRequest{Timeout: adminTimeout})
	if err != nil {
		return 0, err
	}
	return len(response.Topics), response.Error
}

func (l *library) Reassign(ctx context.Context, topic string, brokers []int32) error {
	assignment := kafka.AlterPartitionReassignmentsRequestAssignment{PartitionID: 0}
	for _, b := range brokers {
		assignment.BrokerIDs = append(assignment.BrokerIDs, int(b))
	}
	response, err := l.AlterPartitionReassignments(ctx, &kafka.AlterPartitionReassignmentsRequest{
		Topic: topic, Assignments: []kafka.AlterPartitionReassignmentsRequestAssignment{assignment}, Timeout: adminTimeout,
	})
	if err != nil {
		return err
	}
	if response.Error != nil || len(response.PartitionResults) == 0 {
		return response.Error
	}
	return response.PartitionResults[0].Error
}
