package config

import "testing"

// FuzzTopicConfig gives a topic any value of any key: it is accepted or refused by name, and what is accepted can be read.
func FuzzTopicConfig(f *testing.F) {
	for _, c := range [][2]string{{"retention.ms", "-1"}, {"cleanup.policy", "compact, delete"}, {"min.cleanable.dirty.ratio", "NaN"},
		{"max.message.bytes", "99999999999"}, {"compression.type", "zstd"}, {"no.such.key", ""}, {"segment.bytes", "0x10"}} {
		f.Add(c[0], c[1])
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		set := map[string]string{name: value}
		err := ValidateTopic(set)
		if _, known := topicIndex[name]; !known && err == nil {
			t.Fatalf("%q is accepted", name)
		}
		if read := (Layers{}).Topic(set); read.MaxMessageBytes < 0 || read.Segment.Bytes <= 0 {
			t.Fatalf("%q=%q is read as %+v", name, value, read)
		}
	})
}
