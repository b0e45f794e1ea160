package broker

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

func contents(t *testing.T, p *partition.Partition) []byte {
	t.Helper()
	var all []byte
	for b, err := range p.Log().Batches(p.StartOffset()) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

// A record is acknowledged as soon as the followers have flushed it: their report does not wait for the end of a long
// poll, which would be half a second of the bubble's time.
func TestAcksAllDoNotWaitForALongPoll(t *testing.T) {
	runTrio(t, func(c *trio) {
		c.create("t", 1)
		c.inSync("t", 0)
		time.Sleep(200 * time.Millisecond) // the followers' long polls are out
		began := time.Now()
		for i := range 20 {
			wantCode(t, "produce", c.leader("t", 0).produce("t", 0, -1, fmt.Sprint(i)).ErrorCode, wire.None)
		}
		if took := time.Since(began); took > 50*time.Millisecond {
			t.Errorf("twenty records took %v", took)
		}
		synctest.Wait()
		for _, m := range c.members {
			if p, _ := m.set.Get("t", 0); p.HighWatermark() != 20 {
				t.Errorf("the high watermark of %d is %d", m.id, p.HighWatermark())
			}
		}
		c.equal("t", 0)
	})
}

func TestLeaderLosesPowerAndNothingIsLost(t *testing.T) {
	runTrio(t, func(c *trio) {
		c.create("t", 1)
		c.inSync("t", 0)
		first := c.leader("t", 0)
		for i := range 10 {
			wantCode(t, "produce", first.produce("t", 0, -1, fmt.Sprint("a", i)).ErrorCode, wire.None)
		}
		first.kill(1)
		c.eventually("another leader", func() bool { return c.leader("t", 0) != first && c.leader("t", 0).leads("t") })
		second := c.leader("t", 0)
		for i := range 10 {
			wantCode(t, "produce", second.produce("t", 0, -1, fmt.Sprint("b", i)).ErrorCode, wire.None)
		}
		first.start()
		c.inSync("t", 0)
		c.equal("t", 0)
		if p, _ := first.set.Get("t", 0); p.EndOffset() != 20 {
			t.Errorf("the log ends at %d", p.EndOffset())
		}
	})
}

// leads tells whether the broker itself knows that it leads partition 0.
func (m *member) leads(topic string) bool {
	p, ok := m.set.Get(topic, 0)
	if !ok {
		return false
	}
	_, leads := p.Leading()
	return leads
}

// A leader that was cut off has records that nobody else has; they go when it follows again.
func TestDivergedTailIsCut(t *testing.T) {
	runTrio(t, func(c *trio) {
		c.create("t", 1)
		c.inSync("t", 0)
		first := c.leader("t", 0)
		wantCode(t, "produce", first.produce("t", 0, -1, "a", "b").ErrorCode, wire.None)
		c.cut(first.id, true)
		wantCode(t, "acks=1 at the old leader", first.produce("t", 0, 1, "x").ErrorCode, wire.None)
		if got := wire.Error(first.produce("t", 0, -1, "y").ErrorCode); got != wire.RequestTimedOut && got != wire.NotEnoughReplicasAfterAppend {
			t.Errorf("acks=all at the old leader: %v", got)
		}
		c.eventually("another leader", func() bool { return c.leader("t", 0) != first && c.leader("t", 0).leads("t") })
		wantCode(t, "produce", c.leader("t", 0).produce("t", 0, -1, "c").ErrorCode, wire.None)
		c.cut(first.id, false)
		p := first.produce("t", 0, -1, "z")
		wantCode(t, "at the deposed leader", p.ErrorCode, wire.NotLeaderOrFollower)
		if p.CurrentLeader.LeaderID != c.leader("t", 0).id {
			t.Errorf("sent to %+v", p.CurrentLeader)
		}
		c.inSync("t", 0)
		c.equal("t", 0)
		if p, _ := first.set.Get("t", 0); p.EndOffset() != 3 {
			t.Errorf("the log ends at %d, want a b c", p.EndOffset())
		}
	})
}

func TestISRFollowsWhoKeepsUp(t *testing.T) {
	runTrio(t, func(c *trio) {
		c.create("t", 1)
		c.inSync("t", 0)
		lazy := c.members[2]
		// Its disk does not finish, its heart beats.
		gate := make(chan struct{})
		lazy.faults.Add(vfs.Rule{Match: syncOfLog("t"), Fault: vfs.Fault{Before: func() { <-gate }}})
		began := time.Now()
		wantCode(t, "produce while one disk stands still", c.leader("t", 0).produce("t", 0, -1, "a").ErrorCode, wire.RequestTimedOut)
		wantISR(c, "t", 1, 2)
		if waited := time.Since(began); waited < 5*time.Second || waited > 8*time.Second {
			t.Errorf("it left after %v", waited)
		}
		wantCode(t, "produce without it", c.leader("t", 0).produce("t", 0, -1, "b").ErrorCode, wire.None)
		close(gate)
		lazy.faults.Clear()
		wantISR(c, "t", 1, 2, 3)
		c.equal("t", 0)
	})
}

// A follower that was fenced and goes on fetching is let in again though nothing is appended.
func TestIdleFollowerReturnsAfterFencing(t *testing.T) {
	runTrio(t, func(c *trio) {
		c.create("t", 1)
		c.inSync("t", 0)
		c.members[2].silent.Store(true)
		wantISR(c, "t", 1, 2)
		time.Sleep(20 * time.Second)
		c.members[2].silent.Store(false)
		wantISR(c, "t", 1, 2, 3)
	})
}

// Below min.insync.replicas nothing is acknowledged, and nothing committed.
func TestTooFewInSync(t *testing.T) {
	runTrio(t, func(c *trio) {
		c.create("t", 1)
		c.inSync("t", 0)
		c.cut(2, true)
		c.cut(3, true)
		var last wire.Error
		c.eventually("refusal", func() bool {
			last = wire.Error(c.leader("t", 0).produce("t", 0, -1, "a").ErrorCode)
			return last == wire.NotEnoughReplicas
		})
		p, _ := c.leader("t", 0).set.Get("t", 0)
		if hw := p.HighWatermark(); hw != 0 {
			t.Errorf("high watermark %d", hw)
		}
		c.cut(2, false)
		c.cut(3, false)
		c.inSync("t", 0)
		wantCode(t, "produce", c.leader("t", 0).produce("t", 0, -1, "b").ErrorCode, wire.None)
		c.equal("t", 0)
	})
}

// The timeout of a request is one for all its partitions, also when the first of them has too few replicas in sync by then.
func TestTimeoutOfManyPartitions(t *testing.T) {
	runTrio(t, func(c *trio) {
		for _, name := range []string{"t", "u", "v"} {
			c.create(name, 1)
			c.inSync(name, 0)
		}
		c.cut(2, true)
		c.cut(3, true)
		first := c.leader("t", 0)
		req := kmsg.NewPtrProduceRequest()
		req.Version, req.Acks, req.TimeoutMillis = 10, -1, 20_000 // by when the two have left the in-sync sets
		for _, name := range []string{"t", "u", "v"} {
			req.Topics = append(req.Topics, kmsg.ProduceRequestTopic{
				Topic: name, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: batch("a")}},
			})
		}
		answered := make(chan *kmsg.ProduceResponse, 1)
		c.running.Go(func() {
			n := &node{t: c.t, broker: first.b, conn: &Conn{ID: "client", Listener: "PLAINTEXT"}}
			answered <- call[*kmsg.ProduceResponse](n, req)
		})
		select {
		case resp := <-answered:
			for _, topic := range resp.Topics {
				wantCode(t, topic.Topic, topic.Partitions[0].ErrorCode, wire.NotEnoughReplicasAfterAppend)
			}
		case <-time.After(21 * time.Second):
			t.Error("no answer though the timeout is over")
			c.cut(2, false)
			c.cut(3, false)
			<-answered
		}
	})
}

func TestFollowersBeginWhereTheLeaderBegins(t *testing.T) {
	runTrio(t, func(c *trio) {
		c.create("t", 1)
		c.inSync("t", 0)
		wantCode(t, "produce", c.leader("t", 0).produce("t", 0, -1, "a", "b", "c").ErrorCode, wire.None)
		c.cut(3, true)
		time.Sleep(time.Second)
		wantCode(t, "produce", c.leader("t", 0).produce("t", 0, 1, "d", "e", "f").ErrorCode, wire.None)
		wantISR(c, "t", 1, 2)
		p, _ := c.leader("t", 0).set.Get("t", 0)
		if _, err := p.DeleteRecords(5); err != nil { // in the middle of the second batch
			t.Fatal(err)
		}
		c.cut(3, false)
		c.inSync("t", 0)
		c.equal("t", 0)
		for _, m := range c.members {
			p, _ := m.set.Get("t", 0)
			c.eventually("the same start", func() bool { return p.StartOffset() == 5 })
		}
	})
}

// A log that has nothing begins in the middle of a batch, where the leader does.
func TestReplicaWithAnEmptyDisk(t *testing.T) {
	runTrio(t, func(c *trio) {
		c.create("t", 1)
		c.inSync("t", 0)
		wantCode(t, "produce", c.leader("t", 0).produce("t", 0, -1, "a", "b", "c").ErrorCode, wire.None)
		lost := c.members[2]
		lost.kill(1)
		wantISR(c, "t", 1, 2)
		p, _ := c.leader("t", 0).set.Get("t", 0)
		if _, err := p.DeleteRecords(2); err != nil {
			t.Fatal(err)
		}
		lost.fs = vfs.NewMem()
		lost.start()
		c.inSync("t", 0)
		c.equal("t", 0)
		if p, _ := lost.set.Get("t", 0); p.StartOffset() != 2 || p.EndOffset() != 3 {
			t.Errorf("it holds %d to %d", p.StartOffset(), p.EndOffset())
		}
	})
}

// A log that has lost part of its file stays out until nothing is expected of it, and is copied anew then.
func TestDamagedReplicaIsCopiedAnew(t *testing.T) {
	runTrio(t, func(c *trio) {
		c.create("t", 1)
		c.inSync("t", 0)
		for i := range 20 {
			wantCode(t, "produce", c.leader("t", 0).produce("t", 0, -1, fmt.Sprint(i)).ErrorCode, wire.None)
		}
		time.Sleep(3 * time.Second) // recovery points are written
		damaged := c.members[2]
		damaged.kill(1)
		f, err := damaged.fs.OpenFile("data/t-0/00000000000000000000.log", os.O_RDWR)
		must(t, f, err)
		if err := f.Truncate(300); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		damaged.start()
		c.inSync("t", 0)
		c.equal("t", 0)
		if p, _ := damaged.set.Get("t", 0); p.EndOffset() != 20 {
			t.Errorf("it ends at %d", p.EndOffset())
		}
	})
}

// A corrupt answer is refused; when the network is well again the replica follows.
func TestCorruptAnswerIsRefused(t *testing.T) {
	runTrio(t, func(c *trio) {
		c.create("t", 1)
		c.create("u", 1)
		c.inSync("t", 0)
		c.inSync("u", 0)
		needle := []byte("spoilt")
		spoil := func(b []byte) {
			if i := bytes.Index(b, needle); i >= 0 {
				b[i] ^= 1
			}
		}
		c.spoil.Store(&spoil)
		if code := wire.Error(c.leader("t", 0).produce("t", 0, -1, "spoilt").ErrorCode); code != wire.RequestTimedOut {
			t.Errorf("acknowledged with %v though no follower has it", code)
		}
		wantCode(t, "the other topic", c.leader("u", 0).produce("u", 0, -1, "good").ErrorCode, wire.None)
		c.spoil.Store(nil)
		c.equal("t", 0)
		c.inSync("t", 0)
		time.Sleep(200 * time.Millisecond)
		began := time.Now()
		wantCode(t, "afterwards", c.leader("t", 0).produce("t", 0, -1, "well").ErrorCode, wire.None)
		if took := time.Since(began); took > 20*time.Millisecond {
			t.Errorf("reports are late after an error: %v", took)
		}
	})
}

// One partition's log that fails at a follower, or at the leader, stops no other.
func TestFailedLogStopsNoOther(t *testing.T) {
	runTrio(t, func(c *trio) {
		c.create("t", 1)
		c.create("u", 1)
		c.inSync("t", 0)
		c.inSync("u", 0)
		broken := vfs.Rule{Match: syncOfLog("t"), Fault: vfs.Fault{Err: errors.New("EIO"), LoseDirty: true}}
		c.members[1].faults.Add(broken)
		wantCode(t, "with a broken follower, which says so", c.leader("t", 0).produce("t", 0, -1, "a").ErrorCode, wire.None)
		wantISR(c, "t", 1, 3)
		wantCode(t, "without it", c.leader("t", 0).produce("t", 0, -1, "b").ErrorCode, wire.None)
		wantCode(t, "the other topic", c.leader("u", 0).produce("u", 0, -1, "c").ErrorCode, wire.None)
		c.equal("u", 0)

		c.members[0].faults.Add(broken)
		wantCode(t, "the leader's disk fails", c.members[0].produce("t", 0, -1, "d").ErrorCode, wire.KafkaStorageError)
		c.eventually("the third leads alone", func() bool { return c.leader("t", 0).id == 3 && c.leader("t", 0).leads("t") })
		wantCode(t, "too few are left", c.leader("t", 0).produce("t", 0, -1, "d").ErrorCode, wire.NotEnoughReplicas)
		wantCode(t, "the other topic", c.leader("u", 0).produce("u", 0, -1, "e").ErrorCode, wire.None)
		c.equal("u", 0)
	})
}

func TestFollowersServeReaders(t *testing.T) {
	runTrio(t, func(c *trio) {
		c.create("t", 1)
		c.inSync("t", 0)
		leader, follower := c.members[0], c.members[1]
		wantCode(t, "produce", leader.produce("t", 0, -1, "a", "b").ErrorCode, wire.None)
		synctest.Wait()
		if got := leader.fetchAs("t", 0, "r2"); got.PreferredReadReplica != 2 || len(got.RecordBatches) != 0 {
			t.Errorf("a consumer in rack r2 is sent to %d", got.PreferredReadReplica)
		}
		if got := leader.fetchAs("t", 0, "r1"); got.PreferredReadReplica != -1 || len(got.RecordBatches) == 0 {
			t.Errorf("a consumer in the leader's rack is sent to %d", got.PreferredReadReplica)
		}
		got := follower.fetchAs("t", 0, "r2")
		if got.ErrorCode != 0 || got.HighWatermark != 2 || len(got.RecordBatches) == 0 || got.PreferredReadReplica != -1 {
			t.Errorf("from the follower: %v, high watermark %d, %d bytes", wire.Error(got.ErrorCode), got.HighWatermark, len(got.RecordBatches))
		}
		wantCode(t, "beyond what the follower has", follower.fetchAs("t", 7, "r2").ErrorCode, wire.OffsetNotAvailable)
		wantCode(t, "beyond what the leader has", leader.fetchAs("t", 7, "r1").ErrorCode, wire.OffsetOutOfRange)
		p, _ := leader.set.Get("t", 0)
		if _, err := p.DeleteRecords(1); err != nil {
			t.Fatal(err)
		}
		c.eventually("the start moves", func() bool { p, _ := follower.set.Get("t", 0); return p.StartOffset() == 1 })
		wantCode(t, "before what the follower has", follower.fetchAs("t", 0, "r2").ErrorCode, wire.NotLeaderOrFollower)
		wantCode(t, "before what the leader has", leader.fetchAs("t", 0, "r1").ErrorCode, wire.OffsetOutOfRange)
	})
}

// Many partitions, each broker leading a third, one of them losing power again and again.
func TestManyPartitionsThroughCrashes(t *testing.T) {
	runTrio(t, func(c *trio) {
		const partitions = 30
		c.create("t", partitions)
		for i := range int32(partitions) {
			c.inSync("t", i)
		}
		acked := make(map[int32]int64)
		for round := range 4 {
			for i := range int32(partitions) {
				p := c.leader("t", i).produce("t", i, -1, fmt.Sprint(round))
				if p.ErrorCode == 0 {
					acked[i] = max(acked[i], p.BaseOffset+1)
				}
			}
			victim := c.members[round%3]
			victim.kill(uint64(round))
			c.eventually("other leaders", func() bool {
				for i := range int32(partitions) {
					if c.leader("t", i) == victim {
						return false
					}
				}
				return true
			})
			victim.start()
			for i := range int32(partitions) {
				c.inSync("t", i)
			}
		}
		for i := range int32(partitions) {
			c.equal("t", i)
			if p, _ := c.leader("t", i).set.Get("t", i); p.EndOffset() < acked[i] || acked[i] < 4 {
				t.Errorf("partition %d ends at %d; acknowledged were %d", i, p.EndOffset(), acked[i])
			}
		}
	})
}

// A leader that finds rot in its log gives the leadership away, and copies the log anew. Its broker goes on.
func TestRotAtTheLeader(t *testing.T) {
	runTrio(t, func(c *trio) {
		c.create("t", 1)
		c.inSync("t", 0)
		for i := range 20 {
			wantCode(t, "produce", c.leader("t", 0).produce("t", 0, -1, fmt.Sprint(i)).ErrorCode, wire.None)
		}
		rotten := c.leader("t", 0)
		before, _ := rotten.set.Get("t", 0)
		f, err := rotten.fs.OpenFile("data/t-0/00000000000000000000.log", os.O_RDWR)
		must(t, f, err)
		var b [1]byte
		_, err = f.ReadAt(b[:], 70) // in the records of the first batch
		must(t, f, err)
		b[0] ^= 4
		_, err = f.WriteAt(b[:], 70)
		must(t, f, err)
		_ = f.Close()
		wantCode(t, "fetch", rotten.fetchAs("t", 0, "").ErrorCode, wire.CorruptMessage)
		c.eventually("a new copy", func() bool {
			p, there := rotten.set.Get("t", 0)
			return there && p != before && p.Offline() == nil && p.EndOffset() == 20
		})
		c.inSync("t", 0)
		c.equal("t", 0)
		wantCode(t, "afterwards", c.leader("t", 0).produce("t", 0, -1, "well").ErrorCode, wire.None)
	})
}

// deleteRecords asks a broker to delete what lies before an offset.
func (m *member) deleteRecords(topic string, offset int64, timeoutMillis int32) kmsg.DeleteRecordsResponseTopicPartition {
	m.trio.t.Helper()
	n := &node{t: m.trio.t, broker: m.b, conn: &Conn{ID: "client", Listener: "PLAINTEXT"}}
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.Version, req.TimeoutMillis = 2, timeoutMillis
	req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: offset}}}}
	return call[*kmsg.DeleteRecordsResponse](n, req).Topics[0].Partitions[0]
}

// DeleteRecords is answered when the records are gone from every replica that lives.
func TestDeleteRecordsOfAllReplicas(t *testing.T) {
	runTrio(t, func(c *trio) {
		c.create("t", 1)
		c.inSync("t", 0)
		for i := range 5 {
			wantCode(t, "produce", c.leader("t", 0).produce("t", 0, -1, fmt.Sprint(i)).ErrorCode, wire.None)
		}
		c.equal("t", 0)
		began := time.Now()
		if r := c.leader("t", 0).deleteRecords("t", 2, 5000); r.ErrorCode != 0 || r.LowWatermark != 2 {
			t.Errorf("before 2: %+v", r)
		}
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Errorf("the followers were told after %v", took)
		}
		for _, m := range c.members {
			if p, _ := m.set.Get("t", 0); p.StartOffset() != 2 {
				t.Errorf("broker %d begins at %d when it is answered", m.id, p.StartOffset())
			}
		}
		c.cut(3, true)
		wantCode(t, "one is away", c.leader("t", 0).deleteRecords("t", 4, 100).ErrorCode, wire.RequestTimedOut)
		if r := c.leader("t", 0).deleteRecords("t", 4, 60_000); r.ErrorCode != 0 || r.LowWatermark != 4 {
			t.Errorf("when it is fenced: %+v", r)
		}
		c.cut(3, false)
		c.inSync("t", 0)
		c.eventually("what comes back begins where the others do", func() bool {
			p, _ := c.members[2].set.Get("t", 0)
			return p.StartOffset() == 4
		})
	})
}
