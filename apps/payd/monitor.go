package payd

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/logbahn/logbahn/apps/payd/web"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// monitorEvery is how often rates and lags are asked for.
const monitorEvery = time.Second

// measurePatience bounds one measurement.
const measurePatience = 5 * time.Second

var monitored = []string{topicRaw, topicClean, topicDead, topicEvents, topicScores, topicQuotes}

var groups = []web.Group{
	{Name: groupClean, Topic: topicRaw, Does: "checks and re-keys what devices send"},
	{Name: groupAnalytics, Topic: topicClean, Does: "trips, events and scores per driver"},
	{Name: groupPricing, Topic: topicScores, Does: "premiums with their factors"},
}

// monitor asks the log, once a second, how much is written and how far each group is behind.
func (v *view) monitor(ctx context.Context, admin *kadm.Client) {
	tick := time.NewTicker(monitorEvery)
	defer tick.Stop()
	var m meter
	for {
		status, err := m.measure(ctx, admin, v.config)
		if ctx.Err() != nil {
			return
		}
		v.mu.Lock()
		if status.Brokers != nil { // which are told while the rest is not
			v.status.Brokers = status.Brokers
		}
		if err != nil {
			v.status.Problem = problemText(status.Brokers, err)
		} else {
			status.Mode, status.What = v.what()
			v.status = status
		}
		v.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// problemText says why there are no figures: a broker that was killed is reason enough.
func problemText(brokers []web.Broker, err error) string {
	for _, b := range brokers {
		if !b.Running {
			return fmt.Sprintf("broker %d was killed: what it led waits for its next leader", b.ID)
		}
	}
	return err.Error()
}

func (v *view) what() (mode, what string) {
	if v.source.replay != nil {
		return "replay", filepath.Base(v.config.Replay.File)
	}
	return "simulation", fmt.Sprintf("%d simulated cars", v.config.Cars)
}

// meter turns end offsets into rates, smoothed over a few seconds.
type meter struct {
	at   time.Time
	ends map[string]int64
	rate map[string]float64

	brokers map[int32]string // addresses of all that were ever there
}

// measure returns what it could find out when something does not answer.
func (m *meter) measure(ctx context.Context, admin *kadm.Client, config *Config) (web.Status, error) {
	bounded, cancel := context.WithTimeout(ctx, measurePatience)
	defer cancel()
	var status web.Status
	metadata, err := admin.Metadata(bounded)
	if err != nil {
		return status, fmt.Errorf("the log does not answer: %w", err)
	}
	if m.brokers == nil {
		m.brokers = make(map[int32]string)
	}
	status.Brokers = brokers(metadata, m.brokers, config.running)
	listed, err := admin.ListEndOffsets(bounded, monitored...)
	if err != nil {
		return status, fmt.Errorf("the log does not answer: %w", err)
	}
	lags, err := admin.Lag(bounded, groupClean, groupAnalytics, groupPricing)
	if err != nil {
		return status, fmt.Errorf("the groups do not answer: %w", err)
	}
	ends := make(map[string]int64)
	listed.Each(func(o kadm.ListedOffset) {
		if o.Err == nil {
			ends[o.Topic] += o.Offset
		}
	})
	status.Topics = m.rates(time.Now(), ends)
	status.Rate, status.Total = status.Topics[0].Rate, status.Topics[0].Total
	for _, group := range groups {
		lag := lags[group.Name]
		group.State, group.Members = lag.State, len(lag.Members)
		if err := lag.Error(); err != nil && !errors.Is(err, kerr.GroupIDNotFound) { // which is a group not formed yet
			return status, fmt.Errorf("group %s does not answer: %w", group.Name, err)
		}
		for _, l := range lag.Lag.Sorted() {
			if l.Topic == group.Topic && l.Lag > 0 {
				group.Lag += l.Lag
			}
		}
		status.Groups = append(status.Groups, group)
	}
	return status, nil
}

// rates leaves the rates as they are when it was asked a moment ago, as by a tick that follows a late one: over a millisecond
// a few records are thousands a second.
func (m *meter) rates(now time.Time, ends map[string]int64) []web.Topic {
	const smooth = 0.35
	if m.rate == nil {
		m.rate = make(map[string]float64)
	}
	moment := m.ends != nil && now.Sub(m.at) < monitorEvery/2
	var out []web.Topic
	for _, topic := range monitored {
		if seconds := now.Sub(m.at).Seconds(); m.ends != nil && !moment {
			measured := float64(ends[topic]-m.ends[topic]) / seconds
			if m.rate[topic] == 0 {
				m.rate[topic] = measured
			}
			m.rate[topic] += smooth * (measured - m.rate[topic])
		}
		out = append(out, web.Topic{Name: topic, Rate: m.rate[topic], Total: ends[topic]})
	}
	if !moment {
		m.at, m.ends = now, ends
	}
	return out
}
