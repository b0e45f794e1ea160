package config

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func parseFile(t *testing.T, name string) Settings {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	settings, err := ParseProperties(name, data)
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

func TestParseProperties(t *testing.T) {
	text := strings.Join([]string{
		"# comment \\",
		"! comment",
		"",
		"a=1",
		"  b : two words ",
		"c\tthree",
		"d",
		"e=\\",
		"   joined \\",
		"  # no comment",
		"f\\ g=x\\=y\\u0041\\n",
		"h=${a}\r",
		"i=even\\\\",
		"j = = x",
		"k=\u00fc",
		"l=last\\",
	}, "\n")
	settings, err := ParseProperties("f", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range settings {
		got = append(got, fmt.Sprintf("%s %s=%q", s.Where(), s.Name, s.Value))
	}
	want := []string{
		`f:4 a="1"`, `f:5 b="two words "`, `f:6 c="three"`, `f:7 d=""`, `f:8 e="joined # no comment"`,
		`f:11 f g="x=yA\n"`, `f:12 h="${a}"`, `f:13 i="even\\"`, `f:14 j="= x"`, `f:15 k="ü"`, `f:16 l="last"`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	latin, err := ParseProperties("f", []byte("a=\xfc"))
	if err != nil || latin[0].Value != "ü" {
		t.Errorf("Latin-1: %v, %v", latin, err)
	}
}

func TestParsePropertiesErrors(t *testing.T) {
	for text, want := range map[string]string{
		"a=1\n=2":         "f:2: no key",
		"a=1\n\nb=\\u00g": "f:3: ",
		"a=" + strings.Repeat("x", propertiesBytesMax): "at most",
	} {
		if _, err := ParseProperties("f", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
}

func FuzzParseProperties(f *testing.F) {
	for _, seed := range []string{"a=1", "a\\\n b=c", "=", "\\", "a\\u0041=b", "a=\\u12", "\xff=\xfe", "#\\\na", ":\n", "a b\x00c", "\\\n=x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := runtime.NumGoroutine()
		settings, err := ParseProperties("f", data)
		if err != nil && settings != nil {
			t.Fatal("both settings and an error")
		}
		size := 0
		for _, s := range settings {
			size += len(s.Name) + len(s.Value)
			if s.Name == "" || s.Line < 1 || s.Line > 1+strings.Count(string(data), "\n")+strings.Count(string(data), "\r") {
				t.Fatalf("%+v", s)
			}
		}
		if size > 2*len(data) { // Latin-1 becomes UTF-8
			t.Fatalf("%d bytes became %d", len(data), size)
		}
		settings.Check()
		for n := 0; runtime.NumGoroutine() > before && n < 1e6; n++ { // the parser's own end by themselves
			runtime.Gosched()
		}
		if runtime.NumGoroutine() > before {
			t.Fatal("a goroutine is left behind")
		}
	})
}

func TestCheck(t *testing.T) {
	settings, err := ParseProperties("server.properties", []byte(strings.Join([]string{
		"log.retention.hours=abc",
		"log.retentoin.ms=5",
		"retention.ms=5",
		"num.partitions=0",
		"num.partitions=3",
		"authorizer.class.name=org.example.Authorizer",
		"zookeeper.connect=x",
		"zookeeper.ssl.client.enable=x",
		"completely.else=password123",
		"ssl.key.password=password123",
		"security.inter.broker.protocol=PLAINTEXT",
		"compression.type=brotli",
		"listener.name.x.ssl.keystore.type=JKS",
		"auto.create.topics.enable=yes",
	}, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range settings.Check() {
		got = append(got, fmt.Sprintf("%v %s", p.Fatal, p))
	}
	want := []string{
		`true server.properties:1: log.retention.hours cannot be "abc": allowed: a whole number of 32 bits`,
		`false server.properties:2: log.retentoin.ms is not a key that Kafka or Logbahn has; it is ignored; did you mean log.retention.ms?`,
		`false server.properties:3: retention.ms is not a key that Kafka or Logbahn has; it is ignored; did you mean log.retention.ms?`,
		`true server.properties:4: num.partitions cannot be "0": allowed: a whole number of 32 bits, at least 1`,
		`false server.properties:5: num.partitions is set in line 4 already; this line counts`,
		`true server.properties:6: authorizer.class.name is refused: access control is not there yet; without it everybody could do everything`,
		`false server.properties:9: completely.else is not a key that Kafka or Logbahn has; it is ignored`,
		`true server.properties:12: compression.type cannot be "brotli": allowed: one of uncompressed, zstd, lz4, snappy, gzip, producer`,
		`true server.properties:14: auto.create.topics.enable cannot be "yes": allowed: true or false`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestSuggest(t *testing.T) {
	for name, want := range map[string]string{
		"listners":               "listeners",
		"advertised.listener":    "advertised.listeners",
		"num.partition":          "num.partitions",
		"log.dris":               "log.dirs",
		"Node.Id":                "node.id",
		"max.message.bytes":      "message.max.bytes",
		"something.else":         "",
		"":                       "",
		strings.Repeat("a", 999): "",
	} {
		if got := Suggest(name); got != want {
			t.Errorf("for %.30q %q is suggested, want %q", name, got, want)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "abc", 3}, {"abc", "acb", 1}, {"abc", "abc", 0}, {"ca", "abc", 3}, {"kitten", "sitting", 3}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("%s and %s are %d apart, want %d", c.a, c.b, got, c.want)
		}
	}
}

func TestFromEnvironment(t *testing.T) {
	got := FromEnvironment([]string{
		"PATH=/bin", "KAFKA_NODE_ID=3", "KAFKA_LISTENER_NAME_A_SCRAM___SHA___256_SASL_JAAS_CONFIG=x", "KAFKA_HEAP_OPTS=-Xmx1G",
		"KAFKA_CFG_NUM_PARTITIONS=4", "KAFKA_A__B=c", "KAFKA_=x", "KAFKA_LOG_DIRS=a=b",
	})
	want := Settings{
		{Name: "node.id", Value: "3", Origin: "KAFKA_NODE_ID"},
		{Name: "listener.name.a.scram-sha-256.sasl.jaas.config", Value: "x", Origin: "KAFKA_LISTENER_NAME_A_SCRAM___SHA___256_SASL_JAAS_CONFIG"},
		{Name: "num.partitions", Value: "4", Origin: "KAFKA_CFG_NUM_PARTITIONS"},
		{Name: "a_b", Value: "c", Origin: "KAFKA_A__B"},
		{Name: "log.dirs", Value: "a=b", Origin: "KAFKA_LOG_DIRS"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v", got)
	}
}

// As the Apache image: CLUSTER_ID formats, and who only advertises listens everywhere.
func TestEnvironmentOfTheImage(t *testing.T) {
	for _, c := range []struct {
		environ []string
		want    map[string]string
	}{
		{[]string{"CLUSTER_ID=4L6g3nShT-eMCtK--X86sw"}, map[string]string{"cluster.id": "4L6g3nShT-eMCtK--X86sw"}},
		{[]string{"CLUSTER_ID="}, map[string]string{}},
		{[]string{"KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://db.example:9092,INTERNAL://[::1]:19092"}, map[string]string{
			"advertised.listeners": "PLAINTEXT://db.example:9092,INTERNAL://[::1]:19092",
			"listeners":            "PLAINTEXT://0.0.0.0:9092,INTERNAL://0.0.0.0:19092",
		}},
		{[]string{"KAFKA_ADVERTISED_LISTENERS=A://h:1", "KAFKA_LISTENERS=A://:2"}, map[string]string{"advertised.listeners": "A://h:1", "listeners": "A://:2"}},
		{[]string{"KAFKA_ADVERTISED_LISTENERS=A://h:1", "KAFKA_PROCESS_ROLES=controller"}, map[string]string{"advertised.listeners": "A://h:1", "process.roles": "controller"}},
		{[]string{"KAFKA_PORT=tcp://10.0.0.1:9092", "KAFKA_SERVICE_HOST=10.0.0.1", "KAFKA_SERVICE_PORT=9092", "KAFKA_SERVICE_PORT_CLIENTS=9092",
			"KAFKA_PORT_9092_TCP=tcp://10.0.0.1:9092", "KAFKA_PORT_9092_TCP_ADDR=10.0.0.1"}, map[string]string{}},
		{[]string{"KAFKA_PORT=9093"}, map[string]string{"port": "9093"}},
		{[]string{"KAFKA_JMX_OPTS=x", "KAFKA_LOG4J_LOGGERS=x", "KAFKA_VERSION=4"}, map[string]string{}},
	} {
		if got := FromEnvironment(c.environ).Map(); !maps.Equal(got, c.want) {
			t.Errorf("%v\n got %v\nwant %v", c.environ, got, c.want)
		}
	}
}

func TestLaterSettingsCount(t *testing.T) {
	file := Settings{{Name: "node.id", Value: "1", Origin: "f", Line: 1}}
	all := append(file, FromEnvironment([]string{"KAFKA_NODE_ID=2"})...)
	if got := all.Map()["node.id"]; got != "2" {
		t.Errorf("node.id is %s", got)
	}
	if problems := all.Check(); len(problems) > 0 {
		t.Errorf("%v", problems)
	}
}
