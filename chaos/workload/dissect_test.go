//go:build linux

package workload

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDissectExternal has a shell in a client's place.
func TestDissectExternal(t *testing.T) {
	script := filepath.Join(t.TempDir(), "client.sh")
	if err := os.WriteFile(script, []byte(`
trap 'echo stack of the shell >&2; echo statistics >&2' QUIT
echo "%7|1|EOS|x-assign#1| noise" >&2
echo "1 x-assign timed out" >&2
echo "2 x nothing of importance" >&2
echo '{"e":"assign","c":"x-assign","p":0,"o":0}'
while read command; do [ "$command" = end ] && exit 0; done
`), 0o644); err != nil {
		t.Fatal(err)
	}
	history := NewHistory("t")
	more := history.More()
	client, err := start(Config{Dir: t.TempDir()}, history, "x", "bash", script)
	if err != nil {
		t.Fatal(err)
	}
	<-more // it has logged by then
	var b bytes.Buffer
	if err := client.Dissect(&b); err != nil {
		t.Error(err)
	}
	if got, want := b.String(), "1 x-assign timed out\nstack of the shell\nstatistics\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	ending, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := client.End(ending); err != nil {
		t.Error(err)
	}
	if err := client.Dissect(&b); err == nil {
		t.Error("a client that has ended was dissected")
	}
}

func TestDissectFranz(t *testing.T) {
	// Nobody listens there.
	client, err := StartFranz(Config{Bootstrap: "127.0.0.1:1", Topic: "t", Partitions: 1, Rate: 1, Patience: time.Second, Dir: t.TempDir()}, NewHistory("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.End(t.Context()) }()
	// Its goroutines need not have run by the time StartFranz returns.
	deadline := time.Now().Add(30 * time.Second)
	for {
		var b bytes.Buffer
		if err := client.Dissect(&b); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "(*franz).send") {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the sending goroutine is not to be seen:\n%s", b.String())
		}
	}
}
