package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func entry(t *testing.T, entries []Entry, name string) Entry {
	t.Helper()
	i := slices.IndexFunc(entries, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		t.Fatalf("%s is not described", name)
	}
	return entries[i]
}

func (e Entry) short() string {
	show := func(v *string) string {
		if v == nil {
			return "null"
		}
		return *v
	}
	text := fmt.Sprintf("%s %d", show(e.Value), e.Source)
	for _, s := range e.Synonyms {
		text += fmt.Sprintf(" %s=%s/%d", s.Name, show(s.Value), s.Source)
	}
	return text
}

func TestDescribeTopic(t *testing.T) {
	l := Layers{
		Static:         map[string]string{"log.retention.hours": "24", "log.segment.bytes": "2000000", "compression.type": "zstd", "log.roll.ms": "3600000"},
		DynamicDefault: map[string]string{"log.segment.bytes": "3000000", "message.max.bytes": "5"},
		Dynamic:        map[string]string{"log.segment.bytes": "4000000"},
	}
	entries := l.DescribeTopic(map[string]string{"cleanup.policy": " compact , delete", "message.max.bytes": "ignored"})
	for name, want := range map[string]string{
		"retention.ms":                          "86400000 5",
		"segment.bytes":                         "4000000 2 log.segment.bytes=4000000/2 log.segment.bytes=3000000/3 log.segment.bytes=2000000/4 log.segment.bytes=1073741824/5",
		"cleanup.policy":                        "compact,delete 1 cleanup.policy= compact , delete/1 log.cleanup.policy=delete/5",
		"max.message.bytes":                     "5 3 message.max.bytes=5/3 message.max.bytes=1048588/5",
		"compression.type":                      "zstd 4 compression.type=zstd/4 compression.type=producer/5",
		"flush.ms":                              "9223372036854775807 5",
		"segment.jitter.ms":                     "0 5",
		"segment.ms":                            "3600000 4 log.roll.ms=3600000/4 log.roll.hours=168/5",
		"leader.replication.throttled.replicas": " 5",
	} {
		if got := entry(t, entries, name).short(); got != want {
			t.Errorf("%s\n got %s\nwant %s", name, got, want)
		}
	}
	if !slices.IsSortedFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("the entries are not sorted")
	}
	for _, e := range entries {
		if e.ReadOnly || e.Sensitive || e.Type == Unknown || e.Doc == "" {
			t.Errorf("%+v", e)
		}
		if strings.HasPrefix(e.Name, "message.format") {
			t.Error("a retired key is described")
		}
	}
}

func TestDescribeBroker(t *testing.T) {
	l := Layers{
		Static:  map[string]string{"log.retention.minutes": "5", "ssl.key.password": "secret", "my.plugin.token": "secret", "port": "9"},
		Dynamic: map[string]string{"listener.name.a.ssl.keystore.password": "secret", "log.cleaner.threads": "3"},
	}
	entries := l.DescribeBroker()
	for name, want := range map[string]string{
		"log.retention.ms":                      "null 5",
		"log.retention.minutes":                 "5 4 log.retention.minutes=5/4 log.retention.hours=168/5",
		"log.retention.hours":                   "168 5 log.retention.hours=168/5",
		"ssl.key.password":                      "null 4 ssl.key.password=null/4",
		"my.plugin.token":                       "null 4 my.plugin.token=null/4",
		"port":                                  "9 4 port=9/4",
		"listener.name.a.ssl.keystore.password": "null 2 listener.name.a.ssl.keystore.password=null/2",
		"log.cleaner.threads":                   "3 2 log.cleaner.threads=3/2 log.cleaner.threads=1/5",
		"node.id":                               "1 5 node.id=1/5",
	} {
		if got := entry(t, entries, name).short(); got != want {
			t.Errorf("%s\n got %s\nwant %s", name, got, want)
		}
	}
	if e := entry(t, entries, "log.cleaner.threads"); e.ReadOnly {
		t.Error("log.cleaner.threads is read-only")
	}
	if e := entry(t, entries, "node.id"); !e.ReadOnly {
		t.Error("node.id can be changed")
	}
	for _, e := range entries {
		for _, s := range e.Synonyms {
			if s.Value != nil && *s.Value == "secret" || e.Value != nil && *e.Value == "secret" {
				t.Errorf("%s shows a secret", e.Name)
			}
		}
	}
}

func TestDescribeBrokerDefaults(t *testing.T) {
	l := Layers{
		DynamicDefault: map[string]string{"log.cleaner.threads": "3", "log.retention.ms": "7"},
		Dynamic:        map[string]string{"log.cleaner.threads": "4"},
	}
	entries := l.DescribeBrokerDefaults()
	if len(entries) != 2 {
		t.Fatalf("%d entries", len(entries))
	}
	if got := entry(t, entries, "log.cleaner.threads").short(); got != "3 3 log.cleaner.threads=3/3" {
		t.Error(got)
	}
	if got := entry(t, entries, "log.retention.ms").short(); got != "7 3 log.retention.ms=7/3" {
		t.Error(got)
	}
}

func TestTopicValues(t *testing.T) {
	d := Layers{}.Topic(nil)
	want := Topic{
		Delete:          true,
		Compaction:      Compaction{DeleteRetentionMs: 86400000, MaxLagMs: 1<<63 - 1, MinCleanableDirtyRatio: 0.5},
		Compression:     Compression{Type: "producer", GzipLevel: -1, LZ4Level: 9, ZstdLevel: 3},
		Segment:         Segment{Bytes: 1 << 30, IndexBytes: 10 << 20, IndexIntervalBytes: 4096, Ms: 604800000, FileDeleteDelayMs: 60000},
		Timestamps:      Timestamps{BeforeMaxMs: 1<<63 - 1, AfterMaxMs: 3600000},
		MaxMessageBytes: 1048588, MinInsyncReplicas: 1, RetentionBytes: -1, RetentionMs: 604800000,
	}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("the defaults are\n%+v, want\n%+v", d, want)
	}
	l := Layers{Static: map[string]string{
		"log.retention.hours": "-1", "log.retention.minutes": "2", "log.roll.hours": "9999999",
		"log.segment.bytes": "not a number",
	}}
	got := l.Topic(map[string]string{"cleanup.policy": "compact", "message.timestamp.type": "LogAppendTime", "segment.jitter.ms": "x"})
	if got.RetentionMs != 120000 || got.Delete || !got.Compact || !got.Timestamps.LogAppendTime {
		t.Errorf("%+v", got)
	}
	if got.Segment.Ms != 9999999*3600000 || got.Segment.Bytes != 1<<30 {
		t.Errorf("%+v", got.Segment)
	}
	delete(l.Static, "log.retention.minutes")
	if got := l.Topic(nil).RetentionMs; got != -1 {
		t.Errorf("retention without a limit is %d ms", got)
	}
}

func TestAlterTopic(t *testing.T) {
	text := func(s string) *string { return &s }
	for _, c := range []struct {
		name    string
		current map[string]string
		changes []Change
		want    map[string]string
		code    int16
		message string
	}{
		{"set", map[string]string{"retention.ms": "1"}, []Change{{"retention.ms", Set, text("2")}}, map[string]string{"retention.ms": "2"}, 0, ""},
		{"delete", map[string]string{"retention.ms": "1"}, []Change{{"retention.ms", Delete, nil}}, map[string]string{}, 0, ""},
		{"delete what is not there", nil, []Change{{"retention.ms", Delete, nil}}, map[string]string{}, 0, ""},
		{"append to the default", nil, []Change{{"cleanup.policy", Append, text("compact")}}, map[string]string{"cleanup.policy": "delete,compact"}, 0, ""},
		{"append what is there", map[string]string{"cleanup.policy": "compact"}, []Change{{"cleanup.policy", Append, text("compact")}}, map[string]string{"cleanup.policy": "compact"}, 0, ""},
		{"subtract", map[string]string{"cleanup.policy": "compact,delete"}, []Change{{"cleanup.policy", Subtract, text("compact")}}, map[string]string{"cleanup.policy": "delete"}, 0, ""},
		{"subtract what is not there", map[string]string{"cleanup.policy": "delete"}, []Change{{"cleanup.policy", Subtract, text("compact")}}, map[string]string{"cleanup.policy": "delete"}, 0, ""},
		{"append several", nil, []Change{{"leader.replication.throttled.replicas", Append, text("0:1,1:2")}}, map[string]string{"leader.replication.throttled.replicas": "0:1,1:2"}, 0, ""},
		{"append some of which are there", map[string]string{"follower.replication.throttled.replicas": "0:1,1:2"}, []Change{{"follower.replication.throttled.replicas", Append, text("1:2,2:3,2:3")}}, map[string]string{"follower.replication.throttled.replicas": "0:1,1:2,2:3"}, 0, ""},
		{"subtract one of two", map[string]string{"leader.replication.throttled.replicas": "0:1,1:2,0:1"}, []Change{{"leader.replication.throttled.replicas", Subtract, text("0:1,3:3")}}, map[string]string{"leader.replication.throttled.replicas": "1:2,0:1"}, 0, ""},
		{"append too much", map[string]string{"leader.replication.throttled.replicas": strings.Repeat("0:1,", 8000)}, []Change{{"leader.replication.throttled.replicas", Append, text(strings.Repeat("1:2,", 100) + strings.Repeat("3", 1000))}}, nil, CodeInvalidConfig, "The value of leader.replication.throttled.replicas would be 33004 bytes long, where Kafka's protocol has 32767 at most."},
		{"append to a number", nil, []Change{{"retention.ms", Append, text("1")}}, nil, CodeInvalidConfig, "Can't APPEND to key retention.ms because its type is not LIST."},
		{"subtract from nothing known", nil, []Change{{"nonsense", Subtract, text("1")}}, nil, CodeInvalidConfig, "Can't SUBTRACT to key nonsense because its type is not LIST."},
		{"twice", nil, []Change{{"retention.ms", Set, text("1")}, {"retention.ms", Delete, nil}}, nil, CodeInvalidRequest, "Error due to duplicate config keys"},
		{"null", nil, []Change{{"retention.ms", Set, nil}}, nil, CodeInvalidRequest, "Null value not supported for : retention.ms"},
		{"unknown operation", nil, []Change{{"retention.ms", 9, text("1")}}, nil, CodeInvalidRequest, "Unknown operations type 9"},
		{"bad value", nil, []Change{{"retention.ms", Set, text("x")}}, nil, CodeInvalidConfig, "Invalid value x for configuration retention.ms: Not a number of type LONG"},
	} {
		before := maps.Clone(c.current)
		got, err := AlterTopic(c.current, c.changes)
		if c.message == "" {
			if err != nil || !maps.Equal(got, c.want) {
				t.Errorf("%s: %v, %v, want %v", c.name, got, err, c.want)
			}
		} else if e, ok := err.(*Error); !ok || e.Code != c.code || e.Message != c.message {
			t.Errorf("%s: %v, want %d %s", c.name, err, c.code, c.message)
		}
		if !maps.Equal(before, c.current) {
			t.Errorf("%s changed what it was given", c.name)
		}
	}
}

func TestAlterBroker(t *testing.T) {
	text := "5"
	got, err := AlterBroker(nil, []Change{{"log.retention.ms", Set, &text}}, false)
	if err != nil || got["log.retention.ms"] != "5" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := AlterBroker(nil, []Change{{"num.partitions", Set, &text}}, true); err == nil {
		t.Error("a read-only key was changed")
	}
}

// TestAlterBrokerKeepsSettingsTogether: what is set while brokers run must not keep their settings from being read, since then
// none of them would count, nor have everything deleted.
func TestAlterBrokerKeepsSettingsTogether(t *testing.T) {
	for _, c := range []struct {
		key, value string
		taken      bool
	}{
		{"log.retention.ms", "0", false}, {"log.retention.ms", "-5", true}, {"log.roll.ms", "0", false}, {"log.roll.ms", "1", true},
		{"max.connections.per.ip.overrides", "garbage", false}, {"max.connections.per.ip.overrides", "127.0.0.1:-1", false},
		{"max.connections.per.ip.overrides", "127.0.0.1:5,[::1]:6", true}, {"max.connections.per.ip.overrides", "", true},
	} {
		next, err := AlterBroker(nil, []Change{{c.key, Set, &c.value}}, false)
		if (err == nil) != c.taken {
			t.Errorf("%s=%s: %v, want taken %t", c.key, c.value, err, c.taken)
		}
		if err != nil {
			continue
		}
		if _, err := (Layers{DynamicDefault: next}).Broker(); err != nil {
			t.Errorf("%s=%s is taken, and the broker's settings cannot be read: %v", c.key, c.value, err)
		}
	}
}
