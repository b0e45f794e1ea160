package interop

import (
	"strings"
	"testing"
)

// TestArticle types the article's walk-through: its producer and its consumer, kafka-python 0.9.5, with the group
// resuming after a restart of the broker.
func TestArticle(t *testing.T) {
	python, old := client(t, "python", "bin", "python"), []string{"PYTHONPATH=" + client(t, "python095")}
	dir := t.TempDir()
	s := start(t, dir, "")

	// Python 3 shows the topic as the bytes that it is to this client.
	produced := strings.ReplaceAll(run(t, "", old, python, "testdata/article_produce.py", s.addr), "topic=b'", "topic='")
	for i, want := range []string{
		"[ProduceResponse(topic='telematics', partition=0, error=0, offset=0)]",
		"[ProduceResponse(topic='telematics', partition=0, error=0, offset=1)]",
	} {
		if lines := strings.Split(produced, "\n"); len(lines) < 2 || lines[i] != want {
			t.Fatalf("send_messages printed\n%s\nwant line %d: %s", produced, i, want)
		}
	}
	first := "0 ID-203217 80 5-15-2015 00:08:13 -73.978165,40.757977\n"
	second := "1 ID-203216 60 5-15-2015 00:08:13 -74.006683,40.731781\n"
	if got := run(t, "", old, python, "testdata/article_consume.py", s.addr, "1"); got != first {
		t.Fatalf("the consumer read %q, want %q", got, first)
	}

	s.stop()
	s = start(t, dir, "")
	if got := run(t, "", old, python, "testdata/article_consume.py", s.addr, "1"); got != second {
		t.Fatalf("after a restart the group read %q, want to resume at %q", got, second)
	}
}
