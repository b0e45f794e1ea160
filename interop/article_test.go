package interop

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/logbahn/logbahn/interop/kafka"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestArticle types the article's walk-through: its producer and its consumer, kafka-python 0.9.5, with the group
// resuming after a restart of the broker.
func TestArticle(t *testing.T) {
	python, old := client(t, "python", "bin", "python"), []string{"PYTHONPATH=" + client(t, "python095")}
	dir := t.TempDir()
	s := start(t, dir, "")

	// Python 3 shows the topic as the bytes that it is to this client.
	produced := strings.ReplaceAll(run(t, "", old, python, "testdata/article_produce.py", s.addr), "topic=b'", "topic='")
	for i, want := range []string{
		"[ProduceResponse(topic='telematics', partition=0, error=0, offset=0)]",
		"[ProduceResponse(topic='telematics', partition=0, error=0, offset=1)]",
	} {
		if lines := strings.Split(produced, "\n"); len(lines) < 2 || lines[i] != want {
			t.Fatalf("send_messages printed\n%s\nwant line %d: %s", produced, i, want)
		}
	}
	first := "0 ID-203217 80 5-15-2015 00:08:13 -73.978165,40.757977\n"
	second := "1 ID-203216 60 5-15-2015 00:08:13 -74.006683,40.731781\n"
	if got := run(t, "", old, python, "testdata/article_consume.py", s.addr, "1"); got != first {
		t.Fatalf("the consumer read %q, want %q", got, first)
	}

	s.stop()
	s = start(t, dir, "")
	if got := run(t, "", old, python, "testdata/article_consume.py", s.addr, "1"); got != second {
		t.Fatalf("after a restart the group read %q, want to resume at %q", got, second)
	}
}

// TestArticleThreeNodes types the walk-through on three nodes: the topic by Kafka's command, with three replicas of three
// partitions, among which the article's producer takes turns; the group resumes after each node has been restarted.
func TestArticleThreeNodes(t *testing.T) {
	python, old := client(t, "python", "bin", "python"), []string{"PYTHONPATH=" + client(t, "python095")}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	at := place{nodes: 3, proxied: placeAsked(t).proxied}
	c := startPlace(t, at, replicated(at.nodes)...)
	created := run(t, "", nil, path, "kafka-topics", "--create", "--bootstrap-server", c.bootstrap(), "--replication-factor", "3", "--partitions", "3", "--topic", "telematics")
	if created != "Created topic telematics.\n" {
		t.Fatalf("kafka-topics printed %q", created)
	}
	asked, want := c.listeners[2], "PartitionCount: 3\tReplicationFactor: 3" // another than the one that has made it
	if at.proxied {
		asked, want = c.bootstrap(), "PartitionCount: 3\tReplicationFactor: 1" // who sees one node sees one replica
	}
	described := run(t, "", nil, path, "kafka-topics", "--describe", "--bootstrap-server", asked, "--topic", "telematics")
	if !strings.Contains(described, want) {
		t.Fatalf("kafka-topics --describe printed\n%s\nwant %q", described, want)
	}

	// The producer begins at a partition that it draws, so that the two records may be in any two.
	produced := run(t, "", old, python, "testdata/article_produce.py", c.bootstrap())
	acked := regexp.MustCompile(`(?m)^\[ProduceResponse\(topic=b?'telematics', partition=([012]), error=0, offset=0\)\]$`).FindAllStringSubmatch(produced, -1)
	if len(acked) != 2 || acked[0][1] == acked[1][1] {
		t.Fatalf("send_messages printed\n%s\nwant offset 0 of two partitions", produced)
	}
	// The consumer waits a minute for a broker that has nothing new for it, and for all of them before it shows anything: none
	// of its partitions may be empty.
	producer := newClient(t, c.bootstrap(), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for partition := range int32(3) {
		for range 2 {
			if err := producer.ProduceSync(t.Context(), &kgo.Record{Topic: "telematics", Partition: partition, Value: []byte("more")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for read := range int64(2) {
		run(t, "", old, python, "testdata/article_consume.py", c.bootstrap(), "1")
		committed, err := kadm.NewClient(producer).FetchOffsets(t.Context(), "analytics")
		if err != nil {
			t.Fatal(err)
		}
		sum := int64(0)
		committed.Each(func(o kadm.OffsetResponse) { sum += o.At })
		if sum != read+1 {
			t.Fatalf("after %d records the group has committed %v", read+1, committed)
		}
		c.roll()
	}
}

// TestArticleFromAliases types the walk-through from its first line: ZooKeeper, server and topic by Kafka's commands, which
// are links to the binary, under the article's relative paths; then its producer and its consumer.
func TestArticleFromAliases(t *testing.T) {
	python, old := client(t, "python", "bin", "python"), []string{"PYTHONPATH=" + client(t, "python095")}
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	env := []string{"XDG_CACHE_HOME=" + filepath.Join(dir, "cache")}
	run(t, "", env, path, "install-aliases", dir)
	scripts, err := filepath.Abs("testdata")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	run(t, "", env, "./bin/zookeeper-server-start.sh", "config/zookeeper.properties")

	// The article's server is on localhost:9092, which --zookeeper alone means.
	create := []string{"--create", "--zookeeper", "localhost:2181", "--replication-factor", "1", "--partitions", "1", "--topic", "telematics"}
	server, address := startByAlias(t, env, "localhost:9092")
	if server == nil {
		t.Log("port 9092 is in use: --zookeeper without --bootstrap-server is not covered")
		server, address = startByAlias(t, env, "127.0.0.1:0")
		create = append(create, "--bootstrap-server", address)
	}
	if server == nil {
		t.Fatal("bin/kafka-server-start.sh did not get ready")
	}
	created := run(t, "", env, "bin/kafka-topics.sh", create...)
	if created != "Created topic telematics.\n" {
		t.Fatalf("kafka-topics.sh printed %q", created)
	}
	produced := strings.ReplaceAll(run(t, "", old, python, filepath.Join(scripts, "article_produce.py"), address), "topic=b'", "topic='")
	if !strings.HasPrefix(produced, "[ProduceResponse(topic='telematics', partition=0, error=0, offset=0)]\n") {
		t.Fatalf("send_messages printed\n%s", produced)
	}
	first := "0 ID-203217 80 5-15-2015 00:08:13 -73.978165,40.757977\n"
	if got := run(t, "", old, python, filepath.Join(scripts, "article_consume.py"), address, "1"); got != first {
		t.Fatalf("the consumer read %q, want %q", got, first)
	}
	run(t, "", env, "bin/kafka-server-stop.sh")
	if err := server.Wait(); err != nil {
		t.Fatalf("the server that kafka-server-stop.sh stopped: %v", err)
	}
}

// startByAlias starts a server with kafka-server-start.sh, and returns its address when it is ready. The server is nil when
// it ended before that, as it does when the address is in use.
func startByAlias(t *testing.T, env []string, listener string) (server *exec.Cmd, address string) {
	t.Helper()
	server = exec.Command("./bin/kafka-server-start.sh", "config/server.properties", "--override", "listeners=PLAINTEXT://"+listener, "--override", "ops.listener=off")
	server.Env = append(os.Environ(), env...)
	kafka.Bind(server)
	stderr, err := server.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	for address == "" && lines.Scan() {
		if m := ready.FindStringSubmatch(lines.Text()); m != nil && strings.Contains(lines.Text(), "msg=ready") {
			address = m[1]
		}
	}
	if address == "" {
		_ = server.Wait()
		return nil, ""
	}
	go func() {
		for lines.Scan() { // the pipe must not fill up
		}
	}()
	t.Cleanup(func() { _ = server.Process.Kill() })
	return server, address
}
