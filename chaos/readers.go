//go:build linux

package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/logbahn/logbahn/chaos/workload"
)

// readPatience is how long readers may take when nothing hinders them.
const readPatience = time.Minute

// reader is a consumer by assignment, or a group, in one partition.
type reader struct {
	client    string
	name      string
	partition int32
}

func (at reader) String() string { return fmt.Sprintf("%s in partition %d", at.name, at.partition) }

// ids are the client.ids of its consumers.
func (at reader) ids() []string {
	assigned, members := workload.Consumers(at.client)
	if at.name == assigned {
		return []string{assigned}
	}
	return members
}

// readers returns the next offset of every reader: of a group, that of the member which has got furthest.
func (r *run) readers() map[reader]int64 {
	next := map[reader]int64{}
	for _, c := range r.clients {
		assigned, _ := workload.Consumers(c.Name())
		for p := range int32(partitions) {
			for _, at := range []reader{{c.Name(), assigned, p}, {c.Name(), "the group of " + c.Name(), p}} {
				for _, id := range at.ids() {
					next[at] = max(next[at], r.history.Next(id, p))
				}
			}
		}
	}
	return next
}

// awaitReaders waits until no reader wants for anything, and returns those that still do when the patience is over, or
// none when ctx is done.
func (r *run) awaitReaders(ctx context.Context, wants func(at reader, next int64) bool) map[reader]int64 {
	patience := time.NewTimer(readPatience)
	defer patience.Stop()
	for {
		more := r.history.More()
		wanting := r.readers()
		maps.DeleteFunc(wanting, func(at reader, next int64) bool { return !wants(at, next) })
		if len(wanting) == 0 {
			return nil
		}
		select {
		case <-more:
		case <-patience.C:
			return wanting
		case <-ctx.Done():
			return nil
		}
	}
}

// awaitReads waits until every reader has read every partition to its end.
func (r *run) awaitReads(ctx context.Context) error {
	ends, err := r.observer.ends(ctx)
	if err != nil {
		return err
	}
	behind := r.awaitReaders(ctx, func(at reader, next int64) bool { return next < ends[at.partition] })
	if len(behind) == 0 {
		return nil
	}
	return notRead(fmt.Sprintf("%v after the last write it is not read", readPatience), behind,
		func(at reader, next int64) string {
			return fmt.Sprintf("%s is at %d of %d in partition %d", at.name, next, ends[at.partition], at.partition)
		})
}

// awaitStanding gives readers that have got nothing from a partition since before a fault their time, without another
// fault: every partition has taken writes since. Who gets nothing then is found, once.
func (r *run) awaitStanding(ctx context.Context, s *span, before map[reader]int64) {
	standing := r.awaitReaders(ctx, r.stands(before))
	if len(standing) == 0 {
		return
	}
	for at := range standing {
		r.silent[at] = true
	}
	err := notRead(fmt.Sprintf("%v after all was well nothing is read", readPatience), standing,
		func(at reader, next int64) string { return fmt.Sprintf("%v stands at %d", at, next) })
	r.found("%s of %s: %v%s (%v)", s.name, s.target, err, r.dissect(err), s.busy)
}

// stands tells of readers whether they have got nothing since before. Those that have been found to are left out.
func (r *run) stands(before map[reader]int64) func(at reader, next int64) bool {
	return func(at reader, next int64) bool { return next == before[at] && !r.silent[at] }
}

// notRead is the error of readers that have not got what they should have.
func notRead(what string, wanting map[reader]int64, describe func(at reader, next int64) string) error {
	s := &silence{}
	var names []string
	for at, next := range wanting {
		names = append(names, describe(at, next))
		for _, id := range at.ids() {
			s.suspects = append(s.suspects, suspect{at.client, id})
		}
	}
	slices.Sort(names)
	s.what = what + ": " + strings.Join(names, ", ")
	return s
}
