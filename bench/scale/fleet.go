//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/peer"
	"github.com/logbahn/logbahn/internal/wire"
)

// The nodes. Brokers are numbered from 1 on.
const (
	realID       cluster.NodeID = 1
	controllerID cluster.NodeID = 10_001
	watchID      cluster.NodeID = 10_002

	racks = 3
)

// fleet is the cluster: a controller, a broker, and stubs.
type fleet struct {
	options
	controllerAddress, brokerAddress string

	clusterID  string
	controller *process
	broker     *process
	leaders    *leaders
	watch      *watch
	stubs      []*stub
	client     *kgo.Client // of the real broker

	// What goes between the controller and the stubs: heartbeats, and the metadata log, the shared image's among it.
	beats, log          traffic
	heartbeats, fetches atomic.Int64
	fencings            atomic.Int64 // of stubs that were not lost
	fallenBehind        atomic.Int64 // stubs that the log was cut before
	slowest             atomic.Int64 // heartbeat of a step, in nanoseconds
}

func newFleet(o options) *fleet { return &fleet{options: o} }

func (f *fleet) close() {
	var wg sync.WaitGroup
	for _, s := range f.stubs {
		wg.Go(s.lose)
	}
	wg.Wait()
	if f.client != nil {
		f.client.Close()
	}
	if f.watch != nil {
		f.watch.close()
	}
	if f.leaders != nil {
		f.leaders.Close()
	}
	for _, p := range []*process{f.broker, f.controller} {
		if p != nil {
			p.close()
		}
	}
}

// startController starts the controller, and what has to be there before a stub.
func (f *fleet) startController(ctx context.Context) error {
	var err error
	if f.controllerAddress, err = freeAddress(); err != nil {
		return err
	}
	f.controller, err = newProcess(f.binary, filepath.Join(f.scratch, "controller"), append(f.settings(),
		fmt.Sprint("node.id=", controllerID), "process.roles=controller", "listeners=CONTROLLER://"+f.controllerAddress)...)
	if err != nil {
		return err
	}
	if err := f.controller.start(ctx); err != nil {
		return err
	}
	if f.clusterID, err = f.hello(ctx); err != nil {
		return err
	}
	if f.leaders, err = newLeaders(); err != nil {
		return err
	}
	f.watch, err = newWatch(f)
	return err
}

// settings are those of both real nodes.
func (f *fleet) settings() []string {
	return []string{
		fmt.Sprintf("controller.quorum.voters=%d@%s", controllerID, f.controllerAddress),
		"controller.listener.names=CONTROLLER",
		"listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
	}
}

// hello asks the controller for the id of its cluster.
func (f *fleet) hello(ctx context.Context) (string, error) {
	peers := peer.New(peer.Config{Self: watchID, Dial: f.beats.dial})
	defer peers.Close()
	peers.SetAddress(controllerID, f.controllerAddress)
	req := &wire.HelloRequest{NodeID: watchID}
	_, _ = rand.Read(req.DirectoryID[:]) // which never fails
	answer, err := peers.Request(ctx, controllerID, peer.Control, req)
	if err != nil {
		return "", err
	}
	id := answer.(*wire.HelloResponse).ClusterID
	if id == nil {
		return "", errors.New("the controller knows no cluster")
	}
	return *id, nil
}

// startBroker starts the real broker. What it leads no stub fetches, which does not make them leave the in-sync sets.
func (f *fleet) startBroker(ctx context.Context) error {
	var err error
	if f.brokerAddress, err = freeAddress(); err != nil {
		return err
	}
	f.broker, err = newProcess(f.binary, filepath.Join(f.scratch, "broker"), append(f.settings(),
		fmt.Sprint("node.id=", realID), "process.roles=broker", "listeners=PLAINTEXT://"+f.brokerAddress,
		"broker.rack="+rackOf(realID), "replica.lag.time.max.ms=3600000")...)
	if err != nil {
		return err
	}
	if err := f.broker.start(ctx); err != nil {
		return err
	}
	f.client, err = kgo.NewClient(kgo.SeedBrokers(f.brokerAddress))
	return err
}

// registrationsAtOnce is how many stubs register at the same time.
const registrationsAtOnce = 64

// startStubs registers the stubs, and returns when all are unfenced.
func (f *fleet) startStubs(ctx context.Context) error {
	var wg sync.WaitGroup
	turns, failed := make(chan struct{}, registrationsAtOnce), make(chan error, f.brokers)
	for id := realID + 1; int(id) <= f.brokers; id++ {
		s := newStub(f, id)
		f.stubs = append(f.stubs, s)
		turns <- struct{}{}
		wg.Go(func() {
			failed <- s.register(ctx)
			<-turns
		})
	}
	wg.Wait()
	for range f.stubs {
		if err := <-failed; err != nil {
			return err
		}
	}
	for _, s := range f.stubs {
		s.running.Go(s.live)
	}
	_, err := f.watch.await(ctx, func(img *cluster.Image) bool {
		live := 0
		for _, b := range img.Brokers() {
			if b.Live() {
				live++
			}
		}
		return live >= len(f.stubs)
	})
	return err
}

// follow has the stubs follow the metadata log from now on, and returns when all have begun.
func (f *fleet) follow(ctx context.Context) error {
	for _, s := range f.stubs {
		s.running.Go(s.follow)
	}
	return f.everywhere(ctx, f.watch.Image().Offset())
}

// end is where who has the shared image goes on to fetch, and the epoch of the entry before.
func (f *fleet) end() (offset int64, epoch int32) {
	img := f.watch.Image()
	return img.Offset() + 1, img.Epoch()
}

// answered notes how long a heartbeat has taken.
func (f *fleet) answered(took time.Duration) {
	f.heartbeats.Add(1)
	for {
		slowest := f.slowest.Load()
		if int64(took) <= slowest || f.slowest.CompareAndSwap(slowest, int64(took)) {
			return
		}
	}
}

// everywherePoll is how often all stubs are looked at.
const everywherePoll = 500 * time.Microsecond

// everywhere returns when all stubs that are not lost have got to a metadata offset.
func (f *fleet) everywhere(ctx context.Context, offset int64) error {
	behind := func(s *stub) bool { return !s.lost() && s.at.Load() < offset }
	for i := 0; i < len(f.stubs); {
		if !behind(f.stubs[i]) {
			i++
			continue
		}
		if err := pause(ctx, everywherePoll); err != nil {
			return fmt.Errorf("stub %d has got to metadata offset %d of %d: %w", f.stubs[i].id, f.stubs[i].at.Load(), offset, err)
		}
	}
	return nil
}
