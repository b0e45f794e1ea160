package config

import (
	"fmt"
	"strings"
	"testing"
)

// describedByKafka is a line of testdata/kafka-4.3.1-describe.tsv: resource, name, value, source, read-only, sensitive,
// type, whether there is a description, synonyms.
type describedByKafka []string

func (k describedByKafka) key() string { return strings.ToLower(k[0]) + " " + k[1] }

// TestDescribeConfigsIsKafkas compares what is described with what a Kafka 4.3.1 answers that has the same settings.
func TestDescribeConfigsIsKafkas(t *testing.T) {
	var theirs []describedByKafka
	l := Layers{Static: map[string]string{}, DynamicDefault: map[string]string{}}
	topic := map[string]string{}
	for _, line := range lines(t, "testdata/kafka-4.3.1-describe.tsv") {
		k := describedByKafka(strings.Split(line, "\t"))
		theirs = append(theirs, k)
		switch {
		case k[0] == "TOPIC" && k[3] == "1":
			topic[k[1]] = k[2]
		case k[0] == "BROKER" && k[3] == "3":
			l.DynamicDefault[k[1]] = k[2]
		case k[0] == "BROKER" && k[3] == "4":
			l.Static[k[1]] = k[2]
		}
	}
	ours := map[string]Entry{}
	for _, e := range l.DescribeBroker() {
		ours["broker "+e.Name] = e
	}
	for _, e := range l.DescribeTopic(topic) {
		ours["topic "+e.Name] = e
	}
	differing := map[string]bool{}
	for _, k := range theirs {
		e, ok := ours[k.key()]
		delete(ours, k.key())
		want := strings.Join(k[2:], " ")
		got := "not described"
		if ok {
			got = e.asKafka()
		}
		if got == want {
			continue
		}
		if differing[k.key()] = true; ownDescriptions[k.key()] == "" {
			t.Errorf("%s\n  ours: %s\nKafka's: %s", k.key(), got, want)
		}
	}
	for key := range ours {
		if differing[key] = true; ownDescriptions[key] == "" {
			t.Errorf("%s: Kafka does not describe it", key)
		}
	}
	for key := range ownDescriptions {
		if !differing[key] {
			t.Errorf("%s is described as by Kafka, though it is said to differ", key)
		}
	}
}

func (e Entry) asKafka() string {
	show := func(v *string) string {
		if v == nil {
			return "null"
		}
		return *v
	}
	doc := "doc"
	if e.Doc == "" {
		doc = "no doc"
	}
	var synonyms []string
	for _, s := range e.Synonyms {
		synonyms = append(synonyms, fmt.Sprintf("%s=%s/%d", s.Name, show(s.Value), s.Source))
	}
	typ := e.Type.String()
	return strings.Join([]string{show(e.Value), fmt.Sprint(e.Source), fmt.Sprint(e.ReadOnly), fmt.Sprint(e.Sensitive), typ, doc, strings.Join(synonyms, " ")}, " ")
}

// ownDescriptions are the keys that Logbahn describes otherwise, and why.
var ownDescriptions = map[string]string{
	"broker controller.listener.names":      "has a default here: one node needs no setting",
	"broker node.id":                        "has a default here: one node needs no setting",
	"broker process.roles":                  "has a default here: one node needs no setting",
	"broker log.dir":                        "its default is a directory where the broker is started, not one that is cleared at a boot",
	"broker listeners":                      "its default is this machine only, and it is taken at the start",
	"broker listener.security.protocol.map": "is taken at the start",
	"broker log.cleaner.backoff.ms":         "is taken at the start",
	"broker log.cleaner.dedupe.buffer.size": "is taken at the start",
	"broker cluster.id":                     "Logbahn's own",
	"broker flush":                          "Logbahn's own",
	"broker ops.consumer.lag.enable":        "Logbahn's own",
	"broker ops.listener":                   "Logbahn's own",
	"broker ops.metrics.series.max":         "Logbahn's own",
	"broker proxy.listener.names":           "Logbahn's own",
	"broker scrub.bytes.per.second":         "Logbahn's own",
}
