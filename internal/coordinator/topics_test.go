package coordinator

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

func TestCommitOfUnknownTopics(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	req := commitRequest("t", 0, 1)
	bad := kmsg.NewOffsetCommitRequestTopicPartition()
	bad.Partition = 10
	req.Topics[0].Partitions = append(req.Topics[0].Partitions, bad, req.Topics[0].Partitions[0])
	req.Topics = append(req.Topics, commitRequest("nowhere", 3, 1).Topics[0], commitRequest("u", 4, 2).Topics[0])
	resp := f.OffsetCommit(ctx, Client{}, req)(ctx)
	got := ""
	for _, topic := range resp.Topics {
		for _, p := range topic.Partitions {
			got += topic.Topic + " " + errorName(p.ErrorCode) + "; "
		}
	}
	expect(t, got, "t ok; t UNKNOWN_TOPIC_OR_PARTITION; t ok; nowhere UNKNOWN_TOPIC_OR_PARTITION; u ok; ")
	expect(t, f.fetch(ctx, "", 0), "ok t-0=1 ok u-4=2 ok")
	expect(t, f.commit(ctx, "nowhere", 0, 1), "UNKNOWN_TOPIC_OR_PARTITION")
}

func TestTopicIDs(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	commit := commitRequest("", 1, 5)
	commit.Version = 10
	commit.Topics[0].TopicID = fakeID("t")
	other := commitRequest("", 1, 5).Topics[0]
	other.TopicID = fakeID("x")
	commit.Topics = append(commit.Topics, other)
	got := f.OffsetCommit(ctx, Client{}, commit)(ctx)
	expect(t, errorName(got.Topics[0].Partitions[0].ErrorCode), "ok")
	expect(t, errorName(got.Topics[1].Partitions[0].ErrorCode), "UNKNOWN_TOPIC_ID")
	if got.Topics[0].TopicID != fakeID("t") || got.Topics[1].TopicID != fakeID("x") || got.Version != 10 {
		t.Fatalf("%+v", got)
	}

	fetch := fetchRequest("", 0)
	fetch.Version = 10
	fetch.Groups[0].Topics = []kmsg.OffsetFetchRequestGroupTopic{
		{TopicID: fakeID("x"), Partitions: []int32{1}}, {TopicID: fakeID("t"), Partitions: []int32{1}},
	}
	expect(t, describeFetch(f.OffsetFetch(ctx, Client{}, fetch)(ctx)), "ok -1=-1 UNKNOWN_TOPIC_ID t-1=5 ok")
	fetch.Groups[0].Topics = nil
	all := f.OffsetFetch(ctx, Client{}, fetch)(ctx)
	if len(all.Groups[0].Topics) != 1 || all.Groups[0].Topics[0].TopicID != fakeID("t") {
		t.Fatalf("%+v", all.Groups)
	}
}

func TestOffsetFetchOfOldVersions(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	expect(t, f.commit(ctx, "t", 1, 5), "ok")
	for version, none := range map[int16]string{0: "UNKNOWN_TOPIC_OR_PARTITION", 1: "ok", 2: "ok", 7: "ok"} {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Version, req.Group = version, "g"
		req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "t", Partitions: []int32{1, 2}}}
		resp := f.OffsetFetch(ctx, Client{}, req)(ctx)
		p := resp.Topics[0].Partitions
		if p[0].Offset != 5 || p[0].ErrorCode != 0 || p[1].Offset != -1 || errorName(p[1].ErrorCode) != none || *p[1].Metadata != "" {
			t.Fatalf("version %d: %+v", version, p)
		}
		if version >= 2 {
			req.Topics = nil
			if all := f.OffsetFetch(ctx, Client{}, req)(ctx); len(all.Topics) != 1 || len(all.Topics[0].Partitions) != 1 {
				t.Fatalf("version %d: %+v", version, all)
			}
		}
	}
	f.log.change(func() { f.log.leading = false })
	for version, want := range map[int16]string{1: "ok NOT_COORDINATOR", 2: "NOT_COORDINATOR"} {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Version, req.Group = version, "g"
		req.Topics = []kmsg.OffsetFetchRequestTopic{{Topic: "t", Partitions: []int32{1}}}
		resp := f.OffsetFetch(ctx, Client{}, req)(ctx)
		got := errorName(resp.ErrorCode)
		if version < 2 {
			resp.ErrorCode = 0
			got = "ok " + errorName(resp.Topics[0].Partitions[0].ErrorCode)
		}
		expect(t, got, want)
	}
}

// A request of a few bytes for each mention of an offset, with its metadata, or of a group, with its members, must not become a
// reply that no memory holds.
func TestRepeatsAreBounded(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	expect(t, f.commit(ctx, "t", 0, 5), "ok")
	const mentions = 1000
	refused := func(codes []int16) int {
		t.Helper()
		for i, code := range codes {
			if want := i > wire.RepeatsMax; (errorName(code) == "INVALID_REQUEST") != want || code != 0 && !want {
				t.Fatalf("mention %d: %s", i+1, errorName(code))
			}
		}
		return len(codes)
	}

	fetch := fetchRequest("t", 0)
	fetch.Groups[0].Topics[0].Partitions = make([]int32, mentions)
	var codes []int16
	for _, p := range f.OffsetFetch(ctx, Client{}, fetch)(ctx).Groups[0].Topics[0].Partitions {
		codes = append(codes, p.ErrorCode)
		if p.ErrorCode == 0 && p.Offset != 5 || p.ErrorCode != 0 && p.Offset != -1 {
			t.Fatalf("%+v", p)
		}
	}
	if refused(codes) != mentions {
		t.Fatalf("%d partitions", len(codes))
	}

	codes = nil
	fetch = fetchRequest("t", 0)
	for range mentions - 1 {
		fetch.Groups = append(fetch.Groups, fetch.Groups[0])
	}
	for _, g := range f.OffsetFetch(ctx, Client{}, fetch)(ctx).Groups {
		codes = append(codes, g.ErrorCode)
	}
	if refused(codes) != mentions {
		t.Fatalf("%d groups", len(codes))
	}

	codes = nil
	describe := kmsg.NewPtrDescribeGroupsRequest()
	for range mentions {
		describe.Groups = append(describe.Groups, "g")
	}
	for _, g := range f.DescribeGroups(ctx, Client{}, describe)(ctx).Groups {
		codes = append(codes, g.ErrorCode)
	}
	if refused(codes) != mentions {
		t.Fatalf("%d groups", len(codes))
	}
}

func TestDeletedTopic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFixture(t)
		expect(t, f.commit(ctx, "t", 0, 1), "ok")
		expect(t, f.commit(ctx, "u", 0, 2), "ok")
		was, _ := f.topics.Topic("t")
		f.topics.delete("t")
		f.ImageApplied([]Topic{was})
		synctest.Wait()
		expect(t, f.fetch(ctx, "", 0), "ok u-0=2 ok")

		// Made again under its name: what was committed for it since stays when the news of the deletion comes late.
		f.topics.create("t", "t2")
		expect(t, f.commit(ctx, "t", 0, 3), "ok")
		f.ImageApplied([]Topic{was})
		synctest.Wait()
		f.restart()
		expect(t, f.fetch(ctx, "t", 0), "ok t-0=3 ok")

		// Nobody was there to see the next deletion.
		f.topics.create("t", "t3")
		expect(t, f.fetch(ctx, "t", 0), "ok t-0=-1 ok")
		before := f.log.appends()
		f.restart()
		expect(t, f.fetch(ctx, "", 0), "ok u-0=2 ok")
		if f.log.appends() == before {
			t.Fatal("nothing was removed from the log")
		}
	})
}

// Offsets of a topic that is gone cannot be removed while too few replicas are in sync. That is no reason not to serve the groups.
func TestLoadsBelowMinISR(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	expect(t, f.commit(ctx, "t", 0, 1), "ok")
	expect(t, f.commit(ctx, "u", 0, 2), "ok")
	f.topics.create("t", "t2")
	f.log.change(func() { f.log.short = true })
	f.restart()
	expect(t, f.fetch(ctx, "", 0), "ok u-0=2 ok")
	expect(t, f.fetch(ctx, "t", 0), "ok t-0=-1 ok")
	f.log.change(func() { f.log.short = false })
	before := f.log.appends()
	f.restart()
	expect(t, f.fetch(ctx, "", 0), "ok u-0=2 ok")
	if f.log.appends() == before {
		t.Fatal("nothing was removed from the log")
	}
}

// They are removed when the replicas are back, before anything else is written.
func TestDeletedBelowMinISR(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFixture(t)
		expect(t, f.commit(ctx, "t", 0, 1), "ok")
		expect(t, f.commit(ctx, "u", 0, 2), "ok")
		loads := f.log.loads
		was, _ := f.topics.Topic("t")
		f.log.change(func() { f.log.short = true })
		f.ImageApplied([]Topic{was})
		synctest.Wait()
		expect(t, f.fetch(ctx, "u", 0), "ok u-0=2 ok")
		f.log.change(func() { f.log.short = false })
		expect(t, f.commit(ctx, "u", 0, 3), "ok")
		expect(t, f.fetch(ctx, "", 0), "ok u-0=3 ok")
		if f.log.loads != loads {
			t.Fatalf("the partition was loaded %d times more", f.log.loads-loads)
		}
		f.restart()
		expect(t, f.fetch(ctx, "", 0), "ok u-0=3 ok")
	})
}

// Thousands of topics may go at once, as those of an application, and a shard have offsets of as many: while it looks through them
// no member of its groups is heard.
func TestManyDeletedTopicsTakeOnePass(t *testing.T) {
	const topics = 50_000
	s := &shard{wake: make(chan struct{}, 1)}
	deleted := make([]Topic, topics)
	for i := range deleted {
		deleted[i] = Topic{Name: fmt.Sprintf("application-repartition-%06d", i), ID: fakeID(fmt.Sprint(i))}
	}
	s.topicsDeleted(deleted)
	begun := time.Now()
	gone := s.takeDeleted()
	for i := range deleted {
		if of := &deleted[i]; !gone(of.Name, of.ID) || !gone(of.Name, [16]byte{}) || gone(of.Name, fakeID("x")) || gone(of.Name+"x", of.ID) {
			t.Fatal(of.Name)
		}
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

// TestUnloadedTopicDeletion: a shard that nobody has asked for anything hears of the deletion too.
func TestUnloadedTopicDeletion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFixture(t)
		expect(t, f.commit(ctx, "t", 0, 1), "ok")
		f.restart()
		was, _ := f.topics.Topic("t")
		f.ImageApplied([]Topic{was})
		synctest.Wait()
		expect(t, f.fetch(ctx, "t", 0), "ok t-0=-1 ok")
	})
}

// TestOffsetsExpireUnasked: the offsets of a group that nobody has asked for since the start expire as well.
func TestOffsetsExpireUnasked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFixture(t)
		expect(t, f.commit(ctx, "t", 0, 1), "ok")
		f.restart()
		if n := len(f.loaded()); n != 0 {
			t.Fatalf("%d shards are loaded for nobody", n)
		}
		before := f.log.appends()
		time.Sleep(7*24*time.Hour + 21*time.Minute)
		synctest.Wait()
		if f.log.appends() == before {
			t.Fatal("not expired")
		}
		expect(t, f.fetch(ctx, "t", 0), "ok t-0=-1 ok")
		f.Close() // before the test's clock goes
	})
}

func TestOffsetDelete(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	expect(t, f.commit(ctx, "t", 0, 1), "ok")
	expect(t, f.commit(ctx, "t", 1, 1), "ok")
	req := kmsg.NewPtrOffsetDeleteRequest()
	req.Group = "g"
	for _, topic := range []string{"nowhere", "t"} {
		req.Topics = append(req.Topics, kmsg.OffsetDeleteRequestTopic{Topic: topic, Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}})
	}
	resp := f.OffsetDelete(ctx, Client{}, req)(ctx)
	got := ""
	for _, topic := range resp.Topics {
		got += topic.Topic + " " + errorName(topic.Partitions[0].ErrorCode) + "; "
	}
	expect(t, got, "t ok; nowhere UNKNOWN_TOPIC_OR_PARTITION; ")
	expect(t, f.fetch(ctx, "", 0), "ok t-1=1 ok")
}

// TestDeletedGroupStaysDeleted, over a restart too.
func TestDeletedGroupStaysDeleted(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t)
	expect(t, f.commit(ctx, "t", 0, 1), "ok")
	req := kmsg.NewPtrDeleteGroupsRequest()
	req.Groups = []string{"g", "other", "g"}
	resp := f.DeleteGroups(ctx, Client{}, req)(ctx)
	expect(t, errorName(resp.Groups[0].ErrorCode)+" "+errorName(resp.Groups[1].ErrorCode)+" "+errorName(resp.Groups[2].ErrorCode), "ok GROUP_ID_NOT_FOUND GROUP_ID_NOT_FOUND")
	f.restart()
	expect(t, f.fetch(ctx, "", 0), "ok")
	if list := f.ListGroups(ctx, Client{}, kmsg.NewPtrListGroupsRequest())(ctx); len(list.Groups) != 0 {
		t.Fatalf("%+v", list.Groups)
	}
}

// Whoever names many groups asks each shard once, and is answered in the order of the names.
func TestManyGroupsAreOneCallPerShard(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t, func(c *Config) {
		lead := c.Lead
		c.Partitions = func() int32 { return 2 }
		c.Lead = func(partition int32) (Log, error) {
			if partition == 1 {
				return nil, ErrNotLeader
			}
			return lead(partition)
		}
	})
	describe, del := kmsg.NewPtrDescribeGroupsRequest(), kmsg.NewPtrDeleteGroupsRequest()
	describe.Version = 6
	for i := range 1000 {
		describe.Groups = append(describe.Groups, fmt.Sprintf("group-%d", i))
	}
	del.Groups = describe.Groups
	described, deleted := f.DescribeGroups(ctx, Client{}, describe)(ctx).Groups, f.DeleteGroups(ctx, Client{}, del)(ctx).Groups
	if len(described) != 1000 || len(deleted) != 1000 {
		t.Fatalf("%d and %d answers", len(described), len(deleted))
	}
	for i, group := range describe.Groups {
		want := "GROUP_ID_NOT_FOUND"
		if PartitionFor(group, 2) == 1 {
			want = "NOT_COORDINATOR"
		}
		if d, e := &described[i], &deleted[i]; d.Group != group || e.Group != group || errorName(d.ErrorCode) != want || errorName(e.ErrorCode) != want {
			t.Fatalf("%s: %+v, %+v, want %s", group, d, e, want)
		}
	}
	shards := f.loaded()
	f.Close()
	if len(shards) != 1 || shards[0].lastID != 2 {
		t.Fatalf("%d shards, of which the first was asked %d times", len(shards), shards[0].lastID)
	}
}

// TestTextsTooLongForARecord: what a compact string can hold and a record cannot. Cut off by the record's length field,
// the first name would be the offset 99 of group "g".
func TestTextsTooLongForARecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		f := newFixture(t, func(c *Config) { c.Group.OffsetMetadataMax = 1 << 20 })
		expect(t, f.commit(ctx, "t", 0, 1), "ok")
		serving := f.loaded()[0]

		forged := "g\x00\x01t\x00\x00\x00\x00"
		long := strings.Repeat("x", 1<<15)
		for _, group := range []string{forged + strings.Repeat("x", 1<<16+1-len(forged)), long} {
			commit := commitRequest("t", 0, 99)
			commit.Version, commit.Group = 8, group
			expect(t, errorName(f.OffsetCommit(ctx, Client{}, commit)(ctx).Topics[0].Partitions[0].ErrorCode), "INVALID_GROUP_ID")
		}
		metadata := commitRequest("t", 1, 99)
		metadata.Topics[0].Partitions[0].Metadata = &long
		expect(t, errorName(f.OffsetCommit(ctx, Client{}, metadata)(ctx).Topics[0].Partitions[0].ErrorCode), "OFFSET_METADATA_TOO_LARGE")

		for name, change := range map[string]func(*Client, *kmsg.JoinGroupRequest){
			"INVALID_GROUP_ID": func(_ *Client, r *kmsg.JoinGroupRequest) { r.Group = long },
			"client":           func(c *Client, _ *kmsg.JoinGroupRequest) { c.ID = long[1:] },
			"instance":         func(_ *Client, r *kmsg.JoinGroupRequest) { r.InstanceID = &long },
			"type":             func(_ *Client, r *kmsg.JoinGroupRequest) { r.ProtocolType = long },
			"protocol":         func(_ *Client, r *kmsg.JoinGroupRequest) { r.Protocols[0].Name = long },
		} {
			client := Client{ID: "c", Host: "127.0.0.1"}
			req := kmsg.NewPtrJoinGroupRequest()
			req.Version, req.Group, req.ProtocolType = 6, "h", "consumer"
			req.SessionTimeoutMillis, req.RebalanceTimeoutMillis = 10_000, 60_000
			req.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}}
			change(&client, req)
			want := "INVALID_REQUEST"
			if name == "INVALID_GROUP_ID" {
				want = name
			}
			expect(t, name+" "+errorName(f.JoinGroup(ctx, client, req)(ctx).ErrorCode), name+" "+want)
		}
		expect(t, f.fetch(ctx, "t", 0), "ok t-0=1 ok")
		if f.loaded()[0] != serving {
			t.Fatal("the shard has been unloaded")
		}
	})
}
