package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/logbahn/logbahn/interop/clients/go/driver"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func set(topic string) kadm.TopicsSet {
	s := kadm.TopicsSet{}
	s.Add(topic, 0)
	return s
}

func (l *library) ListTopics(ctx context.Context) ([]string, error) {
	topics, err := l.Client.ListTopics(ctx)
	return topics.Names(), err
}

func (l *library) DeleteTopic(ctx context.Context, topic string) error {
	_, err := l.Client.DeleteTopic(ctx, topic)
	return err
}

func (l *library) DescribeTopicConfigs(ctx context.Context, topic string) (map[string]driver.Config, error) {
	described, err := l.Client.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return nil, err
	}
	resource, err := described.On(topic, nil)
	if err != nil {
		return nil, err
	}
	configs := map[string]driver.Config{}
	for _, c := range resource.Configs {
		synonyms := []string{}
		for _, s := range c.Synonyms {
			value := "null"
			if s.Value != nil {
				value = *s.Value
			}
			synonyms = append(synonyms, fmt.Sprintf("%s=%s@%s", s.Key, value, s.Source))
		}
		configs[c.Key] = driver.Config{Value: c.Value, Source: c.Source.String(), Sensitive: c.Sensitive, Synonyms: synonyms}
	}
	return configs, resource.Err
}

func (l *library) DescribeBrokerConfigs(ctx context.Context) error {
	brokers, err := l.ListBrokers(ctx)
	if err != nil {
		return err
	}
	described, err := l.Client.DescribeBrokerConfigs(ctx, brokers.NodeIDs()[0])
	for _, resource := range described {
		err = errors.Join(err, resource.Err)
	}
	return err
}

func (l *library) AlterTopicConfig(ctx context.Context, topic, key, value string) error {
	responses, err := l.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: key, Value: &value}}, topic)
	for _, response := range responses {
		err = errors.Join(err, response.Err)
	}
	return err
}

func (l *library) CreatePartitions(ctx context.Context, topic string, total int) error {
	responses, err := l.UpdatePartitions(ctx, total, topic)
	for _, response := range responses {
		err = errors.Join(err, response.Err)
	}
	return err
}

func (l *library) DeleteRecords(ctx context.Context, topic string, before int64) (int64, error) {
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, 0, before, -1)
	deleted, err := l.Client.DeleteRecords(ctx, offsets)
	if err != nil {
		return 0, err
	}
	response, ok := deleted.Lookup(topic, 0)
	if !ok {
		return 0, errors.New("no answer for partition 0")
	}
	return response.LowWatermark, response.Err
}

func (l *library) ListGroups(ctx context.Context) ([]string, error) {
	listed, err := l.Client.ListGroups(ctx)
	return listed.Groups(), err
}

func (l *library) DescribeGroup(ctx context.Context, group string) (driver.Group, error) {
	described, err := l.DescribeGroups(ctx, group)
	if err != nil {
		return driver.Group{}, err
	}
	g := described[group]
	return driver.Group{State: strings.ToUpper(g.State), ProtocolType: g.ProtocolType, Protocol: g.Protocol, Members: len(g.Members)}, g.Err
}

func (l *library) DeleteGroup(ctx context.Context, group string) error {
	response, err := l.Client.DeleteGroup(ctx, group)
	return errors.Join(err, response.Err)
}

func (l *library) Earliest(ctx context.Context, topic string) (int64, error) {
	return offset(l.ListStartOffsets(ctx, topic))(topic)
}

func (l *library) Latest(ctx context.Context, topic string) (int64, error) {
	return offset(l.ListEndOffsets(ctx, topic))(topic)
}

func (l *library) MaxTimestamp(ctx context.Context, topic string) (int64, error) {
	return offset(l.ListMaxTimestampOffsets(ctx, topic))(topic)
}

func (l *library) AlterOffset(ctx context.Context, group, topic string, at int64) error {
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, 0, at, -1)
	return l.CommitAllOffsets(ctx, group, offsets)
}

func (l *library) DeleteOffset(ctx context.Context, group, topic string) error {
	deleted, err := l.DeleteOffsets(ctx, group, set(topic))
	return errors.Join(err, deleted.Error())
}

func (l *library) DescribeCluster(ctx context.Context) (driver.Cluster, error) {
	m, err := l.BrokerMetadata(kadm.WithAuthorizedOps(ctx))
	c := driver.Cluster{ID: m.Cluster, Brokers: len(m.Brokers), ControllerKnown: m.Controller >= 0}
	for _, operation := range m.AuthorizedOperations {
		c.Operations = append(c.Operations, operation.String())
	}
	return c, err
}

func (l *library) DescribeLogDirs(ctx context.Context, topic string) (dirs, partitions int, size int64, err error) {
	s := set(topic)
	s.Add(topic, 1, 2)
	all, err := l.DescribeAllLogDirs(ctx, s)
	replicated := map[int32]bool{}
	all.Each(func(dir kadm.DescribedLogDir) {
		dirs++
		for partition := range dir.Topics[topic] {
			replicated[partition] = true
		}
		size += dir.Size()
		err = errors.Join(err, dir.Err)
	})
	return dirs, len(replicated), size, err
}

func (l *library) DescribeProducers(ctx context.Context, topic string) ([]driver.Producer, error) {
	described, err := l.Client.DescribeProducers(ctx, set(topic))
	if err != nil {
		return nil, err
	}
	partition := described[topic].Partitions[0]
	var producers []driver.Producer
	for _, p := range partition.ActiveProducers {
		producers = append(producers, driver.Producer{Epoch: int32(p.ProducerEpoch), LastSequence: p.LastSequence})
	}
	return producers, partition.Err
}

func (l *library) DescribeFeatures(ctx context.Context) (finalized, supported map[string][2]int16, err error) {
	request := kmsg.NewPtrApiVersionsRequest()
	request.ClientSoftwareName, request.ClientSoftwareVersion = "interop", "1"
	response, err := request.RequestWith(ctx, l.cl)
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
	return finalized, supported, kerr.ErrorForCode(response.ErrorCode)
}

func (l *library) ElectLeader(ctx context.Context, topic string, unclean bool) error {
	how := kadm.ElectPreferredReplica
	if unclean {
		how = kadm.ElectLiveReplica
	}
	results, err := l.ElectLeaders(ctx, how, set(topic))
	return errors.Join(err, results[topic][0].Err)
}

func (l *library) ListReassignments(ctx context.Context) (int, error) {
	listed, err := l.ListPartitionReassignments(ctx, nil)
	return len(listed), err
}

func (l *library) Reassign(ctx context.Context, topic string, brokers []int32) error {
	responses, err := l.AlterPartitionAssignments(ctx, kadm.AlterPartitionAssignmentsReq{topic: {0: brokers}})
	return errors.Join(err, responses[topic][0].Err)
}
