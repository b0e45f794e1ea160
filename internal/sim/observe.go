package sim

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// calmly injects a fault so many times, each when the one before has healed.
func (r *Run) calmly(times int, fault func()) {
	r.repeat(times, func() {
		r.awaitInSync()
		fault()
	})
	r.awaitInSync()
}

// awaitInSync returns when every replica is in sync, or cannot be within the time.
func (r *Run) awaitInSync() {
	r.admin(settleMax, func(ctx context.Context, cl *kgo.Client) {
		if err := r.Load.awaitInSync(ctx, cl); err != nil {
			r.Trace.Logf("not in sync: %v", err)
		}
	})
}

// admin calls f with a client that lives as long.
func (r *Run) admin(patience time.Duration, f func(context.Context, *kgo.Client)) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cl, err := r.Load.client(r.Load.host[0])
	if err != nil {
		r.Trace.Logf("admin: %v", err)
		return
	}
	defer cl.Close()
	f(ctx, cl)
}

// leader returns who leads one of the load's partitions, any machine when nobody is known to.
func (r *Run) leader() *Machine {
	found, partition := r.Pick(), r.Rand.Int32N(partitions)
	r.metadata(func(md kadm.Metadata) {
		for _, p := range md.Topics[topic].Partitions {
			if p.Partition == partition && p.Leader > 0 {
				found = r.Machines[p.Leader-1]
			}
		}
	})
	return found
}

// controller returns the controller, any machine when there is none.
func (r *Run) controller() *Machine {
	found := r.Pick()
	if q := r.quorum(); q != nil {
		found = r.Machines[q.LeaderID-1]
	}
	return found
}

// quorum describes the metadata quorum; nil when nobody leads it.
func (r *Run) quorum() (found *kmsg.DescribeQuorumResponseTopicPartition) {
	r.admin(callMax, func(ctx context.Context, cl *kgo.Client) {
		part := kmsg.NewDescribeQuorumRequestTopicPartition()
		metadata := kmsg.NewDescribeQuorumRequestTopic()
		metadata.Topic, metadata.Partitions = metadataTopic, append(metadata.Partitions, part)
		req := kmsg.NewPtrDescribeQuorumRequest()
		req.Topics = append(req.Topics, metadata)
		resp, err := req.RequestWith(ctx, cl)
		if err == nil && len(resp.Topics) == 1 && len(resp.Topics[0].Partitions) == 1 && resp.Topics[0].Partitions[0].LeaderID > 0 {
			found = &resp.Topics[0].Partitions[0]
		}
	})
	return found
}

// voters returns the directory of each voter, by its node.
func (r *Run) voters() map[int32][16]byte {
	voters := make(map[int32][16]byte)
	if q := r.quorum(); q != nil {
		for _, v := range q.CurrentVoters {
			voters[v.ReplicaID] = v.ReplicaDirectoryID
		}
	}
	return voters
}

// await returns when what has to become true is, and says what is missing when it does not.
func (r *Run) await(what string, is func() bool) bool {
	for deadline := time.Now().Add(settleMax); time.Now().Before(deadline); r.Sleep(250 * time.Millisecond) {
		if is() {
			return true
		}
	}
	r.Load.tell("%v, and still not: %s", settleMax, what)
	return false
}

func (r *Run) metadata(f func(kadm.Metadata)) {
	r.admin(callMax, func(ctx context.Context, cl *kgo.Client) {
		if md, err := kadm.NewClient(cl).Metadata(ctx, topic); err == nil {
			f(md)
		}
	})
}
