package config

import (
	"reflect"
	"strings"
	"testing"
)

func converted(t *testing.T, text string) (today map[string]string, notes map[string]string) {
	t.Helper()
	settings, err := ParseProperties("server.properties", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	today, notes = map[string]string{}, map[string]string{}
	for _, c := range Convert(settings) {
		notes[c.From.Name] = c.Note
		for _, s := range c.To {
			if _, twice := today[s.Name]; twice {
				t.Errorf("%s is written twice", s.Name)
			}
			today[s.Name] = s.Value
		}
	}
	return today, notes
}

func TestConvert(t *testing.T) {
	for _, c := range []struct {
		name, old string
		want      map[string]string
	}{
		{"0.7", "brokerid=3\nhostname=a.example\nport=9093\nnum.threads=8\nlog.file.size=536870912\nlog.cleanup.interval.mins=1\nzk.connect=localhost:2181\nlog.flush.interval=10000",
			map[string]string{"node.id": "3", "advertised.listeners": "PLAINTEXT://a.example:9093", "listeners": "PLAINTEXT://:9093", "num.io.threads": "8",
				"log.segment.bytes": "536870912", "log.retention.check.interval.ms": "60000", "log.flush.interval.messages": "10000"}},
		{"0.8", "broker.id=0\nport=9092\nadvertised.host.name=b\nadvertised.port=19092\nlog.dir=/data\nzookeeper.connect=z:2181\nreplica.lag.max.messages=4000",
			map[string]string{"node.id": "0", "listeners": "PLAINTEXT://:9092", "advertised.listeners": "PLAINTEXT://b:19092", "log.dirs": "/data"}},
		{"3.x", "broker.id=1\nlisteners=PLAINTEXT://:9092\nhost.name=old\ninter.broker.protocol.version=3.4\nlog.message.timestamp.difference.max.ms=5\nlog.retention.hours=168",
			map[string]string{"node.id": "1", "listeners": "PLAINTEXT://:9092", "log.message.timestamp.before.max.ms": "5",
				"log.message.timestamp.after.max.ms": "5", "log.retention.hours": "168"}},
		{"today's words win", "broker.id=1\nnode.id=2\nlog.dir=/a\nlog.dirs=/b", map[string]string{"node.id": "2", "log.dirs": "/b"}},
		{"drawn id", "broker.id=-1", map[string]string{}},
		{"unit beyond the range", "log.cleanup.interval.mins=9223372036854775807", map[string]string{"log.retention.check.interval.ms": "9223372036854720000"}},
		{"no number", "log.cleanup.interval.mins=soon", map[string]string{"log.retention.check.interval.ms": "soon"}},
	} {
		if got, _ := converted(t, c.old); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v\nwant %v", c.name, got, c.want)
		}
	}
}

func TestConvertSaysWhy(t *testing.T) {
	_, notes := converted(t, "zookeeper.connect=z\ntopic.partition.count.map=a:2\nport=1\nnum.partitions=3\nlog.dir=/a\nlog.dirs=/b")
	for key, want := range map[string]string{"zookeeper.connect": "no ZooKeeper", "topic.partition.count.map": "topic create", "port": "part of listeners",
		"num.partitions": "", "log.dir": "log.dirs is set"} {
		if got := notes[key]; !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
}

// Every key that takes an old one's place is one that is known.
func TestSuccessorsAreKnown(t *testing.T) {
	for old, next := range successors {
		for _, key := range next.keys {
			if d, ok := BrokerKey(key); !ok || d.Hidden {
				t.Errorf("%s became %s, which is not one of today's keys", old, key)
			}
		}
		if len(next.keys) == 0 && next.note == "" {
			t.Errorf("%s is gone without a reason", old)
		}
	}
}

func TestParseYAML(t *testing.T) {
	settings, err := Parse("broker.yaml", []byte("log.dirs: [/a, /b]\nlog:\n  retention:\n    ms: 5\nnum.partitions: 3 # three\nflush: \"os\"\nbroker.rack: null\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := Settings{{"log.dirs", "/a,/b", "broker.yaml", 1}, {"log.retention.ms", "5", "broker.yaml", 4}, {"num.partitions", "3", "broker.yaml", 5},
		{"flush", "os", "broker.yaml", 6}, {"broker.rack", "", "broker.yaml", 7}}
	if !reflect.DeepEqual(settings, want) {
		t.Errorf("%v", settings)
	}
	for text, why := range map[string]string{
		"- a": "not a mapping", "a": "not a mapping", "a: &x b": "anchors", "a: &x b\nc: *x": "anchors", "a: [[b]]": "words only", "a: [": "broker.yml",
		"? [a]\n: b": "must be a word", "a: b\n---\nc: d": "second one", "a: b\n---\nc: [": "after it comes more", strings.Repeat("{a: ", 30) + "b" + strings.Repeat("}", 30): "in each other", strings.Repeat(" ", 2<<20): "at most",
	} {
		if _, err := Parse("broker.yml", []byte(text)); err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("%.20q: %v, want %q", text, err, why)
		}
	}
}

func FuzzParseYAML(f *testing.F) {
	for _, seed := range []string{"", "a: b", "a: {b: [c, 1, true, null]}", "a: &x [*x]", "? a\n: |\n  b\n", "---\n...\n", "<<: {a: b}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		settings, err := ParseYAML("f", data)
		for _, s := range settings {
			if err != nil || s.Name == "" || s.Line < 1 {
				t.Fatalf("%v with %v", s, err)
			}
		}
	})
}

// What is written in either syntax is read back.
func FuzzLines(f *testing.F) {
	for _, seed := range [][2]string{{"a", "b"}, {"a.b", " c\n"}, {"a b=c:d", `\`}, {"log.dirs", "/a,/b"}, {"x", "true"}, {"x", "0x1F"}, {"x", "~"}, {"x", ""}, {"#a", "!b # c"}, {"x", "<<"}, {"x", "- a"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		if strings.TrimSpace(name) != name || name == "" || strings.ContainsFunc(name+text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == '\ufffd' || r > '~' }) {
			t.Skip("keys are words of printable letters")
		}
		if strings.ContainsAny(name, "\n\t") {
			t.Skip("keys have no line breaks")
		}
		line := PropertyLine(name, text)
		if got, err := ParseProperties("f", []byte(line+"\n")); err != nil || len(got) != 1 || got[0].Name != name || got[0].Value != text {
			t.Errorf("properties %q: %v, %v", line, got, err)
		}
		yamlLine, err := YAMLLine(name, text)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ParseYAML("f", []byte(yamlLine+"\n")); err != nil || len(got) != 1 || got[0].Name != name || got[0].Value != text {
			t.Errorf("YAML %q: %v, %v", yamlLine, got, err)
		}
	})
}
