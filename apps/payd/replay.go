package payd

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/logbahn/logbahn/apps/payd/trip"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Replay says which real drives to read instead of simulating.
type Replay struct {
	// File is a CSV file (gzip or not) of NDS-BR or DrivePlotR, told by its header, or a file of text lines as in
	// 2015, for which Config.LineUnit and Config.LineZone are required. Empty means no replay.
	File string
	// Speed is how many times faster than it was driven; 0 means as fast as the log takes it. Pauses of more than
	// two seconds are not waited for.
	Speed float64
}

const (
	replayChunk   = 500
	replayGapMax  = 2 * time.Second
	replayPauseMs = 20 // waits shorter than this are saved up
)

// replay sends the rows of a file, each once: after a restart it goes on behind what the log already has.
type replay struct {
	config *Config
	name   string
	format trip.Format
	rows   *bufio.Scanner
	close  func() error
	client *kgo.Client
	state  replayState
	sent   map[int]bool // rows beyond state.Rows that the log already has
	row    int
	lastMs int64
	owed   time.Duration
}

// replayState is saved in topicSources under the file's name and size.
type replayState struct {
	Rows int             `json:"rows"` // all rows before this are sent
	Ends map[int32]int64 `json:"ends"` // where to look for rows that are sent beyond
}

// openReplay opens the file and reads from its header what it is. It fails before anything is sent.
func openReplay(config *Config) (*replay, error) {
	f, err := os.Open(config.Replay.File)
	if err != nil {
		return nil, fmt.Errorf("payd: replay: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("payd: replay: %w", err), f.Close())
	}
	r := &replay{
		config: config, close: f.Close, sent: make(map[int]bool),
		name: fmt.Sprintf("%s/%d", filepath.Base(config.Replay.File), info.Size()),
	}
	if err := r.detect(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

// detect unpacks the file and tells its format by the first line.
func (r *replay) detect(f io.Reader) error {
	buffered := bufio.NewReader(f)
	if magic, _ := buffered.Peek(2); bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		unpacked, err := gzip.NewReader(buffered)
		if err != nil {
			return fmt.Errorf("payd: replay %s: %w", r.name, err)
		}
		buffered = bufio.NewReader(unpacked)
	}
	const headerMax = 4096 // bufio's buffer
	start, err := buffered.Peek(headerMax)
	if len(start) == 0 && err != nil {
		return fmt.Errorf("payd: replay %s: %w", r.name, err)
	}
	first, _, _ := strings.Cut(string(start), "\n")
	header := true
	switch strings.TrimRight(first, "\r") {
	case trip.NDSBRHeader:
		r.format = trip.FormatNDSBR
	case trip.DrivePlotRHeader:
		r.format = trip.FormatDrivePlotR
	default:
		header = false
		if err := r.checkLines(first); err != nil {
			return err
		}
	}
	r.rows = bufio.NewScanner(buffered)
	r.rows.Buffer(nil, trip.MessageBytesMax)
	if header {
		r.rows.Scan()
	}
	return nil
}

// checkLines refuses a file that is neither a known table nor text lines, and lines without a unit and a zone.
func (r *replay) checkLines(first string) error {
	_, err := trip.Parse(trip.FormatAuto, []byte(first), r.config.lines)
	var rejection *trip.Rejection
	switch {
	case err == nil:
		return nil
	case errors.As(err, &rejection) && rejection.Reason == trip.ReasonUnset:
		return errors.New("payd: replay: a text line says neither the unit of its speed nor its time zone; give both (speed unit km/h, mph, m/s or kn; zone such as America/New_York)")
	}
	return fmt.Errorf("payd: replay %s: the first line is no NDS-BR or DrivePlotR header, and no record: %w", r.name, err)
}

// run sends the file and returns when all of it is in the log.
func (r *replay) run(ctx context.Context) error {
	defer r.close()
	if err := r.resume(ctx); err != nil {
		return err
	}
	client, err := r.config.newClient("replay")
	if err != nil {
		return err
	}
	defer client.Close()
	r.client = client
	for done := false; !done; {
		var chunk []*kgo.Record
		for len(chunk) < replayChunk && r.owed < replayPauseMs*time.Millisecond && !done {
			done = !r.rows.Scan()
			if !done {
				chunk = r.add(chunk)
			}
		}
		if err := r.send(ctx, chunk, done); err != nil {
			return err
		}
	}
	if err := r.rows.Err(); err != nil {
		return fmt.Errorf("payd: replay %s, row %d: %w", r.name, r.row, err)
	}
	return nil
}

func (r *replay) add(chunk []*kgo.Record) []*kgo.Record {
	value := bytes.Clone(r.rows.Bytes())
	r.row++
	if r.row <= r.state.Rows || r.sent[r.row] || len(value) == 0 {
		return chunk
	}
	r.wait(value)
	record := &kgo.Record{
		Topic: topicRaw, Value: value, Key: []byte(trip.DeviceOf(r.format, value)),
		Headers: []kgo.RecordHeader{headerOf(headerFile, r.name), headerOf(headerRow, strconv.Itoa(r.row))},
	}
	if r.format != trip.FormatAuto {
		record.Headers = append(record.Headers, headerOf(headerFormat, string(r.format)))
	}
	return append(chunk, record)
}

// wait adds the time that passed in the drive before a row to the time to be waited.
func (r *replay) wait(value []byte) {
	if r.config.Replay.Speed <= 0 {
		return
	}
	record, err := trip.Parse(r.format, value, r.config.lines)
	if err != nil {
		return
	}
	passed := time.Duration(record.TimeMs-r.lastMs) * time.Millisecond
	if r.lastMs > 0 && passed > 0 {
		r.owed += time.Duration(float64(min(passed, replayGapMax)) / r.config.Replay.Speed)
	}
	r.lastMs = record.TimeMs
}

// send writes a chunk, notes how far the replay is when asked or after a whole chunk, and waits what is owed.
func (r *replay) send(ctx context.Context, chunk []*kgo.Record, done bool) error {
	for _, k := range chunk {
		r.config.audit.send(k)
	}
	if err := writeEach(ctx, r.client, chunk, r.config.audit.answer); err != nil {
		return fmt.Errorf("payd: replay %s: %w", r.name, err)
	}
	for _, sent := range chunk {
		r.state.Ends[sent.Partition] = max(r.state.Ends[sent.Partition], sent.Offset+1)
	}
	if done || r.row-r.state.Rows >= replayChunk {
		r.state.Rows = max(r.state.Rows, r.row)
		state := jsonRecord(topicSources, 0, "#"+r.name, &r.state)
		if err := write(ctx, r.client, []*kgo.Record{state}); err != nil {
			return fmt.Errorf("payd: save the replay: %w", err)
		}
	}
	owed := r.owed
	r.owed = 0
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(owed):
		return nil
	}
}

// resume reads how far an earlier run came, and which rows after that it had sent already.
func (r *replay) resume(ctx context.Context) error {
	r.state.Ends = fromStart(partitions)
	err := readAll(ctx, r.config, topicSources, fromStart(1), func(k *kgo.Record) {
		if string(k.Key) != "#"+r.name {
			return
		}
		if err := json.Unmarshal(k.Value, &r.state); err != nil {
			r.config.Log.Error("saved state of the replay is not readable", "error", err)
		}
	})
	if err == nil {
		err = readAll(ctx, r.config, topicRaw, r.state.Ends, func(k *kgo.Record) {
			if n, err := strconv.Atoi(header(k, headerRow)); err == nil && header(k, headerFile) == r.name {
				r.sent[n] = true
			}
		})
	}
	if err != nil {
		return fmt.Errorf("payd: resume the replay: %w", err)
	}
	return nil
}
