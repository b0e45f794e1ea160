package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"
	"time"

	"github.com/logbahn/logbahn/interop/kafka"
)

// library is a client library that has a driver.
type library struct {
	name   string // what clients/run calls it
	family string
	oracle string // the release of Apache Kafka that it is compared on: the newest that speaks with it
	ci     bool   // one of each family runs in continuous integration
}

var libraries = []library{
	{"kafka-python-0.9.5", "kafka-python", kafka.V09, false},
	{"kafka-python", "kafka-python", kafka.V43, true},
	{"confluent-kafka", "librdkafka", kafka.V43, true},
	{"kcat", "librdkafka", kafka.V43, false},
	{"java-0.10", "java", kafka.V39, false},
	{"java-2.8", "java", kafka.V43, false},
	{"java-4", "java", kafka.V43, true},
	{"kafkajs", "node", kafka.V43, true},
	{"platformatic", "node", kafka.V43, false},
	{"franz-go", "go", kafka.V43, true},
	{"sarama", "go", kafka.V43, false},
	{"kafka-go", "go", kafka.V43, false},
}

// checks are what each driver is asked, in this order; clients/README.md says what each does.
var checks = []string{
	"topic.create", "metadata",
	"produce.none", "produce.gzip", "produce.snappy", "produce.lz4", "produce.zstd",
	"produce.acks0", "produce.acks1", "produce.acksall",
	"produce.headers", "produce.timestamps", "produce.toolarge", "produce.idempotent",
	"consume.start", "consume.end", "consume.offset", "consume.timestamp", "consume.maxbytes",
	"group.two", "group.cooperative", "group.static", "group.commit", "group.resume", "group.unknown",
	"admin.topics", "admin.configs", "admin.partitions", "admin.records", "admin.groups", "admin.offsets",
	"admin.cluster", "admin.logdirs", "admin.producers", "admin.features", "admin.elect", "admin.reassign",
	"later.acls", "later.scram", "later.tokens", "later.quotas", "later.transactions",
}

// answer is what a driver says of one check.
type answer struct {
	Status string         `json:"status"` // ok, unsupported, failed
	Detail string         `json:"detail,omitempty"`
	Facts  map[string]any `json:"facts,omitempty"`

	stderr string
}

// params is what a driver is told.
type params struct {
	Bootstrap      string `json:"bootstrap"`
	Topic          string `json:"topic"`
	Group          string `json:"group"`
	TimeoutMS      int64  `json:"timeout_ms"`
	Replicas       int    `json:"replication_factor"`
	TopicSmall     string `json:"topic_small,omitempty"`
	TopicLogAppend string `json:"topic_log_append,omitempty"`
}

// checkTimeout is what a driver is given for one check; it is killed a little later.
const checkTimeout = time.Minute

// version asks a driver which version of its library it runs.
func (l library) version(ctx context.Context) (string, error) {
	a := l.run(ctx, "version")
	v, ok := a.Facts["version"].(string)
	if a.Status != "ok" || !ok {
		return "", fmt.Errorf("%s version: %s: %s", l.name, a.Status, a.Detail)
	}
	return v, nil
}

// ask runs one check.
func (l library) ask(ctx context.Context, check string, p params) answer {
	p.TimeoutMS = checkTimeout.Milliseconds()
	text, err := json.Marshal(p)
	if err != nil {
		return answer{Status: "failed", Detail: err.Error()}
	}
	return l.run(ctx, check, string(text))
}

// run runs the driver; one that says nothing, or nothing that can be read, has failed.
func (l library) run(ctx context.Context, args ...string) answer {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout+15*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "clients/run", append([]string{l.name}, args...)...)
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(os.Environ(), "LOGBAHN_INTEROP="+os.Getenv("LOGBAHN_INTEROP"))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	lines := strings.Split(strings.TrimSpace(stdout.String()), "\n")
	a := answer{stderr: stderr.String()}
	if bad := json.Unmarshal([]byte(lines[len(lines)-1]), &a); bad != nil || a.Status == "" || err != nil {
		tail := stderr.String()
		tail = tail[max(0, len(tail)-2000):]
		a.Status, a.Detail = "failed", fmt.Sprintf("the driver gave no answer (%v): %q; standard error ends with: %s", err, lines[len(lines)-1], tail)
		a.Facts = nil
	}
	return a
}

// selected reports whether name matches one of the comma-separated patterns of the environment variable, or it is unset.
func selected(variable, name string) bool {
	patterns := os.Getenv(variable)
	if patterns == "" {
		return true
	}
	for _, p := range strings.Split(patterns, ",") {
		if ok, _ := path.Match(p, name); ok {
			return true
		}
	}
	return false
}
