package partition

import (
	"context"

	"github.com/logbahn/logbahn/internal/wire"
)

// A follower's records count at the leader once they are on its disk, and mostly that is so while its next long poll
// waits. A report tells the leader at once: a request outside of the session that asks for no records and names the
// partitions with news only. It follows the long poll on the same connection, and the leader, which sees it come, ends
// that one. So a report costs a round trip when there is nothing to fetch, and nothing is sent twice.

// runReports is the goroutine that reports.
func (f *fetcher) runReports(ctx context.Context) {
	req := wire.FetchRequest{Version: wire.FetchVersion, ReplicaID: f.cfg.NodeID, SessionEpoch: sessionEpochFinal}
	for {
		select {
		case <-f.report:
		case <-ctx.Done():
			return
		}
		told := f.news(&req)
		if len(req.Topics) == 0 {
			continue
		}
		req.ReplicaEpoch = f.cfg.BrokerEpoch()
		resp, release, err := f.cfg.Fetch(ctx, f.leader, &req)
		if err != nil {
			continue // the long poll fails as well, and begins anew
		}
		f.takeReports(told, resp)
		release()
	}
}

// news names in the request what the long poll that is out does not say.
func (f *fetcher) news(req *wire.FetchRequest) map[idKey]*followed {
	req.Topics = req.Topics[:0]
	f.mu.Lock()
	var list []*followed
	if f.mu.polling {
		for _, x := range f.mu.changed {
			if x.retryAt.IsZero() && !x.gone {
				list = append(list, x)
			}
		}
	}
	f.mu.Unlock()
	told := make(map[idKey]*followed, len(list))
	for _, x := range list {
		now, follows := x.partition.position()
		if !follows || now == x.reported || now.FetchOffset == wire.LostOffset {
			continue // the next long poll says what is lost
		}
		x.reported = now
		key := idKey{x.partition.topicID, x.partition.index}
		told[key] = x
		req.Topics = name(req.Topics, key, now)
	}
	sortTopics(req.Topics)
	return told
}

// takeReports takes the high watermarks from the answer: a report may have moved them. Errors are the long poll's to find.
func (f *fetcher) takeReports(told map[idKey]*followed, resp *wire.FetchResponse) {
	for i := range resp.Topics {
		t := &resp.Topics[i]
		for j := range t.Partitions {
			reply := &t.Partitions[j]
			if x := told[idKey{t.TopicID, reply.Partition}]; x != nil && reply.Error == wire.None && reply.DivergingEpoch == wire.NoEpochEnd {
				x.partition.takeHighWatermark(x.reported.CurrentLeaderEpoch, reply.HighWatermark)
			}
		}
	}
}
