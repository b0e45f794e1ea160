package payd

import (
	"errors"
	"testing"

	"github.com/logbahn/logbahn/apps/payd/web"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestAudit tells stories of messages, and what the counters must make of them.
func TestAudit(t *testing.T) {
	at := func(m *kgo.Record, partition int32, offset int64) *kgo.Record {
		return &kgo.Record{Topic: topicRaw, Partition: partition, Offset: offset, Headers: m.Headers}
	}
	foreign := &kgo.Record{Headers: []kgo.RecordHeader{headerOf(headerAudit, "another/0")}}
	for name, story := range map[string]struct {
		tell func(a *audit, m []*kgo.Record)
		want web.Audit
	}{
		"acknowledged, then read": {func(a *audit, m []*kgo.Record) {
			a.answer(at(m[0], 0, 7), nil)
			a.arrive(at(m[0], 0, 7))
		}, web.Audit{Acknowledged: 1, Arrived: 1}},
		"read, then acknowledged": {func(a *audit, m []*kgo.Record) {
			a.arrive(at(m[0], 0, 7))
			a.answer(at(m[0], 0, 7), nil)
		}, web.Audit{Acknowledged: 1, Arrived: 1}},
		"not read yet": {func(a *audit, m []*kgo.Record) {
			a.answer(at(m[0], 0, 7), nil)
			a.arrive(at(foreign, 0, 6))
			a.arrive(at(foreign, 1, 7))
		}, web.Audit{Acknowledged: 1, Waiting: 1}},
		"lost: another record in its place": {func(a *audit, m []*kgo.Record) {
			a.answer(at(m[0], 0, 7), nil)
			a.arrive(at(foreign, 0, 7))
		}, web.Audit{Acknowledged: 1, Lost: 1}},
		"lost: acknowledged behind the reader": {func(a *audit, m []*kgo.Record) {
			a.arrive(at(foreign, 0, 7))
			a.answer(at(m[0], 0, 7), nil)
		}, web.Audit{Acknowledged: 1, Lost: 1}},
		"lost, and comes at another place": {func(a *audit, m []*kgo.Record) {
			a.answer(at(m[0], 0, 7), nil)
			a.arrive(at(foreign, 0, 8))
			a.arrive(at(m[0], 0, 9))
		}, web.Audit{Acknowledged: 1, Arrived: 1}},
		"written twice": {func(a *audit, m []*kgo.Record) {
			a.answer(at(m[0], 0, 7), nil)
			a.arrive(at(m[0], 0, 7))
			a.arrive(at(m[0], 0, 8))
		}, web.Audit{Acknowledged: 1, Arrived: 1, Doubled: 1}},
		"written twice before the answer": {func(a *audit, m []*kgo.Record) {
			a.arrive(at(m[0], 0, 7))
			a.arrive(at(m[0], 0, 8))
			a.answer(at(m[0], 0, 8), nil)
		}, web.Audit{Acknowledged: 1, Arrived: 1, Doubled: 1}},
		"given up, and there": {func(a *audit, m []*kgo.Record) {
			a.answer(m[0], errors.New("no"))
			a.arrive(at(m[0], 0, 7))
			a.arrive(at(m[0], 0, 8))
		}, web.Audit{GivenUp: 1, Arrived: 1, Doubled: 1}},
		"given up, and not there": {func(a *audit, m []*kgo.Record) {
			a.answer(m[0], errors.New("no"))
			a.arrive(at(foreign, 0, 7))
		}, web.Audit{GivenUp: 1}},
		"several partitions": {func(a *audit, m []*kgo.Record) {
			a.answer(at(m[0], 0, 1), nil)
			a.answer(at(m[1], 1, 1), nil)
			a.answer(at(m[2], 0, 2), nil)
			a.arrive(at(m[2], 0, 2))
			a.arrive(at(m[1], 1, 1))
		}, web.Audit{Acknowledged: 3, Arrived: 2, Lost: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAudit()
			a.reading = true
			messages := []*kgo.Record{{}, {}, {}}
			for _, m := range messages {
				a.send(m)
			}
			story.tell(a, messages)
			story.want.Sent = 3
			if got := a.figures(); got != story.want {
				t.Errorf("%+v, want %+v", got, story.want)
			}
		})
	}
}

// TestAuditForgets keeps nothing of what is settled.
func TestAuditForgets(t *testing.T) {
	a := newAudit()
	a.reading = true
	for i := range int64(1000) {
		m := &kgo.Record{Offset: i}
		a.send(m)
		a.answer(m, nil)
		a.arrive(m)
	}
	if len(a.fates) > 0 || len(a.awaited[0]) > 0 {
		t.Errorf("%d fates and %d awaited are kept of nothing", len(a.fates), len(a.awaited[0]))
	}
}
