package ops

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

var noon = time.Unix(1_800_000_000, 0)

// TestClientsAreBounded: whoever draws a new name for each request takes no more room than a thousand honest clients.
func TestClientsAreBounded(t *testing.T) {
	requests := &Requests{}
	c := NewClients(requests, noon)
	long := strings.Repeat("x", 40_000)
	for i := range 5 * clientsMax {
		one := c.Client(Identity{Software: long, SoftwareVersion: long, ClientID: fmt.Sprint(i, long), Address: "10.0.0.1"}, noon)
		one.API(wire.KeyProduce).Sent(9, noon, noon, 100, 10)
		for v := range int16(3 * refusalsMax) {
			one.Refused(wire.RequestHeader{Key: 12, Version: v}, long, noon)
		}
	}
	list, forgotten := c.all()
	if len(list) != clientsMax+1 || forgotten != 0 {
		t.Errorf("%d clients, %d forgotten", len(list), forgotten)
	}
	report, err := json.Marshal(c.report(noon))
	if err != nil {
		t.Fatal(err)
	}
	if most := clientsMax * (refusalsMax*(refusalBytes+200) + 3*clientTextBytes + 1000); len(report) > most {
		t.Errorf("a report of %d bytes", len(report))
	}
	if n := requests.api(wire.KeyProduce).versions[9].Load(); n != 5*clientsMax {
		t.Errorf("%d requests in all", n)
	}
}

// TestSilentClientsMakeRoom, and whoever still holds one finds out.
func TestSilentClientsMakeRoom(t *testing.T) {
	c := NewClients(&Requests{}, noon)
	name := func(i int) Identity { return Identity{ClientID: fmt.Sprint(i)} }
	first := c.Client(name(0), noon)
	for i := 1; i < clientsMax; i++ {
		c.Client(name(i), noon.Add(time.Minute))
	}
	if c.Client(name(clientsMax), noon.Add(forgetAfter-time.Second)) != c.others || first.Forgotten() {
		t.Error("a client is forgotten too early")
	}
	later := noon.Add(forgetAfter)
	if c.Client(name(clientsMax), later) == c.others || !first.Forgotten() {
		t.Error("nobody makes room")
	}
	if again := c.Client(name(0), later); again != c.others {
		t.Error("a second client makes room though it has been seen lately")
	}
	if seventh := c.Client(name(7), later); c.Client(name(7), later) != seventh {
		t.Error("one identity, two clients")
	}
}

func TestClientReport(t *testing.T) {
	c := NewClients(&Requests{}, noon)
	one := c.Client(Identity{Software: "lib", SoftwareVersion: "1", ClientID: "app", Address: "::1"}, noon)
	var running sync.WaitGroup
	for range 4 {
		running.Go(func() {
			for range 100 {
				api := one.API(wire.KeyFetch)
				api.CountError(wire.OffsetOutOfRange.Code())
				api.Sent(12, noon, noon.Add(time.Second), 10, 1000)
			}
		})
	}
	running.Wait()
	one.Refused(wire.RequestHeader{Key: 4, Version: 3}, "no such API", noon.Add(2*time.Second))
	got := c.report(noon).Clients[0]
	want := `{"software":"lib","software_version":"1","client_id":"app","address":"::1","first_seen":"2027-01-15T08:00:00Z",` +
		`"last_seen":"2027-01-15T08:00:02Z","apis":[{"api":"Fetch","key":1,"versions":[{"version":12,"count":400}],` +
		`"errors":[{"code":1,"error":"OFFSET_OUT_OF_RANGE","count":400}]}],` +
		`"refused":[{"api":"LeaderAndISR","key":4,"version":3,"count":1,"reason":"no such API","last":"2027-01-15T08:00:02Z"}]}`
	text, err := json.Marshal(got)
	if err != nil || string(text) != want {
		t.Errorf("%v\n got %s\nwant %s", err, text, want)
	}
}

// What a client sends can be out of every range.
func TestStrangeNumbers(t *testing.T) {
	requests := &Requests{}
	one := NewClients(requests, noon).Client(Identity{}, noon)
	for _, n := range []int16{-32768, -1, 0, 127, 128, 32767} {
		api := one.API(n)
		api.Sent(n, noon, noon.Add(-time.Hour), 0, 0)
		api.CountError(n)
		one.Refused(wire.RequestHeader{Key: n, Version: n}, "", noon)
	}
	if n := len(one.report().Refused); n != 6 {
		t.Errorf("%d refusals", n)
	}
}

func TestChanges(t *testing.T) {
	var c Changes
	partitions := func(leader cluster.NodeID, isr ...cluster.NodeID) *cluster.Topic {
		return &cluster.Topic{Partitions: []cluster.Partition{{Replicas: []cluster.NodeID{1, 2, 3}, Leader: leader, ISR: isr}}}
	}
	unclean := func(t *cluster.Topic) *cluster.Topic {
		t.Partitions[0].UncleanEpoch = 7
		return t
	}
	for _, step := range [][2]*cluster.Topic{
		{partitions(1, 1, 2, 3), partitions(1, 1, 2)},                // 3 fell behind
		{partitions(1, 1, 2), partitions(2, 2)},                      // 1 died
		{partitions(2, 2), partitions(cluster.NoLeader, 2)},          // nobody is left
		{partitions(cluster.NoLeader, 2), unclean(partitions(3, 3))}, // who was not in sync
		{unclean(partitions(3, 3)), unclean(partitions(3, 1, 3))},    // 1 is back
		{unclean(partitions(3, 1, 3)), unclean(partitions(2, 2, 1))}, // several changes seen as one; nothing was lost
	} {
		c.Applied(cluster.Delta{Changed: []cluster.TopicChange{{Old: step[0], New: step[1]}}})
	}
	if c.elections.Load() != 3 || c.unclean.Load() != 1 || c.isrShrinks.Load() != 4 || c.isrGrew.Load() != 3 {
		t.Errorf("%d elections, %d unclean, %d shrinks, %d grown", c.elections.Load(), c.unclean.Load(), c.isrShrinks.Load(), c.isrGrew.Load())
	}
}

// What every request pays.
func BenchmarkSent(b *testing.B) {
	one := NewClients(&Requests{}, noon).Client(Identity{ClientID: "a"}, noon)
	b.ReportAllocs()
	for b.Loop() {
		one.API(wire.KeyProduce).Sent(9, noon, noon.Add(time.Millisecond), 1000, 50)
	}
}
