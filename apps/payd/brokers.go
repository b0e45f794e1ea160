package payd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/logbahn/logbahn/apps/payd/web"
	"github.com/twmb/franz-go/pkg/kadm"
)

// Cluster is what the page may do to the brokers. Its methods may be called by any goroutine.
type Cluster interface {
	// Kill ends a broker as a crash of its process does.
	Kill(id int32) error
	// Start starts a broker that was killed, with the data that it left.
	Start(ctx context.Context, id int32) error
	// Running tells whether a broker runs.
	Running(id int32) bool
}

// watchedPartition is the one of telematics whose leader is killed.
const watchedPartition = 0

// brokers makes the page's rows of what the cluster says; known are the brokers that were there before.
func brokers(m kadm.Metadata, known map[int32]string, running func(id int32) bool) []web.Broker {
	rows := make(map[int32]*web.Broker)
	for id, address := range known {
		rows[id] = &web.Broker{ID: id, Address: address, Running: running(id), Controller: id == m.Controller}
	}
	for _, b := range m.Brokers {
		if rows[b.NodeID] == nil {
			rows[b.NodeID] = &web.Broker{ID: b.NodeID, Running: running(b.NodeID), Controller: b.NodeID == m.Controller}
		}
		rows[b.NodeID].Alive = true
		rows[b.NodeID].Address = fmt.Sprintf("%s:%d", b.Host, b.Port)
		known[b.NodeID] = rows[b.NodeID].Address
	}
	m.Topics.EachPartition(func(p kadm.PartitionDetail) {
		if leader := rows[p.Leader]; leader != nil {
			leader.Leads++
			leader.Leader = leader.Leader || p.Topic == topicRaw && p.Partition == watchedPartition
		}
		for _, id := range p.Replicas {
			if b := rows[id]; b != nil {
				b.Replicas++
				if !slices.Contains(p.ISR, id) {
					b.Behind++
				}
			}
		}
	})
	out := make([]web.Broker, 0, len(rows))
	for _, b := range rows {
		out = append(out, *b)
	}
	slices.SortFunc(out, func(a, b web.Broker) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// running tells whether a broker runs; of brokers that somebody else has started nothing is known but that they answer.
func (c *Config) running(id int32) bool { return c.Cluster == nil || c.Cluster.Running(id) }

// operatePatience bounds what the page's buttons wait for.
const operatePatience = 30 * time.Second

// KillLeader implements web.Model.
func (v *view) KillLeader() (int32, error) {
	if v.config.Cluster == nil {
		return 0, web.ErrNotMine
	}
	for _, b := range v.Status().Brokers {
		if b.Leader && b.Running {
			return b.ID, v.config.Cluster.Kill(b.ID)
		}
	}
	return 0, errors.New("the partition has no leader just now: its next one is being elected")
}

// StartBroker implements web.Model.
func (v *view) StartBroker(ctx context.Context, id int32) error {
	if v.config.Cluster == nil {
		return web.ErrNotMine
	}
	if !slices.ContainsFunc(v.Status().Brokers, func(b web.Broker) bool { return b.ID == id }) {
		return fmt.Errorf("%w: %d", web.ErrNoBroker, id)
	}
	ctx, cancel := context.WithTimeout(ctx, operatePatience)
	defer cancel()
	return v.config.Cluster.Start(ctx, id)
}
