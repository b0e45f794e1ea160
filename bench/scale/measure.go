//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// measurement is one run: what has been measured so far.
type measurement struct {
	*fleet
	begin   time.Time
	figures map[string]float64
	topics  int // created so far
}

const (
	perTopic      = 10
	replicas      = 3
	requestTopics = 1000 // 10,000 partitions are the most that a request may create
	bigPartitions = 10_000
	restTime      = 10 * time.Second
)

func (m *measurement) all(ctx context.Context) error {
	steps := []struct {
		name string
		run  func(context.Context) error
	}{
		{"register", m.register}, {"create", m.create}, {"image", m.image}, {"rest", m.rest}, {"change", m.change},
		{"broker_lost", m.loseBroker}, {"rack_lost", m.loseRack}, {"restart", m.restart},
	}
	for _, step := range steps {
		finish := m.profile(step.name)
		m.slowest.Store(0)
		err := step.run(ctx)
		finish()
		if err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		m.set(step.name+"_beat_ms", ms(time.Duration(m.slowest.Load())))
	}
	return nil
}

// set notes a figure, and shows it.
func (m *measurement) set(name string, value float64) {
	m.figures[name] = value
	fmt.Fprintf(os.Stderr, "%7.1f s  %-28s %.6g\n", time.Since(m.begin).Seconds(), name, value)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }

func median(durations []time.Duration) time.Duration {
	slices.Sort(durations)
	return durations[len(durations)/2]
}

// profileSeconds is how long a profile takes: a step that is shorter waits for it.
const profileSeconds = 10

// profile begins a CPU profile of the controller, if profiles are asked for. The function that it returns waits for its end.
func (m *measurement) profile(step string) (finish func()) {
	if m.profiles == "" || m.controller == nil {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f, err := os.Create(filepath.Join(m.profiles, step+".pprof"))
		if err == nil {
			defer f.Close()
			err = m.controller.get(fmt.Sprintf("/debug/pprof/profile?seconds=%d", profileSeconds), f)
		}
		if err != nil {
			fmt.Fprintf(os.Stderr, "no profile of %s: %v\n", step, err)
		}
	}()
	return func() { <-done }
}

// register starts everything.
func (m *measurement) register(ctx context.Context) error {
	if err := m.startController(ctx); err != nil {
		return err
	}
	begin := time.Now()
	if err := m.startStubs(ctx); err != nil {
		return err
	}
	m.set("register_ms", ms(time.Since(begin)))
	return m.startBroker(ctx)
}

// create makes all partitions but those that other steps make.
func (m *measurement) create(ctx context.Context) error {
	left := m.partitions - m.big() - createTries*perTopic
	begin, partitions := time.Now(), 0
	var took []time.Duration
	for left > partitions {
		n := min(requestTopics, (left-partitions+perTopic-1)/perTopic)
		one := time.Now()
		if err := m.createTopics(ctx, n, perTopic); err != nil {
			return err
		}
		took = append(took, time.Since(one))
		partitions += n * perTopic
	}
	m.set("create_partitions_s", float64(partitions)/time.Since(begin).Seconds())
	if len(took) > 2 { // the first and the last whole request
		m.set("create_first_ms", ms(took[0]))
		m.set("create_last_ms", ms(took[len(took)-2]))
	}
	return nil
}

// big is the number of partitions of the topic that has many.
func (m *measurement) big() int { return min(bigPartitions, m.partitions/10) }

// createTopics makes topics through the real broker and returns when they are answered, and so known there.
func (m *measurement) createTopics(ctx context.Context, topics, partitions int) error {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.TimeoutMillis = 120_000
	for range topics {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = topicName(m.topics), int32(partitions), replicas
		req.Topics = append(req.Topics, t)
		m.topics++
	}
	answer, err := m.client.SeedBrokers()[0].Request(ctx, req)
	if err != nil {
		return err
	}
	for _, t := range answer.(*kmsg.CreateTopicsResponse).Topics {
		if err := failure(t.ErrorCode); err != nil {
			return fmt.Errorf("topic %s: %w", t.Topic, err)
		}
	}
	return nil
}

func topicName(n int) string { return fmt.Sprintf("topic-%06d", n) }

// rest has the stubs follow the metadata log, and measures what it costs that nothing happens.
func (m *measurement) rest(ctx context.Context) error {
	if err := m.follow(ctx); err != nil {
		return err
	}
	if err := pause(ctx, 2*heartbeatInterval); err != nil {
		return err
	}
	if err := m.memory(); err != nil {
		return err
	}
	usage := map[string]*process{"controller": m.controller, "broker": m.broker}
	before := map[string]time.Duration{}
	for name, p := range usage {
		var err error
		if before[name], err = p.cpu(); err != nil {
			return err
		}
	}
	beats, log, heartbeats, fetches := m.beats.total(), m.log.total(), m.heartbeats.Load(), m.fetches.Load()
	begin := time.Now()
	if err := pause(ctx, restTime); err != nil {
		return err
	}
	seconds := time.Since(begin).Seconds()
	for name, p := range usage {
		used, err := p.cpu()
		if err != nil {
			return err
		}
		m.set(name+"_rest_cpu_pct", 100*(used-before[name]).Seconds()/seconds)
	}
	m.set("heartbeats_s", float64(m.heartbeats.Load()-heartbeats)/seconds)
	m.set("heartbeats_kb_s", (m.beats.total()-beats)/1e3/seconds)
	m.set("fetches_s", float64(m.fetches.Load()-fetches)/seconds)
	m.set("fetches_kb_s", (m.log.total()-log)/1e3/seconds)
	return nil
}

// memory measures what the two nodes hold.
func (m *measurement) memory() error {
	for name, p := range map[string]*process{"controller": m.controller, "broker": m.broker} {
		if err := p.collect(); err != nil {
			return err
		}
		now, most, err := p.resident()
		if err != nil {
			return err
		}
		m.set(name+"_rss_mb", now/1e6)
		m.set(name+"_rss_most_mb", most/1e6)
	}
	return nil
}

// restart kills the controller, then the broker.
func (m *measurement) restart(ctx context.Context) error {
	m.set("fenced_by_mistake", float64(m.fencings.Load()))
	m.set("fallen_behind", float64(m.fallenBehind.Load()))
	m.controller.kill()
	begin := time.Now()
	if err := m.controller.start(ctx); err != nil {
		return err
	}
	m.set("controller_start_ms", ms(time.Since(begin)))
	alive := m.stubs[slices.IndexFunc(m.stubs, func(s *stub) bool { return !s.lost() })]
	for alive.heard.Load() < begin.UnixNano() {
		if err := pause(ctx, readyPoll); err != nil {
			return err
		}
	}
	for {
		err := m.createTopics(ctx, 1, perTopic)
		if err == nil {
			break
		}
		if pause(ctx, readyPoll) != nil {
			return err
		}
	}
	m.set("controller_serves_ms", ms(time.Since(begin)))
	m.broker.kill()
	begin = time.Now()
	if err := m.broker.start(ctx); err != nil {
		return err
	}
	m.set("broker_start_ms", ms(time.Since(begin)))
	return m.checkLogs()
}

// checkLogs finds what a node should not have said.
func (m *measurement) checkLogs() error {
	for name, p := range map[string]*process{"controller": m.controller, "broker": m.broker} {
		log, err := os.ReadFile(p.log.Name())
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, "level=ERROR") || strings.HasPrefix(line, "panic:") {
				return fmt.Errorf("the %s says: %s", name, line)
			}
		}
	}
	return nil
}
