package partition

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/partition/replica"
	"github.com/logbahn/logbahn/internal/vfs"
)

// away is a controller that does not answer.
type away struct{ asked int }

func (a *away) Do(context.Context, kmsg.Request) (kmsg.Response, error) {
	a.asked++
	return nil, errors.New("nobody is there")
}

// TestAbsentControllerIsToldOfSeldom: it is asked for as long as it takes, and not each time is a line of the log.
func TestAbsentControllerIsToldOfSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := startNode(t, vfs.NewMem())
		var log bytes.Buffer
		controller := new(away)
		n.set.cfg.Controller, n.set.cfg.Log = controller, slog.New(slog.NewTextHandler(&log, nil))
		n.apply(cluster.RegisterBroker{Broker: cluster.Broker{ID: 2, Epoch: n.img.NextBrokerEpoch()}})
		p := n.create(topicID, nil, cluster.Partition{Replicas: ids(1, 2), ISR: ids(1, 2), Leader: 1, LeaderEpoch: 3})
		p.fail(errors.New("the disk does not write"))
		time.Sleep(time.Minute)
		synctest.Wait()
		n.set.Close()
		lines := strings.Count(log.String(), "in-sync sets not proposed")
		if controller.asked < 200 || lines < 2 || lines > 2+controller.asked/retriesPerLine {
			t.Errorf("it was asked %d times, which made %d lines", controller.asked, lines)
		}
	})
}

// TestWhoStopsIsNotLetInAgain: its last fetch came with an image in which it was alive, and is counted by a leader that has the
// next one, without it in sync.
func TestWhoStopsIsNotLetInAgain(t *testing.T) {
	n := startNode(t, vfs.NewMem())
	asked := make(controller, 1)
	n.set.cfg.Controller = asked
	t.Cleanup(n.set.Close)
	epoch := n.img.NextBrokerEpoch()
	n.apply(cluster.RegisterBroker{Broker: cluster.Broker{ID: 2, Epoch: epoch}})
	two := cluster.Partition{Replicas: ids(1, 2), ISR: ids(1, 2), Leader: 1, LeaderEpoch: 3}
	p := n.create(topicID, nil, two)
	two.ISR, two.PartitionEpoch = ids(1), 1
	n.apply(cluster.SetBrokerState{ID: 2, Epoch: epoch, Draining: true}, cluster.ChangePartition{TopicID: topicID, Index: 0, Partition: two})
	proposed := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		m := &p.mu.machine
		return m.Proposed(replica.ISRChange{LeaderEpoch: 3, PartitionEpoch: 1})
	}
	fetch := replica.Fetch{ID: 2, LeaderEpoch: 3, BrokerEpoch: epoch, Eligible: true}
	p.FollowerFetched(fetch)
	if proposed() {
		t.Fatal("a broker that drains is proposed")
	}
	n.apply(cluster.SetBrokerState{ID: 2, Epoch: epoch})
	if !proposed() {
		t.Fatal("nor is it when it drains no more")
	}
}
