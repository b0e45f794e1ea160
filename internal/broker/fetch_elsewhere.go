package broker

import (
	"time"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// FetchSessions are the sessions with clients of somebody who reads the partitions elsewhere. Its methods may be called by
// any goroutine.
type FetchSessions struct{ cache *sessionCache }

// NewFetchSessions returns the memory of so many sessions (KIP-227).
func NewFetchSessions(slots int, now func() time.Time) *FetchSessions {
	return &FetchSessions{newSessionCache(slots, now)}
}

// FetchTurn is one Fetch of a client: what it asks for, its session taken into account.
type FetchTurn struct {
	cache   *sessionCache
	req     *wire.FetchRequest
	session *fetchSession
	items   []fetchItem
}

// FetchItem is one partition that is to be read. Of Topic and TopicID one is set, as the version has it.
type FetchItem struct {
	Topic   string
	TopicID cluster.UUID
	Want    wire.FetchPartition
}

// Begin takes a request over into its session. The error is a code for the whole reply.
func (f *FetchSessions) Begin(req *wire.FetchRequest) (*FetchTurn, wire.Error) {
	s, items, code := f.cache.items(req)
	return &FetchTurn{f.cache, req, s, items}, code
}

// Items returns the partitions to read, in order.
func (t *FetchTurn) Items() []FetchItem {
	list := make([]FetchItem, len(t.items))
	for i := range t.items {
		list[i] = FetchItem{Topic: t.items[i].key.topic, TopicID: t.items[i].key.topicID, Want: t.items[i].want}
	}
	return list
}

// Reply makes the reply of what was read, one for each item: a session's has what is new to the client only. It is called
// once.
func (t *FetchTurn) Reply(replies []wire.FetchPartitionReply) *wire.FetchResponse {
	reply := &wire.FetchResponse{Version: t.req.Version}
	var isNews []bool
	switch {
	case t.session != nil:
		reply.SessionID = t.session.id
		if isNews, reply.Error = t.session.news(t.req.SessionEpoch, t.items, replies); reply.Error != wire.None {
			return reply
		}
	case t.req.Version >= 7 && t.req.SessionEpoch == sessionEpochFull:
		if s := t.cache.create(t.items, fetchUsesIDs(t.req), clientFetches); s != nil {
			s.first(t.items, replies)
			reply.SessionID = s.id
		}
	}
	reply.Topics = groupByTopic(t.items, replies, isNews)
	return reply
}

// clientFetches is the replica id of clients.
const clientFetches cluster.NodeID = -1
