package logbahntest_test

import (
	"context"
	"fmt"
	"os"
	"log/slog"
	"testing"
	"time"

	"github.com/logbahn/logbahn"
	"github.com/logbahn/logbahn/logbahntest"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestProduceAndConsume(t *testing.T) {
	begin := time.Now()
	b := logbahntest.Run(t, func(c *logbahn.Config) { if os.Getenv("V") != "" { c.Log = slog.New(slog.NewTextHandler(os.Stderr, nil)) } })
	t.Log("started in", time.Since(begin))
	b.CreateTopic("orders", 3, "retention.ms", "1000000")
	b.Produce("orders", "a", "b", "c")
	if got := b.Consume("orders", 3); len(got) != 3 {
		t.Fatal(got)
	}
	c := b.Client(kgo.ConsumerGroup("g"), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	n := 0
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for n < 3 {
		f := c.PollFetches(ctx)
		if err := f.Err(); err != nil { t.Fatal(err) }
		f.EachRecord(func(r *kgo.Record) { n++; fmt.Println(string(r.Value)) })
	}
	if err := c.CommitUncommittedOffsets(ctx); err != nil { t.Fatal(err) }
	t.Log("all in", time.Since(begin))
}
