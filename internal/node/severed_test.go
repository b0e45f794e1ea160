package node

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
)

// taken is what a controller says that takes a broker's process for ended.
const taken = "process has ended"

// A broker whose connection to the controller is cut speaks again at once, and so is not taken for dead: not even one whose
// listeners cannot be reached by the controller, which is refused in its name. The time is virtual: it takes none to speak.
func TestSeveredBrokerLives(t *testing.T) { synctest.Test(t, severedBrokerLives) }

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
