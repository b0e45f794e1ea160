package interop

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/logbahn/logbahn/interop/kafka"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestSharedGroup puts four clients into one group: kcat, kafka-python, Kafka's console consumer and franz-go. Once each
// of them has partitions, what is produced is read once, by all of them together.
func TestSharedGroup(t *testing.T) {
	kcat, python, java := tool(t, "kcat"), client(t, "python", "bin", "python"), tool(t, "java")
	jars := filepath.Join(client(t, "java", "lib"), "*")
	c := startNodes(t, "num.partitions=8")
	addr := c.bootstrap()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	admin := kadm.NewClient(newClient(t, addr))
	if _, err := admin.CreateTopic(ctx, 8, int16(len(c.running)), nil, "shared"); err != nil {
		t.Fatal(err)
	}

	read := make(chan string, 10_000)
	member(t, read, kcat, "-b", addr, "-G", "team", "-X", "auto.offset.reset=earliest", "-X", "client.id=kcat", "-u", "-q", "-f", "%s\n", "shared")
	member(t, read, python, "testdata/python_member.py", addr, "shared", "team")
	member(t, read, java, "-cp", jars, "-Xmx256m", "org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", addr,
		"--topic", "shared", "--group", "team", "--from-beginning", "--command-property", "partition.assignment.strategy=org.apache.kafka.clients.consumer.RangeAssignor")
	own := newClient(t, addr, kgo.ConsumerGroup("team"), kgo.ConsumeTopics("shared"), kgo.Balancers(kgo.RangeBalancer()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.ClientID("franz-go"))
	go poll(ctx, own, read)

	awaitMembers(ctx, t, admin, 4)
	const records = 800
	producer := newClient(t, addr, kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	for i := range records {
		producer.Produce(ctx, &kgo.Record{Topic: "shared", Value: fmt.Append(nil, "v", i)}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
			}
		})
	}
	seen := map[string]bool{}
	for len(seen) < records {
		select {
		case value := <-read:
			if seen[value] {
				t.Fatalf("%s was read twice", value)
			}
			seen[value] = true
		case <-ctx.Done():
			t.Fatalf("%d of %d records were read", len(seen), records)
		}
	}
}

// awaitMembers returns when the group is stable with n members, each of which has partitions.
func awaitMembers(ctx context.Context, t *testing.T, admin *kadm.Client, n int) {
	t.Helper()
	for {
		groups, err := admin.DescribeGroups(ctx, "team")
		if err != nil {
			t.Fatal(err)
		}
		g := groups["team"]
		assigned := 0
		for _, m := range g.Members {
			if c, ok := m.Assigned.AsConsumer(); ok && len(c.Topics) > 0 {
				assigned++
			}
		}
		if g.State == "Stable" && assigned == n {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the group is %s with %d of %d members assigned", g.State, assigned, n)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// poll hands a client's records over until the context ends.
func poll(ctx context.Context, c *kgo.Client, read chan<- string) {
	for ctx.Err() == nil {
		c.PollFetches(ctx).EachRecord(func(r *kgo.Record) { read <- string(r.Value) })
	}
}

// member starts a client that prints a line for each record, and ends it with the test.
func member(t *testing.T, read chan<- string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	kafka.Bind(cmd)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		scan(stdout, read)
	}()
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Process.Kill()
		<-done
		_ = cmd.Wait()
	})
}

func scan(r io.Reader, read chan<- string) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		read <- lines.Text()
	}
}
