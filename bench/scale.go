//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/logbahn/logbahn/bench/system"
)

// scaleSizes are the clusters that bench/scale measures, in the order of the columns.
var scaleSizes = []struct {
	name                string
	brokers, partitions int
	patience            time.Duration
}{
	{"100 brokers, 200,000 partitions", 100, 200_000, 4 * time.Minute},
	{"1,000 brokers, 1,000,000 partitions", 1000, 1_000_000, 12 * time.Minute},
}

// scaleTables are what bench/scale measures, by the names that it gives the figures.
var scaleTables = []struct {
	title string
	rows  [][2]string
}{
	{"The image", [][2]string{
		{"image_mb", "in memory, MB"},
		{"image_bytes_partition", "bytes per partition"},
		{"snapshot_mb", "snapshot, MB"},
		{"snapshot_write_ms", "encode and write it, ms"},
		{"snapshot_load_ms", "load it, ms"},
		{"controller_rss_mb", "controller RSS, MB"},
		{"controller_rss_most_mb", "controller RSS at most, MB"},
		{"broker_rss_mb", "broker RSS, MB"},
	}},
	{"Nothing happens", [][2]string{
		{"heartbeats_s", "heartbeats/s"},
		{"heartbeats_kb_s", "their KB/s"},
		{"fetches_s", "fetches of the metadata log/s"},
		{"fetches_kb_s", "their KB/s"},
		{"controller_rest_cpu_pct", "controller CPU %"},
		{"broker_rest_cpu_pct", "broker CPU %"},
	}},
	{"Changes", [][2]string{
		{"register_ms", "register and unfence all stubs at once, ms"},
		{"create_partitions_s", "create all, partitions/s"},
		{"create_first_ms", "the first 10,000 partitions, in 1,000 topics, ms"},
		{"create_last_ms", "the last 10,000, ms"},
		{"create_beat_ms", "the slowest heartbeat meanwhile, ms"},
		{"create_topic_ms", "a topic of 10 partitions, ms"},
		{"create_topic_everywhere_ms", "until every broker has it, ms"},
		{"create_topic_kb", "what all of them fetch for it, KB"},
		{"create_big_ms", "a topic of 10,000 partitions, ms"},
		{"create_big_everywhere_ms", "until every broker has it, ms"},
		{"alter_ms", "one in-sync set, ms"},
		{"alter_broker_ms", "until the broker has applied it, ms"},
		{"alter_everywhere_ms", "until every broker has it, ms"},
		{"alter_image_us", "the image's share, us"},
		{"alter_big_ms", "one of the topic of 10,000 partitions, ms"},
		{"alter_big_broker_ms", "until the broker has applied it, ms"},
		{"alter_big_image_us", "the image's share, us"},
	}},
	{"A broker is lost", [][2]string{
		{"broker_lost_replicas", "replicas that it had"},
		{"broker_lost_partitions", "partitions that it led"},
		{"broker_lost_ms", "until all have leaders, ms after its session"},
		{"broker_lost_everywhere_ms", "until every broker knows them, ms"},
		{"broker_lost_mb", "what all of them fetch for it, MB"},
		{"broker_lost_beat_ms", "the slowest heartbeat meanwhile, ms"},
		{"broker_lost_cpu_ms", "CPU of the controller, ms"},
	}},
	{"A third of all brokers is lost, a rack", [][2]string{
		{"rack_lost_partitions", "partitions that they led"},
		{"rack_lost_ms", "until all have leaders, ms after the last session"},
		{"rack_lost_everywhere_ms", "until every broker knows them, ms"},
		{"rack_lost_mb", "what all of them fetch for it, MB"},
		{"rack_lost_beat_ms", "the slowest heartbeat meanwhile, ms"},
		{"rack_lost_cpu_ms", "CPU of the controller, ms"},
		{"fenced_by_mistake", "brokers fenced that were not lost"},
	}},
	{"Starts", [][2]string{
		{"controller_start_ms", "of the controller, killed before, ms"},
		{"controller_serves_ms", "until it has made a change, ms"},
		{"broker_start_ms", "of the broker, killed before, ms"},
	}},
}

// scaleEnd is how long bench/scale may take to end when it is interrupted, before it is killed.
const scaleEnd = 20 * time.Second

// scale runs bench/scale for each size.
func scale(ctx context.Context, o *options, results *Results) error {
	for _, size := range scaleSizes {
		sample := Sample{Workload: size.name, System: system.LogbahnSync}
		cmd := exec.CommandContext(ctx, filepath.Join(filepath.Dir(o.env.Self), "scale"), "-binary", o.env.Logbahn, "-scratch", o.env.Scratch,
			"-brokers", strconv.Itoa(size.brokers), "-partitions", strconv.Itoa(size.partitions), "-patience", size.patience.String())
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, os.Stderr
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // it has gigabytes to remove
		cmd.WaitDelay = scaleEnd
		err := cmd.Run()
		if err == nil {
			err = json.Unmarshal(out.Bytes(), &sample.Metrics)
		}
		if err != nil {
			fmt.Printf("  %s: %v\n", size.name, err)
			sample.Error = fmt.Sprintf("%s: %v", size.name, err)
		}
		results.Samples = append(results.Samples, sample)
	}
	results.Rounds = 1
	return ctx.Err()
}

// scaleTable writes the figures, a column for each size and one for how they grow.
func scaleTable(d *document, r *Results) {
	for _, table := range scaleTables {
		head := []string{"**" + table.title + "**"}
		for _, size := range scaleSizes {
			head = append(head, size.name)
		}
		d.header(append(head, "times")...)
		for _, row := range table.rows {
			cells := []string{row[1]}
			var values []float64
			for _, size := range scaleSizes {
				v := r.of(size.name, system.LogbahnSync, row[0])
				cells, values = append(cells, v.String()), append(values, v.median)
			}
			times := "-"
			if first, last := values[0], values[len(values)-1]; first > 0 && last > 0 {
				times = short(last / first)
			}
			d.row(append(cells, times)...)
		}
		d.line("")
	}
}
