package workload

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// What is shown of a client's log: of each producer and consumer that many lines, as far as they stand in its last
// bytes.
const (
	lastLinesMax   = 15
	lastLineBytes  = 500
	lastLinesBytes = 8 << 20
)

// writeLastLines writes the last lines of a client's log that name each of its client.ids. librdkafka's debugging, which
// drowns the rest, is left out.
func writeLastLines(w io.Writer, log *os.File, client string) error {
	about, err := log.Stat()
	if err != nil {
		return err
	}
	text := make([]byte, min(about.Size(), lastLinesBytes))
	if _, err := log.ReadAt(text, about.Size()-int64(len(text))); err != nil && err != io.EOF {
		return err
	}
	lines := strings.Split(string(text), "\n")
	for _, id := range IDs(client) {
		var last []string
		for i := len(lines) - 1; i >= 0 && len(last) < lastLinesMax; i-- {
			if strings.Contains(lines[i], id) && !strings.HasPrefix(lines[i], "%7|") {
				last = append(last, lines[i][:min(len(lines[i]), lastLineBytes)])
			}
		}
		for i := len(last) - 1; i >= 0; i-- {
			if _, err := fmt.Fprintln(w, last[i]); err != nil {
				return err
			}
		}
	}
	return nil
}
