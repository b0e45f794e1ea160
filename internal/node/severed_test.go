package node

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
)

// taken is what a controller says that takes a broker's process for ended.
const taken = "process has ended"

// A broker whose connection to the controller is cut speaks again at once, and so is not taken for dead: not even one whose
// listeners cannot be reached by the controller, which is refused in its name. The time is virtual: it takes none to speak.
func TestSeveredBrokerLives(t *testing.T) { virtually(t, severedBrokerLives) }

func severedBrokerLives(t *testing.T) {
	c := newTestCluster(t, 3)
	c.voters = "1@node-1:9093"
	c.more[1] = []string{"process.roles", "controller", "listeners", "CONTROLLER://node-1:9093"}
	for id := 2; id <= 3; id++ {
		c.more[id] = []string{"process.roles", "broker", "broker.heartbeat.interval.ms", "20000", "broker.session.timeout.ms", "120000"}
	}
	c.more[1] = append(c.more[1], "broker.session.timeout.ms", "120000")
	c.more[3] = append(c.more[3], "advertised.listeners", "PLAINTEXT://nowhere:9092")
	c.start(1, 2, 3)
	fenced := make(chan cluster.NodeID, 100)
	c.nodes[1].quorum.Subscribe(func(_ *cluster.Image, d cluster.Delta) {
		for _, change := range d.Brokers {
			if change.Old != nil && change.New != nil && change.New.Fenced && !change.Old.Fenced {
				fenced <- change.New.ID
			}
		}
	})
	next := time.NewTicker(refusalPause * 2)
	defer next.Stop()
	for range 5 {
		c.network.sever("node-1:9093")
		<-next.C
	}
	select {
	case id := <-fenced:
		t.Fatalf("broker %d was fenced, which lives", id)
	default:
	}

	// One that is killed is missed.
	c.kill(2)
	c.eventually(c.nodes[1], "the killed broker is fenced", func(img *cluster.Image) bool {
		b, _ := img.Broker(2)
		return b.Fenced
	})
	if said := c.log.String(); strings.Count(said, taken) != 1 {
		t.Error("others were taken for dead than the one that is")
	}
}

// A broker whose image takes long to follow the cluster's goes on telling that it lives. The time is virtual.
func TestBrokerThatIsBehindLives(t *testing.T) { virtually(t, brokerThatIsBehindLives) }

func brokerThatIsBehindLives(t *testing.T) {
	c := newTestCluster(t, 3)
	c.voters = "1@node-1:9093"
	c.more[1] = []string{"process.roles", "controller", "listeners", "CONTROLLER://node-1:9093"}
	c.more[2], c.more[3] = []string{"process.roles", "broker"}, []string{"process.roles", "broker"}
	c.start(1, 2, 3)
	req := topicRequest("t", 2, 2) // which broker 2 has something to hand over of
	if _, err := c.nodes[2].metadata().Do(within(t, 10*time.Second), req); err != nil {
		t.Fatal(err)
	}
	fenced := make(chan cluster.NodeID, 100)
	drains := false
	c.nodes[1].quorum.Subscribe(func(_ *cluster.Image, d cluster.Delta) {
		for _, change := range d.Brokers {
			if change.Old != nil && change.New != nil && change.New.Fenced && !change.Old.Fenced {
				fenced <- change.New.ID
			}
			drains = drains || change.New != nil && change.New.Draining
		}
	})
	goOn := holdImage(c.nodes[3])
	// A broker that wants to stop has all others tell how far they have got.
	if _, err := c.nodes[2].heartbeat(within(t, 10*time.Second), true); err != nil {
		t.Fatal(err)
	}
	behind := c.nodes[3].quorum.Image().Offset()
	time.Sleep(30 * time.Second) // virtual: sessions are of two
	synctest.Wait()
	if now := c.nodes[3].quorum.Image().Offset(); now != behind || c.nodes[1].quorum.Image().Offset() <= behind || !drains {
		t.Errorf("broker 3 has got from offset %d to %d, the controller to %d: the test shows nothing", behind, now, c.nodes[1].quorum.Image().Offset())
	}
	goOn()
	c.eventually(c.nodes[3], "it has caught up", func(img *cluster.Image) bool { return img.Offset() > behind })
	select {
	case id := <-fenced:
		t.Errorf("broker %d was fenced, which lives", id)
	default:
	}
}

// A broker that stops and whose image takes long to follow the cluster's has its controller, and hands over what it leads.
func TestBrokerThatIsBehindHandsOver(t *testing.T) {
	for _, id := range []int{1, 2, 3} { // one of them is the controller
		virtually(t, func(t *testing.T) { brokerThatIsBehindHandsOver(t, id) })
	}
}

func brokerThatIsBehindHandsOver(t *testing.T, id int) {
	c := newTestCluster(t, 3)
	c.start(1, 2, 3)
	if _, err := c.nodes[id].metadata().Do(within(t, 10*time.Second), topicRequest("t", 3, 3)); err != nil {
		t.Fatal(err)
	}
	goOn := holdImage(c.nodes[id])
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		c.stop(id)
	}()
	time.Sleep(2 * drainSilence) // virtual
	goOn()
	<-stopped
	if said := c.log.String(); strings.Contains(said, "nobody is told") || !strings.Contains(said, "other brokers lead what this one has led") {
		t.Errorf("broker %d has not handed over", id)
	}
}

// A controller whose disk is full does not hear that others elect another one. It stops nevertheless, however patient who
// stops it is. The time is virtual.
func TestStalledControllerStops(t *testing.T) { virtually(t, stalledControllerStops) }

func stalledControllerStops(t *testing.T) {
	c := newTestCluster(t, 3)
	c.start(1, 2, 3)
	id := c.controller()
	n := c.nodes[id]
	c.disks[id].SetLimit(1)
	asking, end := context.WithCancel(t.Context())
	defer end()
	go func() {
		_, _ = n.metadata().Do(asking, topicRequest("t", 1000, 1)) // more than the log has room for without the disk
	}()
	c.until("the controller's disk is full", n.quorum.Stalled)
	begin := time.Now()
	if err := n.Stop(within(t, time.Hour)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("stopped with %v", err)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("it took %v to stop", took)
	}
}
