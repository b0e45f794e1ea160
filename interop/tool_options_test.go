package interop

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/logbahn/logbahn/internal/kafkacli/transcript"
)

// TestToolOptions asks Kafka's tools for their help and compares the options with those that the file has, which are what
// these tools are held to. With LOGBAHN_RECORD=1 it writes the file.
func TestToolOptions(t *testing.T) {
	needsAll(t)
	const file = "testdata/tools/options.tsv"
	tools := startTools(t)
	want, err := transcript.LoadOptions(file)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string][]string{}
	for command := range want {
		r := tools.run(t, "", append(strings.Fields(command), "--help"))
		got[command] = transcript.OptionsOf(r.Stdout + r.Stderr)
		if !slices.Equal(got[command], want[command]) && os.Getenv("LOGBAHN_RECORD") == "" {
			t.Errorf("%s --help has %v, the file has %v", command, got[command], want[command])
		}
	}
	if os.Getenv("LOGBAHN_RECORD") != "" {
		if err := transcript.SaveOptions(file, got); err != nil {
			t.Fatal(err)
		}
	}
}
