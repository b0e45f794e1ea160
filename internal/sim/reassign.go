package sim

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// reassign gives a partition other replicas under load. The machine that it comes to may be killed on the way, and the whole may
// be called off; then it must be as it was. It tells whether the machines were accepted, and one of them is new.
func (r *Run) reassign() (accepted bool) {
	name, index, replicas := r.drawPartition()
	if len(replicas) == 0 {
		return false
	}
	target := r.drawReplicas(len(replicas))
	came := slices.IndexFunc(target, func(id int32) bool { return !slices.Contains(replicas, id) })
	accepted = r.assign(name, index, target) && came >= 0
	if accepted && chance(r.Rand, 2) {
		r.Between(0, 2*time.Second)
		m := r.Machines[target[came]-1]
		r.crash(m, m.Kill)
	}
	if chance(r.Rand, 3) {
		r.Between(0, time.Second)
		r.assign(name, index, nil)
	}
	r.awaitReassigned()
	return accepted
}

// resize takes a replica from a partition and gives it back: the same as a reassignment, for a cluster without machines to
// spare.
func (r *Run) resize() {
	name, index, replicas := r.drawPartition()
	if len(replicas) < 3 {
		return
	}
	gone := r.Rand.IntN(len(replicas))
	if r.assign(name, index, slices.Delete(slices.Clone(replicas), gone, gone+1)) {
		r.Between(0, 5*time.Second)
	}
	r.await("a partition gets its replica back", func() bool { return r.assign(name, index, replicas) })
}

// drawPartition draws one of the load's partitions, or of the groups'.
func (r *Run) drawPartition() (name string, index int32, replicas []int32) {
	name, index = topic, r.Rand.Int32N(partitions)
	if chance(r.Rand, 3) {
		name, index = groupsTopic, r.Rand.Int32N(2)
	}
	r.admin(callMax, func(ctx context.Context, cl *kgo.Client) {
		if md, err := kadm.NewClient(cl).Metadata(ctx, name); err == nil {
			replicas = md.Topics[name].Partitions[index].Replicas
		}
	})
	return name, index, replicas
}

// drawReplicas draws so many machines, in any order.
func (r *Run) drawReplicas(n int) (ids []int32) {
	for _, i := range r.Rand.Perm(len(r.Machines))[:n] {
		ids = append(ids, r.Machines[i].ID)
	}
	return ids
}

// assign asks for a partition's replicas, or with none that a reassignment is called off, and tells whether that was accepted.
func (r *Run) assign(name string, index int32, replicas []int32) (accepted bool) {
	r.admin(callMax, func(ctx context.Context, cl *kgo.Client) {
		var req kadm.AlterPartitionAssignmentsReq
		req.Assign(name, index, replicas)
		resp, err := kadm.NewClient(cl).AlterPartitionAssignments(ctx, req)
		if err == nil {
			err = resp[name][index].Err
		}
		r.Trace.Logf("reassign %s-%d to %v: %v", name, index, replicas, err)
		accepted = err == nil
	})
	return accepted
}

// awaitReassigned returns when no reassignment is under way.
func (r *Run) awaitReassigned() {
	r.await("no reassignment is under way", func() (done bool) {
		r.admin(callMax, func(ctx context.Context, cl *kgo.Client) {
			var asked kadm.TopicsSet
			asked.Add(topic, 0, 1, 2)
			asked.Add(groupsTopic, 0, 1)
			listed, err := kadm.NewClient(cl).ListPartitionReassignments(ctx, asked)
			done = err == nil && len(listed) == 0
		})
		return done
	})
}
