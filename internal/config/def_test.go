package config

import (
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// ours are the defaults that differ from Kafka's, which has none for the first three.
var ours = []string{"controller.listener.names", "node.id", "process.roles", "listeners", "log.dir"}

func lines(t *testing.T, name string) []string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimRight(string(data), "\n"), "\n")
}

// The table says what Kafka says of itself.
// limitedTogether are keys whose values Kafka looks at when it has all of them: it does not start with a wrong one, and takes one
// from a client only to apply nothing of what was set with it. Here the client hears of it.
var limitedTogether = []string{"log.retention.ms", "log.roll.ms", "max.connections.per.ip.overrides"}

func TestKeysAreKafkas(t *testing.T) {
	updates := map[string]Update{"read-only": ReadOnly, "per-broker": PerBroker, "cluster-wide": ClusterWide}
	theirs := map[string]bool{}
	for _, line := range lines(t, "testdata/kafka-4.3.1.tsv") {
		f := strings.Split(line, "\t")
		kind, name, typ, def, valid := f[0], f[1], f[2], f[3], f[4]
		theirs[kind+" "+name] = true
		find := BrokerKey
		if kind == "topic" {
			find = TopicKey
		}
		d, ok := find(name)
		if !ok {
			t.Errorf("%s key %s is missing", kind, name)
			continue
		}
		if got := strings.ToLower(d.Type.String()); got != typ {
			t.Errorf("%s is of type %s, want %s", name, got, typ)
		}
		if !slices.Contains(ours, name) && (d.Unset != (def == "null") || !d.Unset && d.Default != def) {
			t.Errorf("%s has the default %q (unset %v), want %q", name, d.Default, d.Unset, def)
		}
		limited := valid != "" && valid != "non-null string" && valid != "non-empty list" || slices.Contains(limitedTogether, name)
		if limited != (d.Valid != nil) {
			t.Errorf("%s has limits: %v, want %q", name, d.Valid != nil, valid)
		}
		if kind == "broker" && d.Dynamic != updates[f[5]] {
			t.Errorf("%s can be updated %d, want %s", name, d.Dynamic, f[5])
		}
	}
	for kind, tables := range map[string][][]Def{"broker": {serverKeys, logKeys, groupKeys, securityKeys, remoteKeys}, "topic": {topicKeys}} {
		for _, d := range slices.Concat(tables...) {
			if !d.Hidden && !theirs[kind+" "+d.Name] {
				t.Errorf("Kafka has no %s key %s", kind, d.Name)
			}
		}
	}
}

func TestKeysAreSound(t *testing.T) {
	for _, d := range append(BrokerKeys(), TopicKeys()...) {
		if d.Doc == "" || !strings.HasSuffix(d.Doc, ".") {
			t.Errorf("%s has no description: %q", d.Name, d.Doc)
		}
		if (d.Class == Refused) != (d.Reason != "") {
			t.Errorf("%s is %s for the reason %q", d.Name, d.Class, d.Reason)
		}
		if d.Unset && d.Default != "" {
			t.Errorf("%s is not set and has the default %q", d.Name, d.Default)
		}
		if v, err := d.parse(d.Default); !d.Unset && (err != nil || v.text != d.Default) {
			t.Errorf("the default of %s reads as %q: %v", d.Name, v.text, err)
		}
		for _, s := range d.Server {
			if b, ok := BrokerKey(s.Name); !ok || b.Name != s.Name {
				t.Errorf("%s stands for %s, which is no key", s.Name, d.Name)
			}
		}
	}
	tables := [][]Def{serverKeys, logKeys, groupKeys, securityKeys, remoteKeys, ourBrokerKeys, dynamicOnlyKeys, retiredKeys}
	n := 0
	for _, table := range tables {
		n += len(table)
	}
	if n != len(brokerKeys) {
		t.Errorf("%d keys have %d names", n, len(brokerKeys))
	}
}

func TestListenerKeys(t *testing.T) {
	for name, want := range map[string]string{
		"listener.name.external.ssl.keystore.location":          "ssl.keystore.location",
		"listener.name.external.scram-sha-256.sasl.jaas.config": "sasl.jaas.config",
		"listener.name.external.nonsense":                       "",
		"listener.name.external":                                "",
		"listener.name.":                                        "",
	} {
		d, ok := BrokerKey(name)
		if ok != (want != "") || ok && d.Name != want {
			t.Errorf("%s is described by %+v, want %q", name, d, want)
		}
	}
	for name, want := range map[string]Class{
		"max.connections": Honoured, "listener.name.external.max.connections": NoEffect,
		"principal.builder.class": Refused, "listener.name.external.principal.builder.class": Refused,
	} {
		if d, ok := BrokerKey(name); !ok || d.Class != want {
			t.Errorf("%s: %+v, want it %s", name, d, want)
		}
	}
}

// The messages are Kafka's.
func TestErrorsAreKafkas(t *testing.T) {
	ownWay := map[string]string{
		"message.format.version|2.8":            "ok", // still sent by old tools
		"message.downconversion.enable|true":    "ok",
		"message.timestamp.difference.max.ms|5": "ok",
		"remote.storage.enable|true": "Tiered Storage functionality is disabled in the broker. Topic cannot be configured " +
			"with remote log storage.",
		// Kafka takes it, and does not apply it.
		"BROKER false log.retention.ms|0": "Invalid value 0 for configuration log.retention.ms: Value must be at least 1, or -1 for no limit",
		"BROKER true log.retention.ms|0":  "Invalid value 0 for configuration log.retention.ms: Value must be at least 1, or -1 for no limit",
		// What Logbahn takes at the start.
		"BROKER false listeners|PLAINTEXT://:1": "Cannot update these configs dynamically: [listeners]",
		"BROKER true listeners|PLAINTEXT://:1":  "Cannot update these configs dynamically: [listeners]",
		"internal.segment.bytes|100":            "Unknown topic config name: internal.segment.bytes", // for Kafka's own tests
		"BROKER false principal.builder.class|a.b": "principal.builder.class is refused: Java classes cannot be loaded; " +
			"everybody would be somebody else",
		"BROKER true principal.builder.class|a.b": "principal.builder.class is refused: Java classes cannot be loaded; " +
			"everybody would be somebody else",
	}
	for _, line := range lines(t, "testdata/kafka-4.3.1-errors.tsv") {
		input, want, _ := strings.Cut(line, "\t")
		if own, ok := ownWay[input]; ok {
			want = own
		}
		configs, oneBroker, ofBroker := parseCase(input)
		err, code := ValidateTopic(configs), int16(CodeInvalidConfig)
		if ofBroker {
			err, code = ValidateBroker(configs, oneBroker), CodeInvalidRequest
		}
		got := "ok"
		if err != nil {
			got = err.Error()
			if err.(*Error).Code != code {
				t.Errorf("%s has the code %d", input, err.(*Error).Code)
			}
		}
		if got != want {
			t.Errorf("%s\n got: %s\nwant: %s", input, got, want)
		}
	}
}

func parseCase(input string) (configs map[string]string, oneBroker, ofBroker bool) {
	if rest, ok := strings.CutPrefix(input, "BROKER "); ok {
		mode, settings, _ := strings.Cut(rest, " ")
		input, oneBroker, ofBroker = settings, mode == "true", true
	}
	configs = make(map[string]string)
	parts := strings.Split(input, "|")
	for i := 0; i+1 < len(parts); i += 2 {
		configs[parts[i]] = parts[i+1]
	}
	return configs, oneBroker, ofBroker
}

// As Java prints them.
func TestJavaDouble(t *testing.T) {
	for f, want := range map[float64]string{
		0.5: "0.5", 1: "1.0", 100: "100.0", 1e7: "1.0E7", 1.5e-4: "1.5E-4", 0.001: "0.001", 12345678.9: "1.23456789E7",
		9999999: "9999999.0", 0: "0.0", -2.5: "-2.5", 1.7976931348623157e308: "1.7976931348623157E308",
		math.Inf(1): "Infinity", math.Inf(-1): "-Infinity", math.NaN(): "NaN",
	} {
		if got := JavaDouble(f, 64); got != want {
			t.Errorf("%g is %s, want %s", f, got, want)
		}
	}
	if got := JavaDouble(float64(float32(0.1)), 32); got != "0.1" {
		t.Errorf("a float of 0.1 is %s", got)
	}
}
