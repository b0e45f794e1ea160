//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/logbahn/logbahn/bench/load"
	"github.com/logbahn/logbahn/bench/system"
)

// profileTime is how long a profile looks; the load begins before it and ends after it.
const profileTime = 2 * time.Second

const (
	fetchProfile = "fetch"
	smallProfile = "client-100-B" // records of 100 B through the client library
)

// profile profiles the broker under one of the raw loads, or records of 100 B by the client library, and leaves the files for go tool pprof; -system
// logbahn-sync has the broker flush.
func profile(ctx context.Context, o *options) error {
	run, err := profiledLoad(o.load)
	if err != nil {
		return err
	}
	key := system.LogbahnOS
	if o.systems == system.LogbahnSync {
		key = o.systems
	}
	p, err := system.Of(key)[0].Start(ctx, &o.env)
	if err != nil {
		return err
	}
	defer p.Stop()
	r := &round{Cluster: p, env: &o.env, results: &Results{}}
	if err := r.create(ctx, profileTopic, 1); err != nil {
		return err
	}
	saved := make(chan error, 1)
	go func() { saved <- r.saveProfiles(o.results, o.load) }()
	_, m, err := r.measured(func() (*load.Result, error) { return run(ctx, r.Addr) })
	if err != nil {
		return err
	}
	r.record(o.load, m)
	return <-saved
}

const profileTopic = "profiled"

// profiledLoad returns the load with the name, as -load takes it.
func profiledLoad(name string) (func(context.Context, string) (*load.Result, error), error) {
	limits := load.Limits{Time: profileTime + 1500*time.Millisecond, Bytes: 64 << 30}
	produce := func(conns, records, valueBytes int, limits load.Limits) func(context.Context, string) (*load.Result, error) {
		return func(ctx context.Context, addr string) (*load.Result, error) {
			return load.ProduceLoad{Addr: addr, Topic: profileTopic, Partitions: 1, Conns: conns, InFlight: 5, Acks: -1,
				Batch: load.Batch(records, valueBytes), Records: records, Limits: limits}.Run(ctx)
		}
	}
	if name == fetchProfile {
		return func(ctx context.Context, addr string) (*load.Result, error) {
			if _, err := produce(1, 900, 1<<10, load.Limits{Time: time.Second, Bytes: 600e6})(ctx, addr); err != nil {
				return nil, err
			}
			return load.FetchLoad{Addr: addr, Topic: profileTopic, Conns: 1, BytesMax: 1 << 20, Limits: limits}.Run(ctx)
		}, nil
	}
	if name == smallProfile {
		return func(ctx context.Context, addr string) (*load.Result, error) {
			c, err := load.NewKafka([]string{addr}, load.OneCopy, load.Codecs["none"])
			if err != nil {
				return nil, err
			}
			defer c.Close()
			return c.Produce(ctx, profileTopic, load.Values(100), limits)
		}, nil
	}
	for _, shape := range rawShapes {
		if profileName(shape.name) == name {
			return produce(shape.conns, shape.records, shape.valueBytes, limits), nil
		}
	}
	return nil, fmt.Errorf("-load is one of %s", profileNames())
}

func profileName(shape string) string { return strings.ReplaceAll(shape, " ", "-") }

func profileNames() string {
	names := []string{fetchProfile, smallProfile}
	for _, shape := range rawShapes {
		names = append(names, profileName(shape.name))
	}
	return strings.Join(names, ", ")
}

// saveProfiles takes a profile of the processor a second into the load, and one of all allocations.
func (r *round) saveProfiles(dir, name string) error {
	time.Sleep(time.Second)
	for _, p := range []struct{ suffix, path string }{
		{"cpu", fmt.Sprintf("/debug/pprof/profile?seconds=%d", int(profileTime.Seconds()))},
		{"allocs", "/debug/pprof/allocs"},
	} {
		b, err := r.ask(p.path)
		if err != nil {
			return err
		}
		file := filepath.Join(dir, name+"."+p.suffix+".pprof")
		if err := os.WriteFile(file, b, 0o644); err != nil {
			return err
		}
		fmt.Printf("go tool pprof -top %s\n", file)
	}
	return nil
}
