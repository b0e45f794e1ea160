package driver

import (
	"errors"
	"fmt"
	"slices"
)

const groupPartitions = 4

// members polls its members in turn, which is what lets libraries take part in a rebalance, and counts what they read.
type members struct {
	run  *Run
	all  []Member
	seen map[string]int // partition/offset
}

func (r *Run) join(options ...MemberOptions) (*members, error) {
	ms := &members{run: r, seen: map[string]int{}}
	for _, o := range options {
		o.Topic, o.Group = r.Topic, r.Group
		m, err := r.Library.Join(r.Context, o)
		if err != nil {
			ms.leave()
			return nil, fmt.Errorf("join: %w", err)
		}
		ms.all = append(ms.all, m)
	}
	return ms, nil
}

func (ms *members) leave() {
	for _, m := range ms.all {
		m.Leave()
	}
}

// until polls all members until the condition holds.
func (ms *members) until(what string, holds func() bool) error {
	return ms.run.until(what, func() (bool, error) {
		for _, m := range ms.all {
			rs, err := m.Poll(ms.run.Context)
			if err != nil {
				return false, err
			}
			for _, record := range rs {
				ms.seen[fmt.Sprintf("%d/%d", record.Partition, record.Offset)]++
			}
		}
		return holds(), nil
	})
}

// shares waits until the members hold so many partitions each and all of them together.
func (ms *members) shares(want ...int) error {
	return ms.until(fmt.Sprintf("shares of %v", want), func() bool {
		held := map[int32]bool{}
		for _, m := range ms.all {
			for _, p := range m.Assignment() {
				held[p] = true
			}
		}
		return slices.Equal(ms.counts(), want) && len(held) == groupPartitions
	})
}

func (ms *members) counts() []int {
	var counts []int
	for _, m := range ms.all {
		counts = append(counts, len(m.Assignment()))
	}
	slices.Sort(counts)
	return counts
}

// read writes 25 records to each partition, from offset base on, and waits until the members have read all of them.
func (ms *members) read(base int) (int, error) {
	before := len(ms.seen)
	for p := range int32(groupPartitions) {
		if err := ms.run.produce(ms.run.Topic, int64(base), recordsFor(p, base, base+25), ProduceOptions{}); err != nil {
			return 0, err
		}
	}
	err := ms.until("100 records read", func() bool { return len(ms.seen)-before >= 100 })
	return len(ms.seen) - before, err
}

// commit has each member commit the offset for all that it holds.
func (ms *members) commit(offset int64) error {
	for _, m := range ms.all {
		offsets := map[int32]int64{}
		for _, p := range m.Assignment() {
			offsets[p] = offset
		}
		if err := m.Commit(ms.run.Context, offsets); err != nil {
			return fmt.Errorf("commit: %w", err)
		}
	}
	return nil
}

func (ms *members) duplicates() int {
	n := 0
	for _, times := range ms.seen {
		n += times - 1
	}
	return n
}

func groupTwo(r *Run) error {
	_, err := shareAndLeave(r, Range)
	return err
}

func groupCooperative(r *Run) error {
	revoked, err := shareAndLeave(r, CooperativeSticky)
	if err != nil {
		return err
	}
	if r.Facts["survivor_revoked"] = revoked; revoked != 0 {
		return fail("partitions taken from the survivor", revoked, 0)
	}
	return nil
}

// shareAndLeave is group.two; it returns how many partitions the first member had to give up after the second left.
func shareAndLeave(r *Run, assignor Assignor) (int, error) {
	if err := r.create(r.Topic, groupPartitions, nil); err != nil {
		return 0, err
	}
	ms, err := r.join(MemberOptions{Assignor: assignor}, MemberOptions{Assignor: assignor})
	if err != nil {
		return 0, err
	}
	defer func() { ms.leave() }()
	if err := ms.shares(2, 2); err != nil {
		return 0, err
	}
	r.Facts["before"] = ms.counts()
	if r.Facts["read_before"], err = ms.read(0); err != nil {
		return 0, err
	}
	if err := ms.commit(25); err != nil {
		return 0, err
	}
	survivor, leaver := ms.all[0], ms.all[1]
	revoked := survivor.Revoked()
	leaver.Leave()
	ms.all = ms.all[:1]
	if err := ms.shares(4); err != nil {
		return 0, err
	}
	r.Facts["after"] = ms.counts()
	if r.Facts["read_after"], err = ms.read(25); err != nil {
		return 0, err
	}
	if r.Facts["duplicates"] = ms.duplicates(); ms.duplicates() != 0 {
		return 0, fail("records read twice", ms.duplicates(), 0)
	}
	return survivor.Revoked() - revoked, nil
}

func groupStatic(r *Run) error {
	if err := r.create(r.Topic, groupPartitions, nil); err != nil {
		return err
	}
	ms, err := r.join(MemberOptions{Instance: "a"}, MemberOptions{Instance: "b"})
	if err != nil {
		return err
	}
	defer func() { ms.leave() }()
	if err := ms.shares(2, 2); err != nil {
		return err
	}
	r.Facts["before"] = ms.counts()
	held, other := slices.Sorted(slices.Values(ms.all[0].Assignment())), ms.all[1]
	assigned := other.Assigned()
	ms.all[0].Stop()
	if ms.all[0], err = r.Library.Join(r.Context, MemberOptions{Topic: r.Topic, Group: r.Group, Instance: "a"}); err != nil {
		return err
	}
	if err := ms.shares(2, 2); err != nil {
		return err
	}
	if r.Facts["read"], err = ms.read(0); err != nil {
		return err
	}
	same := slices.Equal(held, slices.Sorted(slices.Values(ms.all[0].Assignment())))
	r.Facts["same_partitions"], r.Facts["rebalances_of_other"] = same, other.Assigned()-assigned
	r.Facts["duplicates"] = ms.duplicates()
	if !same || other.Assigned() != assigned || ms.duplicates() != 0 {
		return errors.New("the restart of a static member was not without consequences")
	}
	return nil
}

func groupCommit(r *Run) error {
	if err := r.create(r.Topic, 1, nil); err != nil {
		return err
	}
	if err := r.produce(r.Topic, 0, records(0, 100), ProduceOptions{}); err != nil {
		return err
	}
	m, got, err := r.readAsMember(50)
	if err != nil {
		return err
	}
	r.Facts["first_offset"], r.Facts["count"] = got[0].Offset, 50
	if err := m.Commit(r.Context, map[int32]int64{0: got[49].Offset + 1}); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	m.Leave()
	committed, err := r.Library.Committed(r.Context, r.Group, r.Topic)
	if r.Facts["committed"] = committed; err != nil {
		return err
	}
	if got[0].Offset != 0 || committed != 50 {
		return fail("first offset and commit", []int64{got[0].Offset, committed}, []int64{0, 50})
	}
	return nil
}

func groupResume(r *Run) error {
	m, got, err := r.readAsMember(50)
	if err != nil {
		return err
	}
	m.Leave()
	r.Facts["first_offset"], r.Facts["count"] = got[0].Offset, len(got)
	if got[0].Offset != 50 || len(got) != 50 {
		return fail("first offset and count", []int64{got[0].Offset, int64(len(got))}, []int64{50, 50})
	}
	return nil
}

// readAsMember has a new member read n records or more.
func (r *Run) readAsMember(n int) (Member, []Record, error) {
	m, err := r.Library.Join(r.Context, MemberOptions{Topic: r.Topic, Group: r.Group})
	if err != nil {
		return nil, nil, fmt.Errorf("join: %w", err)
	}
	var got []Record
	err = r.until(fmt.Sprintf("%d records read", n), func() (bool, error) {
		rs, err := m.Poll(r.Context)
		got = append(got, rs...)
		return len(got) >= n, err
	})
	if err != nil {
		m.Leave()
		return nil, nil, err
	}
	return m, got, nil
}

func groupUnknown(r *Run) error {
	if err := r.create(r.Topic, 1, nil); err != nil {
		return err
	}
	committed, err := r.Library.Committed(r.Context, r.Group+"-unknown", r.Topic)
	if err != nil {
		committed = -1
	}
	r.Facts["committed"], r.Facts["error"] = committed, r.Name(err)
	return nil
}
