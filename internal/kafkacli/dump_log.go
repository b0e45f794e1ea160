package kafkacli

import (
	"context"
	"strings"

	"github.com/logbahn/logbahn/internal/logdump"
)

func dumpLogTool() *tool {
	return &tool{
		name: "kafka-dump-log",
		does: "This tool helps to parse a log file and dump its contents to the console, useful for debugging a seemingly corrupt log segment.",
		run:  runDumpLog,
		options: []option{
			{name: "files", kind: text, value: "file1, file2, ...", help: "REQUIRED: the files, separated by commas: .log, .index, .timeindex, .snapshot, .txnindex."},
			{name: "print-data-log", help: "Print keys and values of records."},
			{name: "deep-iteration", help: "Print records, not only batches."},
			{name: "skip-record-metadata", help: "With --print-data-log: only keys and values."},
			{name: "verify-index-only", help: "Of an index: print only what is wrong with it."},
			{name: "index-sanity-check", help: "Of an index: print only whether it can be used."},
			{name: "max-message-size", kind: integer, value: "size", fallback: "5242880", help: "The size of the largest message."},
			{name: "max-bytes", kind: integer, value: "size", fallback: "2147483647", help: "How many bytes of a log to read."},
			{name: "value-decoder-class", kind: optionalText, fallback: stringDecoder, help: "What values are: one of the classes that Kafka brings along."},
			{name: "key-decoder-class", kind: optionalText, fallback: stringDecoder, help: "What keys are."},
			{name: "offsets-decoder", help: "The records are those of __consumer_offsets."},
			{name: "transaction-log-decoder", help: "The records are those of __transaction_state."},
			{name: "cluster-metadata-decoder", help: "The records are those of Kafka's __cluster_metadata. Not known here."},
			{name: "remote-log-metadata-decoder", help: "The records are those of Kafka's __remote_log_metadata. Not known here."},
			{name: "share-group-state-decoder", help: "The records are those of Kafka's __share_group_state. Not known here."},
		},
	}
}

const stringDecoder = "org.apache.kafka.tools.api.StringDecoder"

func runDumpLog(_ context.Context, c *call) error {
	o := c.opts
	if err := o.require("files"); err != nil {
		return err
	}
	d := &logdump.Dumper{Out: c.out, Err: c.Stderr, Options: logdump.Options{
		SkipMetadata: o.has("skip-record-metadata"), SanityOnly: o.has("index-sanity-check"), VerifyOnly: o.has("verify-index-only"),
	}}
	o.long("max-message-size") // what is read of a batch is bounded anyway
	if o.has("max-bytes") {
		d.MaxBytes = o.long("max-bytes")
	}
	if o.err != nil {
		return o.err
	}
	for option, decode := range map[string]logdump.Decoder{"offsets-decoder": logdump.Offsets, "transaction-log-decoder": logdump.Transactions} {
		if o.has(option) {
			d.Decode = decode
		}
	}
	for _, option := range []string{"cluster-metadata-decoder", "remote-log-metadata-decoder", "share-group-state-decoder"} {
		if o.has(option) {
			return failf("--%s: Logbahn does not know these records", option)
		}
	}
	d.Contents = o.has("print-data-log") || d.Decode != nil || o.count("value-decoder-class", "key-decoder-class") > 0
	d.Deep = o.has("deep-iteration") || d.Contents
	for _, name := range strings.Split(o.text("files"), ",") {
		if err := c.checkDecoders(strings.TrimSpace(name), d); err != nil {
			return err
		}
		if err := d.File(strings.TrimSpace(name)); err != nil {
			return err
		}
	}
	_ = c.out.Flush()
	d.Problems()
	return nil
}

// checkDecoders refuses classes that nobody knows, where Kafka loads them: at a log.
func (c *call) checkDecoders(name string, d *logdump.Dumper) error {
	for _, option := range []string{"value-decoder-class", "key-decoder-class"} {
		class := c.opts.text(option)
		if class == "" || strings.HasSuffix(class, ".StringDecoder") || d.Decode != nil || !strings.HasSuffix(name, ".log") {
			continue
		}
		_, _ = c.out.WriteString("Dumping " + name + "\n")
		_ = c.out.Flush()
		return failf("Failed to load decoder class\nCaused by: %s is not known, %s is", class, stringDecoder)
	}
	return nil
}
