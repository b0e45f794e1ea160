//go:build linux

package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
)

// loseBroker loses one stub.
func (m *measurement) loseBroker(ctx context.Context) error {
	return m.lose(ctx, "broker_lost", m.stubs[len(m.stubs)/2:len(m.stubs)/2+1])
}

// loseRack loses a rack that neither the real broker nor the lost stub is in.
func (m *measurement) loseRack(ctx context.Context) error {
	rack := 0
	for standing := []string{rackOf(realID), rackOf(m.stubs[len(m.stubs)/2].id)}; slices.Contains(standing, rackOf(cluster.NodeID(rack))); {
		rack++
	}
	var lost []*stub
	for _, s := range m.stubs {
		if rackOf(s.id) == rackOf(cluster.NodeID(rack)) {
			lost = append(lost, s)
		}
	}
	return m.lose(ctx, "rack_lost", lost)
}

// lose has stubs fall silent, and waits until all that they led has living leaders: as the shared image has it, and then as
// every stub that is left could know.
func (m *measurement) lose(ctx context.Context, name string, lost []*stub) error {
	var wg sync.WaitGroup
	for _, s := range lost {
		wg.Go(s.lose)
	}
	wg.Wait()
	heard := time.Unix(0, slices.MaxFunc(lost, func(a, b *stub) int { return int(a.heard.Load() - b.heard.Load()) }).heard.Load())
	img := m.watch.Image()
	e := newElection(img, lost)
	m.set(name+"_partitions", float64(e.led))
	m.set(name+"_replicas", float64(e.held))
	read := m.log.read.Load()
	before, err := m.controller.cpu()
	if err != nil {
		return err
	}
	img, err = m.watch.await(ctx, e.over)
	if err != nil {
		return err
	}
	m.set(name+"_ms", ms(time.Since(heard)-sessionTimeout))
	m.set(name+"_stranded", float64(e.stranded))
	if err := m.everywhere(ctx, img.Offset()); err != nil {
		return err
	}
	m.set(name+"_everywhere_ms", ms(time.Since(heard)-sessionTimeout))
	m.set(name+"_mb", float64(m.log.read.Load()-read)/1e6)
	after, err := m.controller.cpu()
	if err != nil {
		return err
	}
	m.set(name+"_cpu_ms", ms(after-before))
	return nil
}

// election is the wait for leaders.
type election struct {
	lost      map[cluster.NodeID]bool
	topics    []cluster.UUID // that a lost broker has replicas of
	pending   []cluster.UUID // those of them that may have partitions without a living leader
	led, held int
	// stranded are partitions whose in-sync sets have lost brokers only, since another one was fenced by mistake before: a
	// stub does not come back into them. Nobody can lead them.
	stranded int
}

func newElection(img *cluster.Image, lost []*stub) *election {
	e := &election{lost: map[cluster.NodeID]bool{}}
	seen := map[cluster.UUID]bool{}
	for _, s := range lost {
		e.lost[s.id] = true
	}
	for _, s := range lost {
		for t := range img.TopicsOf(s.id) {
			if seen[t.ID] {
				continue
			}
			seen[t.ID] = true
			e.topics = append(e.topics, t.ID)
			for i := range t.Partitions {
				if e.lost[t.Partitions[i].Leader] {
					e.led++
				}
				for _, id := range t.Partitions[i].Replicas {
					if e.lost[id] {
						e.held++
					}
				}
			}
		}
	}
	e.pending = slices.Clone(e.topics)
	return e
}

// over tells whether all that can have a leader have a living one. A topic that had is looked at again only when all had.
func (e *election) over(img *cluster.Image) bool {
	for len(e.pending) > 0 {
		if _, settled := e.settled(img, e.pending[len(e.pending)-1]); !settled {
			return false
		}
		e.pending = e.pending[:len(e.pending)-1]
	}
	e.stranded = 0
	for _, id := range e.topics {
		stranded, settled := e.settled(img, id)
		e.stranded += stranded
		if !settled {
			e.pending = append(e.pending, id)
		}
	}
	return len(e.pending) == 0
}

// settled tells whether nothing of a topic waits for a leader, and how many of its partitions cannot have one.
func (e *election) settled(img *cluster.Image, topic cluster.UUID) (stranded int, settled bool) {
	t, ok := img.TopicByID(topic)
	if !ok {
		return 0, false
	}
	dead := func(id cluster.NodeID) bool { return e.lost[id] }
	for i := range t.Partitions {
		switch p := &t.Partitions[i]; {
		case p.Leader != cluster.NoLeader && !dead(p.Leader):
		case slices.ContainsFunc(p.ISR, func(id cluster.NodeID) bool { return !dead(id) }):
			return 0, false
		default:
			stranded++
		}
	}
	return stranded, true
}
