package kafkacli_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/logbahn/logbahn/internal/kafkacli"
	"github.com/logbahn/logbahn/internal/kafkacli/transcript"
)

// TestOptions finds every option of Kafka's tools in the help of these.
func TestOptions(t *testing.T) {
	want, err := transcript.LoadOptions(filepath.Join(transcripts, "options.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	for command, options := range want {
		r := run(t, nil, "", append(strings.Fields(command), "--help")...)
		have := transcript.OptionsOf(r.Stdout + r.Stderr)
		for _, option := range options {
			if !slices.Contains(have, option) {
				t.Errorf("%s --help does not have %s, only %v", command, option, have)
			}
		}
	}
}

// TestLookup knows the names that install-aliases makes, and those that Kafka's folders have.
func TestLookup(t *testing.T) {
	for program, want := range map[string]string{
		"kafka-topics": "kafka-topics", "/opt/kafka/bin/kafka-topics.sh": "kafka-topics", `C:\kafka\bin\windows\kafka-topics.bat`: "kafka-topics",
		"./zookeeper-server-start.sh": "zookeeper-server-start", "logbahn": "", "kafka-topic": "",
	} {
		name, ok := kafkacli.Lookup(program)
		if ok != (want != "") || ok && name != want {
			t.Errorf("Lookup(%q) is %q, %t; want %q", program, name, ok, want)
		}
	}
}

// TestWrongWords refuses words that are no option, whatever they are made of.
func TestWrongWords(t *testing.T) {
	for word, want := range map[string]string{
		"-=x": "-=x is not a recognized option", "--=": "--= is not a recognized option", "---": "--- is not a recognized option",
		"-é": "é is not a recognized option", "--nosuch=1": "nosuch is not a recognized option",
	} {
		if r := run(t, nil, "", "kafka-topics", word); r.Code != 1 || r.Stderr != want+"\n" {
			t.Errorf("kafka-topics %s exits with %d and says %q, want %q", word, r.Code, r.Stderr, want)
		}
	}
}
