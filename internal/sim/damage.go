package sim

import (
	"context"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn/internal/vfs"
)

// startPatience is how long a node may take to find out that its files are not what it has written.
const startPatience = 20 * time.Second

// damageQuorum flips a bit of what a voter must not forget, while it is down. The node must refuse to start and say what to
// do, or do without that bit; the others go on; and with an emptied directory it takes its place among the voters again.
func (r *Run) damageQuorum(pick func(name string) bool, needed bool) {
	m := r.Pick()
	before := r.directory(m)
	m.Kill()
	hit := r.flipBit(m, pick)
	m.PowerOn()
	why := r.awaitRefusal(m)
	switch {
	case why == nil && hit != "" && needed:
		r.Load.tell("%s starts although a bit of %s has changed", m.Name, hit)
	case why == nil:
		return
	case !strings.Contains(why.Error(), "backup") || !strings.Contains(why.Error(), "empty"):
		r.Load.tell("%s does not say what to do: %v", m.Name, why)
	}
	r.Between(2*time.Second, 10*time.Second)
	m.Kill()
	m.Empty()
	m.PowerOn()
	r.awaitReplaced(m, before)
}

// flipBit flips a bit of one of a machine's files, and returns which: a run that finds none shows nothing.
func (r *Run) flipBit(m *Machine, pick func(name string) bool) (hit string) {
	hit, err := m.FlipBit(r.Rand, pick)
	if err != nil || hit == "" {
		r.Load.tell("%s: no bit flipped: %v", m.Name, err)
	}
	return hit
}

// awaitRefusal returns why a machine's node does not start, nil when it does.
func (r *Run) awaitRefusal(m *Machine) error {
	for deadline := time.Now().Add(startPatience); time.Now().Before(deadline); r.Sleep(100 * time.Millisecond) {
		if m.Node() != nil {
			return nil
		}
		if err := m.Refusal(); err != nil {
			return err
		}
	}
	r.Load.tell("%s neither starts nor says why, for %v", m.Name, startPatience)
	return nil
}

// directory returns what a machine votes with.
func (r *Run) directory(m *Machine) (id [16]byte) {
	r.await(m.Name+" votes", func() (votes bool) {
		id, votes = r.voters()[m.ID]
		return votes
	})
	return id
}

// awaitReplaced returns when a machine that voted with another directory before is a voter again and has everything.
func (r *Run) awaitReplaced(m *Machine, before [16]byte) {
	r.awaitInSync()
	r.await(m.Name+" votes with its new directory", func() bool {
		now, votes := r.voters()[m.ID]
		return votes && now != before
	})
}

// emptyDisk takes all files from a machine: nothing that it has acknowledged may be lost by that, and it must lead nothing before
// it has everything again.
func (r *Run) emptyDisk() {
	defer r.watchLeaders()()
	m := r.Pick()
	before := r.directory(m)
	m.Kill()
	r.Between(100*time.Millisecond, 12*time.Second) // about the session timeout: it may come back as the leader
	m.Empty()
	r.comeBack(m, m.PowerOn)
	r.awaitReplaced(m, before)
}

// loseFiles takes files of a partition from a machine while it is down. Where it was killed, what was acknowledged since its last
// checkpoint is left to it: nobody could tell that from what was never there.
func (r *Run) loseFiles() {
	defer r.watchLeaders()()
	m := r.Pick()
	stopped := chance(r.Rand, 2)
	if !stopped {
		m.Kill()
	} else if err := m.Stop(); err != nil {
		r.Load.tell("%s: stop: %v", m.Name, err)
	}
	r.Between(100*time.Millisecond, 12*time.Second) // about the session timeout: it may come back as the leader
	if hit, err := r.lose(m, stopped); err != nil || hit == "" {
		r.Load.tell("%s: nothing removed: %v", m.Name, err)
	}
	if stopped {
		r.comeBack(m, m.Start)
	} else {
		r.comeBack(m, m.PowerOn)
	}
	r.awaitInSync()
}

// lose draws what is lost, and returns a file of it.
func (r *Run) lose(m *Machine, last bool) (string, error) {
	ours := func(name string) bool { return ofTopic(name) || ofGroups(name) }
	index := func(name string) bool { return ofTopic(name) && strings.HasSuffix(name, "index") }
	snapshot := func(name string) bool { return ofTopic(name) && strings.HasSuffix(name, ".snapshot") }
	segment := func(name string) bool { return ours(name) && strings.HasSuffix(name, ".log") }
	heads, ends, err := segments(m.Disk(), segment)
	if err != nil {
		return "", err
	}
	head := func(name string) bool { return heads[name] && !ends[name] }
	end := func(name string) bool { return ends[name] }
	ways := []func() (string, error){
		func() (string, error) { return m.LoseFile(r.Rand, head) },
		func() (string, error) { return m.LoseFolder(r.Rand, segment) },
		func() (string, error) { return m.LoseFile(r.Rand, index) },
		func() (string, error) { return m.CutFile(r.Rand, index) },
		func() (string, error) { return m.LoseFile(r.Rand, snapshot) },
	}
	if last {
		ways = append(ways,
			func() (string, error) { return m.LoseFile(r.Rand, end) },
			func() (string, error) { return m.CutFile(r.Rand, end) })
	}
	for _, i := range r.Rand.Perm(len(ways)) {
		if hit, err := ways[i](); hit != "" || err != nil {
			return hit, err
		}
	}
	return "", nil
}

// segments returns the first and the last file of each folder that pick takes.
func segments(fs vfs.FS, pick func(string) bool) (heads, ends map[string]bool, err error) {
	names, err := files(fs, pick)
	heads, ends = make(map[string]bool), make(map[string]bool)
	for i, name := range names { // sorted: offsets have leading zeros
		heads[name] = i == 0 || path.Dir(names[i-1]) != path.Dir(name)
		ends[name] = i == len(names)-1 || path.Dir(names[i+1]) != path.Dir(name)
	}
	return heads, ends, err
}

// comeBack starts a machine that lacks something: alone, while another one that lacks nothing is killed, or as the first of all.
func (r *Run) comeBack(m *Machine, start func()) {
	var others []*Machine
	for _, i := range r.Rand.Perm(len(r.Machines)) {
		if r.Machines[i] != m {
			others = append(others, r.Machines[i])
		}
	}
	switch r.Rand.IntN(3) {
	case 0:
		start()
	case 1:
		start()
		r.Between(0, 5*time.Second)
		r.crash(others[0], others[0].Kill)
	case 2:
		for _, o := range others {
			o.Kill()
		}
		start()
		for _, o := range others {
			r.Between(0, time.Second)
			o.PowerOn()
		}
	}
}

// watchLeaders asks the leaders, until it is told to stop, where their partitions begin and end: a leader that has less than was
// acknowledged when the watch began must not be.
func (r *Run) watchLeaders() (stop func()) {
	l := r.Load
	l.mu.Lock()
	acknowledged := l.highest
	l.mu.Unlock()
	ctx, cancel := context.WithCancel(context.Background())
	var watching sync.WaitGroup
	watching.Go(func() {
		cl, err := l.client(l.host[2])
		if err != nil {
			l.tell("watch: %v", err)
			return
		}
		defer cl.Close()
		for wrong := false; !wrong && pause(ctx, 250*time.Millisecond); {
			wrong = l.leaderLacks(ctx, cl, acknowledged)
		}
	})
	return func() {
		cancel()
		watching.Wait()
	}
}

func (l *Load) leaderLacks(ctx context.Context, cl *kgo.Client, acknowledged [partitions]int64) (wrong bool) {
	ctx, cancel := context.WithTimeout(ctx, callMax)
	defer cancel()
	adm := kadm.NewClient(cl)
	starts, _ := adm.ListStartOffsets(ctx, topic)
	ends, _ := adm.ListEndOffsets(ctx, topic)
	starts.Each(func(o kadm.ListedOffset) {
		if o.Err == nil && o.Offset > 0 {
			l.tell("the leader of partition %d begins at %d", o.Partition, o.Offset)
			wrong = true
		}
	})
	ends.Each(func(o kadm.ListedOffset) {
		if o.Err == nil && o.Offset >= 0 && o.Offset < acknowledged[o.Partition] {
			l.tell("the leader of partition %d ends at %d, and what is below %d was acknowledged", o.Partition, o.Offset, acknowledged[o.Partition])
			wrong = true
		}
	})
	return wrong
}
