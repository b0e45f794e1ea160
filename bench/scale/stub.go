//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	random "math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/peer"
	"github.com/logbahn/logbahn/internal/quorum"
	"github.com/logbahn/logbahn/internal/record"
	"github.com/logbahn/logbahn/internal/wire"
)

// The settings of brokers that a stub has too, with their defaults.
const (
	heartbeatInterval = 2 * time.Second        // broker.heartbeat.interval.ms
	sessionTimeout    = 9 * time.Second        // broker.session.timeout.ms
	fetchWait         = 500 * time.Millisecond // of a node that follows the metadata log
	fetchBytesMax     = 1 << 20
	retryPause        = 250 * time.Millisecond
)

// stub is a broker as the controller sees it.
type stub struct {
	fleet       *fleet
	id          cluster.NodeID
	incarnation cluster.UUID
	directory   cluster.UUID
	beats, log  *peer.Peers // the same way twice, so that what goes over it is counted apart

	epoch  atomic.Int64 // of the registration
	fenced atomic.Bool
	heard  atomic.Int64 // when the last heartbeat was sent that was answered, in nanoseconds
	at     atomic.Int64 // the metadata offset that it has got to, -1 while it does not follow

	ctx     context.Context // ends when it is lost
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newStub(f *fleet, id cluster.NodeID) *stub {
	s := &stub{fleet: f, id: id}
	_, _ = rand.Read(s.incarnation[:]) // which never fails
	_, _ = rand.Read(s.directory[:])
	s.beats = peer.New(peer.Config{Self: id, Dial: f.beats.dial, LivenessTimeout: sessionTimeout / 2})
	s.log = peer.New(peer.Config{Self: id, Dial: f.log.dial})
	for _, p := range []*peer.Peers{s.beats, s.log} {
		p.SetAddress(controllerID, f.controllerAddress)
	}
	s.fenced.Store(true)
	s.at.Store(-1)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// lose ends a stub: it is silent from now on.
func (s *stub) lose() {
	s.cancel()
	s.beats.Close()
	s.log.Close()
	s.running.Wait()
}

func (s *stub) lost() bool { return s.ctx.Err() != nil }

// rackOf is where a broker stands, the real one too.
func rackOf(id cluster.NodeID) string { return fmt.Sprintf("rack-%d", id%racks) }

// register makes the stub known to the controller.
func (s *stub) register(ctx context.Context) error {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version = req.MaxVersion()
	req.BrokerID, req.ClusterID, req.IncarnationID, req.PreviousBrokerEpoch = s.id, s.fleet.clusterID, s.incarnation, -1
	rack := rackOf(s.id)
	req.Rack, req.LogDirs = &rack, [][16]byte{s.directory}
	l := kmsg.NewBrokerRegistrationRequestListener()
	l.Name, l.Host, l.Port = "PLAINTEXT", "127.0.0.1", s.fleet.leaders.port()
	req.Listeners = append(req.Listeners, l)
	answer, err := s.ask(ctx, req)
	if err != nil {
		return err
	}
	resp := answer.(*kmsg.BrokerRegistrationResponse)
	s.epoch.Store(resp.BrokerEpoch)
	return failure(resp.ErrorCode)
}

// ask sends a request to the controller where heartbeats go, in an envelope as brokers do.
func (s *stub) ask(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	answer, err := s.beats.Request(ctx, controllerID, peer.Liveness, wire.NewEnvelope(req))
	if err != nil {
		return nil, fmt.Errorf("stub %d: %s: %w", s.id, wire.APIName(req.Key()), err)
	}
	envelope := answer.(*kmsg.EnvelopeResponse)
	if err := failure(envelope.ErrorCode); err != nil {
		return nil, fmt.Errorf("stub %d: %s: %w", s.id, wire.APIName(req.Key()), err)
	}
	resp, err := wire.OpenEnvelope(envelope, req)
	if err != nil {
		return nil, fmt.Errorf("stub %d: %s: %w", s.id, wire.APIName(req.Key()), err)
	}
	return resp, nil
}

func failure(code int16) error {
	if code != 0 {
		return wire.Error(code)
	}
	return nil
}

// live sends heartbeats until the stub is lost: often until it is unfenced, then in the interval of brokers, from a time on
// that chance has chosen.
func (s *stub) live() {
	wait := time.Duration(0)
	for pause(s.ctx, wait) == nil {
		fenced := s.fenced.Load()
		switch err := s.beat(s.ctx); {
		case err != nil || s.fenced.Load():
			wait = retryPause
		case fenced:
			wait = random.N(heartbeatInterval)
		default:
			wait = heartbeatInterval
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// beat sends one heartbeat.
func (s *stub) beat(ctx context.Context) error {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.Version = req.MaxVersion()
	req.BrokerID, req.BrokerEpoch, req.CurrentMetadataOffset = s.id, s.epoch.Load(), s.at.Load()
	if req.CurrentMetadataOffset < 0 {
		req.CurrentMetadataOffset = s.fleet.watch.Image().Offset()
	}
	sent := time.Now()
	answer, err := s.ask(ctx, req)
	if err != nil {
		return err
	}
	resp := answer.(*kmsg.BrokerHeartbeatResponse)
	if err := failure(resp.ErrorCode); err != nil {
		return err
	}
	s.heard.Store(sent.UnixNano())
	s.fleet.answered(time.Since(sent))
	if fenced := s.fenced.Swap(resp.IsFenced); resp.IsFenced && !fenced {
		s.fleet.fencings.Add(1)
	}
	return nil
}

// follow fetches the metadata log from the end of the shared image on, until the stub is lost.
func (s *stub) follow() {
	next, epoch := s.fleet.end()
	for s.ctx.Err() == nil {
		s.at.Store(next - 1)
		n, e, err := s.fetch(next, epoch)
		if err == nil {
			next, epoch = n, e
			s.fleet.fetches.Add(1)
		} else if pause(s.ctx, retryPause) != nil {
			return
		}
	}
}

// fetch asks for what comes at an offset, behind an entry of an epoch, and returns where the next fetch goes on.
func (s *stub) fetch(next int64, epoch int32) (int64, int32, error) {
	p := wire.NewFetchPartition(0, next)
	p.PartitionMaxBytes, p.ReplicaDirectoryID, p.HighWatermark, p.LastFetchedEpoch = fetchBytesMax, s.directory, next, epoch
	resp, release, err := s.log.Fetch(s.ctx, controllerID, &wire.FetchRequest{
		Version: wire.FetchVersion, ClusterID: &s.fleet.clusterID, ReplicaID: s.id, ReplicaEpoch: -1,
		MaxWaitMillis: int32(fetchWait / time.Millisecond), MinBytes: 1, MaxBytes: fetchBytesMax, SessionEpoch: -1,
		Topics: []wire.FetchTopic{{Topic: quorum.MetadataTopic, TopicID: quorum.MetadataTopicID, Partitions: []wire.FetchPartition{p}}},
	})
	if err != nil {
		return 0, 0, err
	}
	defer release()
	if resp.Error != wire.None {
		return 0, 0, resp.Error
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return 0, 0, errors.New("an answer that is not about one partition")
	}
	reply := &resp.Topics[0].Partitions[0]
	switch {
	case reply.Error != wire.None:
		return 0, 0, reply.Error
	case reply.SnapshotID != wire.NoEpochEnd, reply.DivergingEpoch != wire.NoEpochEnd: // a broker would fetch the snapshot
		s.fleet.fallenBehind.Add(1)
		next, epoch = s.fleet.end()
		return next, epoch, nil
	}
	for b := reply.RecordData(); len(b) > 0; {
		h, err := record.ReadHeader(b)
		if err != nil {
			return 0, 0, err
		}
		if h.Size() > len(b) {
			return 0, 0, fmt.Errorf("metadata offset %d is cut off", h.BaseOffset)
		}
		next, epoch, b = h.NextOffset(), h.LeaderEpoch, b[h.Size():]
	}
	return next, epoch, nil
}
