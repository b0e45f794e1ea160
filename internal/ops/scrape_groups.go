package ops

import (
	"context"
	"strconv"

	"github.com/logbahn/logbahn/internal/metrics"
)

// groups writes what kafka_exporter has of consumer groups, and how far they are behind in seconds.
func (c *scrape) groups(ctx context.Context) {
	if c.s.cfg.NoConsumerLag || c.s.cfg.SeriesMax == 0 {
		return
	}
	groups, err := c.s.lag.collect(ctx, c.src)
	if err != nil {
		c.s.cfg.Log.Debug("consumer groups are not scraped", "err", err)
	}
	c.One(metrics.Gauge, "logbahn_consumergroups_known", "1 when this scrape knows the consumer groups, 0 while their coordinator loads.", boolean(err == nil))
	if err != nil {
		return
	}
	c.offsets(groups, "kafka_consumergroup_lag", "Records that the group has not consumed.",
		func(o *offsetLag) (float64, bool) { return float64(o.lag), o.lag >= 0 })
	c.offsets(groups, "kafka_consumergroup_lag_seconds", "Age of the oldest record that the group has not consumed, by the record's timestamp; 0 when it has consumed all.",
		func(o *offsetLag) (float64, bool) { return o.seconds, o.lag >= 0 })
	c.offsets(groups, "kafka_consumergroup_current_offset", "Offset that the group has committed.",
		func(o *offsetLag) (float64, bool) { return float64(o.committed), true })
	c.sums(groups, "kafka_consumergroup_lag_sum", "Records of the topic that the group has not consumed.",
		func(o *offsetLag) int64 { return max(o.lag, 0) })
	c.sums(groups, "kafka_consumergroup_current_offset_sum", "Sum of the offsets that the group has committed in the topic.",
		func(o *offsetLag) int64 { return o.committed })
	if !c.room(len(groups)) {
		return
	}
	c.Family(metrics.Gauge, "kafka_consumergroup_members", "Members of the group.")
	for i := range groups {
		if groups[i].members >= 0 {
			c.SampleInt(int64(groups[i].members), "consumergroup", groups[i].group)
		}
	}
}

func (c *scrape) offsets(groups []groupLag, name, help string, value func(*offsetLag) (float64, bool)) {
	n := 0
	for i := range groups {
		n += len(groups[i].offsets)
	}
	if !c.room(n) {
		return
	}
	c.Family(metrics.Gauge, name, help)
	for i := range groups {
		for j := range groups[i].offsets {
			o := &groups[i].offsets[j]
			if v, ok := value(o); ok {
				c.Sample(v, "consumergroup", groups[i].group, "topic", o.topic, "partition", strconv.Itoa(int(o.partition)))
			}
		}
	}
}

// sums writes the sum over the partitions of a topic. The offsets of a group are sorted by topic.
func (c *scrape) sums(groups []groupLag, name, help string, value func(*offsetLag) int64) {
	type sum struct {
		group, topic string
		of           int64
	}
	var sums []sum
	for i := range groups {
		for j := range groups[i].offsets {
			o := &groups[i].offsets[j]
			if last := len(sums) - 1; last < 0 || sums[last].group != groups[i].group || sums[last].topic != o.topic {
				sums = append(sums, sum{group: groups[i].group, topic: o.topic})
			}
			sums[len(sums)-1].of += value(o)
		}
	}
	if !c.room(len(sums)) {
		return
	}
	c.Family(metrics.Gauge, name, help)
	for _, s := range sums {
		c.SampleInt(s.of, "consumergroup", s.group, "topic", s.topic)
	}
}
