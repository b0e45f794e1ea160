package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type lagDescription struct {
	Group  string   `json:"group" doc:"name"`
	State  string   `json:"state" doc:"as in group list"`
	Lag    int64    `json:"total_lag" doc:"records not yet committed, of all partitions"`
	Behind *int64   `json:"behind_ms" doc:"the largest of the partitions'; null: not known of one that lags"`
	Detail []lagRow `json:"partitions" doc:"each partition"`
}

type lagRow struct {
	Topic     string `json:"topic" doc:"topic"`
	Partition int32  `json:"partition" doc:"partition"`
	Committed int64  `json:"committed" doc:"offset to read next; -1: none is committed"`
	Start     int64  `json:"start" doc:"first offset of the partition; -1: not known"`
	End       int64  `json:"end" doc:"offset of the next record; -1: not known"`
	Lag       int64  `json:"lag" doc:"records not yet committed; -1: not known"`
	Behind    *int64 `json:"behind_ms" doc:"age of the first record not yet committed, by its timestamp and this machine's clock, in ms; 0 without lag, null: not known"`
	Member    string `json:"member" doc:"who reads it; empty: nobody"`
	MemberID  string `json:"member_id" doc:"id of that member"`
	Host      string `json:"host" doc:"address of that member"`
}

// behindPatience bounds how long the timestamps of unread records are looked for.
const behindPatience = 3 * time.Second

func groupLag() *cobra.Command {
	c := &cobra.Command{Use: "lag GROUP", Short: "Show how far a group is behind, in records and in time", Args: exactArgs(1), ValidArgsFunction: first(completeGroups),
		Long: "Shows how far a group is behind. BEHIND is the age of the first record that is not yet committed, by its timestamp\n" +
			"and this machine's clock; it is - where nothing is committed or no record has come in time.",
		Example: "  logbahn group lag analytics\n  logbahn group lag analytics -o json | jq .total_lag"}
	outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		return withAdmin(c, func(ctx context.Context, admin *kadm.Client) error {
			g, err := lagOf(ctx, admin, args[0])
			if err != nil {
				return err
			}
			d := lagDescriptionOf(g)
			if err := d.measure(ctx, c); err != nil {
				return err
			}
			err = show(c, d, "TOPIC PARTITION COMMITTED END LAG BEHIND MEMBER | HOST MEMBER-ID START", func(line func(...any)) {
				for _, r := range d.Detail {
					line(r.Topic, r.Partition, offsetOrDash(r.Committed), offsetOrDash(r.End), lagCell(r.Lag), behindText(r.Behind), orDash(r.Member), orDash(r.Host), orDash(r.MemberID), offsetOrDash(r.Start))
				}
			})
			fmt.Fprintf(c.ErrOrStderr(), "total lag %d · behind %s · state %s · members %d\n", d.Lag, behindText(d.Behind), d.State, len(g.Members))
			return err
		})
	}
	return c
}

func lagDescriptionOf(g kadm.DescribedGroupLag) lagDescription {
	d := lagDescription{Group: g.Group, State: g.State, Detail: []lagRow{}}
	for _, l := range g.Lag.Sorted() {
		row := lagRow{Topic: l.Topic, Partition: l.Partition, Committed: l.Commit.At, Start: l.Start.Offset, End: l.End.Offset, Lag: l.Lag}
		if l.Start.Err != nil || l.End.Err != nil { // the topic is gone
			row.Start, row.End, row.Lag = -1, -1, -1
		}
		if l.Member != nil {
			row.Member, row.MemberID, row.Host = memberName(l.Member), l.Member.MemberID, memberHost(l.Member)
		}
		d.Lag += max(row.Lag, 0)
		d.Detail = append(d.Detail, row)
	}
	return d
}

// measure finds Behind of each partition, and the largest.
func (d *lagDescription) measure(ctx context.Context, c *cobra.Command) error {
	unread := map[string]map[int32]kgo.Offset{}
	for i := range d.Detail {
		r := &d.Detail[i]
		switch {
		case r.Lag == 0:
			r.Behind = new(int64)
		case r.Lag > 0 && r.Committed >= 0:
			if unread[r.Topic] == nil {
				unread[r.Topic] = map[int32]kgo.Offset{}
			}
			unread[r.Topic][r.Partition] = kgo.NewOffset().At(max(r.Committed, r.Start))
		}
	}
	found, err := timestampsAt(ctx, c, unread)
	if err != nil {
		return err
	}
	now := time.Now()
	largest := int64(0)
	d.Behind = &largest
	for i := range d.Detail {
		r := &d.Detail[i]
		if at, ok := found[r.Topic][r.Partition]; ok {
			ms := max(now.Sub(at).Milliseconds(), 0)
			r.Behind = &ms
		}
		switch {
		case r.Behind != nil:
			largest = max(largest, *r.Behind)
		case r.Lag != 0:
			d.Behind = nil
		}
	}
	return nil
}

// timestampsAt returns the timestamps of the first records at the places or after them, as far as they come in time and
// have one.
func timestampsAt(ctx context.Context, c *cobra.Command, places map[string]map[int32]kgo.Offset) (map[string]map[int32]time.Time, error) {
	found, left := map[string]map[int32]time.Time{}, 0
	for _, partitions := range places {
		left += len(partitions)
	}
	if left == 0 {
		return found, nil
	}
	addrs, err := c.Flags().GetStringSlice("brokers")
	if err != nil {
		return nil, err
	}
	client, err := newClient(addrs, kgo.ConsumePartitions(places), kgo.KeepControlRecords(), kgo.FetchMaxPartitionBytes(16<<10))
	if err != nil {
		return nil, err
	}
	defer client.CloseAllowingRebalance()
	ctx, cancel := context.WithTimeout(ctx, behindPatience)
	defer cancel()
	for left > 0 {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return found, nil
		}
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if _, known := found[p.Topic][p.Partition]; known || len(p.Records) == 0 {
				return
			}
			left--
			client.PauseFetchPartitions(map[string][]int32{p.Topic: {p.Partition}})
			if found[p.Topic] == nil {
				found[p.Topic] = map[int32]time.Time{}
			}
			if at := p.Records[0].Timestamp; at.UnixMilli() >= 0 {
				found[p.Topic][p.Partition] = at
			}
		})
	}
	return found, nil
}

// behindText writes a duration with the precision that people want to know it with.
func behindText(ms *int64) string {
	if ms == nil {
		return "-"
	}
	d := time.Duration(*ms) * time.Millisecond
	switch {
	case d == 0:
		return "0s"
	case d < time.Minute:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + "s"
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

func lagCell(lag int64) any {
	switch {
	case lag < 0:
		return "-"
	case lag > 0:
		return painted{strconv.FormatInt(lag, 10), yellow}
	}
	return lag
}
