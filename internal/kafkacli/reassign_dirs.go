package kafkacli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const directoryPollInterval = 100 * time.Millisecond

// moveDirectories has the brokers move replicas to the directories of the file. A replica has to be on its broker first.
func (r *reassignment) moveDirectories(ctx context.Context) error {
	deadline := time.Now().Add(r.opts.milliseconds("timeout"))
	pending := slices.Clone(r.dirs)
	for {
		pending = slices.DeleteFunc(pending, func(d directoryTarget) bool {
			if !r.moveDirectory(ctx, d) {
				return false
			}
			fmt.Fprintf(r.out, "Successfully started moving log directory to %s for replica %s with broker %d \n", d.dir, d.topicPartition, d.broker)
			return true
		})
		if len(pending) == 0 {
			return nil
		}
		if !time.Now().Before(deadline) {
			return &terseError{fmt.Sprintf("Timed out before log directory move%s could be started for: %s", pluralOf(len(pending)), strings.Trim(javaList(pending), "[]"))}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(directoryPollInterval):
		}
	}
}

func (r *reassignment) moveDirectory(ctx context.Context, d directoryTarget) bool {
	req := kmsg.NewPtrAlterReplicaLogDirsRequest()
	dir := kmsg.NewAlterReplicaLogDirsRequestDir()
	dir.Dir = d.dir
	t := kmsg.NewAlterReplicaLogDirsRequestDirTopic()
	t.Topic, t.Partitions = d.topic, []int32{d.partition}
	dir.Topics = append(dir.Topics, t)
	req.Dirs = append(req.Dirs, dir)
	resp, err := r.client.Broker(int(d.broker)).RetriableRequest(ctx, req)
	if err != nil {
		return false
	}
	for _, t := range resp.(*kmsg.AlterReplicaLogDirsResponse).Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 {
				return false
			}
		}
	}
	return true
}

// verifyDirectories tells which replicas are where the file wants them. Here a broker has one directory: a replica is in it
// or not on the broker.
func (r *reassignment) verifyDirectories(ctx context.Context) (settled bool, err error) {
	if len(r.dirs) == 0 {
		fmt.Fprintln(r.out)
		return true, nil
	}
	settled = true
	dirs := slices.Clone(r.dirs)
	slices.SortFunc(dirs, func(a, b directoryTarget) int {
		if a.broker != b.broker {
			return int(a.broker - b.broker)
		}
		return compareTopicPartitions(a.topicPartition, b.topicPartition)
	})
	for _, d := range dirs {
		current, future, err := r.directoriesOf(ctx, d)
		switch {
		case err != nil:
			return false, err
		case current == "":
			fmt.Fprintf(r.out, "Partition %s is not found in any live log dir on broker %d. There is likely an offline log directory on the broker.\n", d.topicPartition, d.broker)
		case future != "" && future == d.dir:
			fmt.Fprintf(r.out, "Reassignment of replica %s is still in progress.\n", d)
			settled = false
		case future != "":
			fmt.Fprintf(r.out, "Partition %s on broker %d is being moved to log dir %s instead of %s.\n", d.topicPartition, d.broker, future, d.dir)
			settled = false
		case current == d.dir:
			fmt.Fprintf(r.out, "Reassignment of replica %s completed successfully.\n", d)
		default:
			fmt.Fprintf(r.out, "Partition %s on broker %d is not being moved from log dir %s to %s.\n", d.topicPartition, d.broker, current, d.dir)
		}
	}
	return settled, nil
}

// directoriesOf asks a broker where it has a replica, and where it is moving it to.
func (r *reassignment) directoriesOf(ctx context.Context, d directoryTarget) (current, future string, err error) {
	dirs, err := describeDirs(ctx, r.client, d.broker, []topicPartition{d.topicPartition})
	if err != nil {
		return "", "", err
	}
	for _, dir := range dirs {
		for _, t := range dir.Topics {
			for _, p := range t.Partitions {
				if p.IsFuture {
					future = dir.Dir
				} else {
					current = dir.Dir
				}
			}
		}
	}
	return current, future, nil
}

// replicaOf is a replica of a partition.
type replicaOf struct {
	topicPartition
	broker int32
}

// directories asks the brokers where they have the replicas. Those of brokers that do not answer stay unknown.
func (r *reassignment) directories(ctx context.Context, assigned map[topicPartition][]int32) (map[replicaOf]string, error) {
	byBroker := map[int32][]topicPartition{}
	for _, tp := range sortedPartitions(assigned) {
		for _, id := range assigned[tp] {
			byBroker[id] = append(byBroker[id], tp)
		}
	}
	found := map[replicaOf]string{}
	for id, partitions := range byBroker {
		dirs, err := describeDirs(ctx, r.client, id, partitions)
		if ended(ctx) {
			return nil, ctx.Err()
		}
		if err != nil {
			continue
		}
		for _, dir := range dirs {
			for _, t := range dir.Topics {
				for _, p := range t.Partitions {
					if !p.IsFuture {
						found[replicaOf{topicPartition{t.Topic, p.Partition}, id}] = dir.Dir
					}
				}
			}
		}
	}
	return found, nil
}

// describeDirs asks one broker for the directories of partitions.
func describeDirs(ctx context.Context, client *kgo.Client, broker int32, partitions []topicPartition) ([]kmsg.DescribeLogDirsResponseDir, error) {
	req := kmsg.NewPtrDescribeLogDirsRequest()
	for _, topic := range topicsOf(partitions) {
		t := kmsg.NewDescribeLogDirsRequestTopic()
		t.Topic = topic
		for _, tp := range partitions {
			if tp.topic == topic {
				t.Partitions = append(t.Partitions, tp.partition)
			}
		}
		req.Topics = append(req.Topics, t)
	}
	resp, err := client.Broker(int(broker)).RetriableRequest(ctx, req)
	if err != nil {
		return nil, kafkaWords(err)
	}
	return resp.(*kmsg.DescribeLogDirsResponse).Dirs, nil
}
