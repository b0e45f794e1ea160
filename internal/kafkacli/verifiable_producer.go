package kafkacli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn/internal/config"
)

func verifiableProducerTool() *tool {
	return &tool{
		name: "kafka-verifiable-producer",
		does: "This tool produces increasing integers to the specified topic and prints JSON metadata to stdout on each send, making visible which messages have been acked and which have not.",
		raw:  runVerifiableProducer,
	}
}

var verifiableProducerArguments = []argument{
	{names: []string{"--topic"}, kind: text, required: true, help: "Produce messages to this topic."},
	{names: []string{"--bootstrap-server"}, kind: text, value: "HOST1:PORT1[,HOST2:PORT2[...]]", group: 1, help: "REQUIRED: where the cluster answers."},
	{names: []string{"--max-messages"}, kind: integer, value: "MAX-MESSAGES", fallback: "-1", help: "Produce so many messages; -1 is until the process is killed."},
	{names: []string{"--throughput"}, kind: integer, fallback: "-1", help: "About so many messages a second; below 0 as many as there can be."},
	{names: []string{"--acks"}, kind: integer, fallback: "-1", choices: []string{"0", "1", "-1"}, help: "Acks required on each produced message."},
	{names: []string{"--message-create-time"}, kind: long, value: "CREATE-TIME", fallback: "-1", help: "The creation time of the first message, milliseconds since 1970."},
	{names: []string{"--value-prefix"}, kind: integer, value: "VALUE-PREFIX", help: "A number in front of each value, with a dot between."},
	{names: []string{"--repeating-keys"}, kind: integer, value: "REPEATING-KEYS", help: "Keys from 0 up to this number, which is not in it, over and over."},
	{names: []string{"--command-config"}, kind: text, value: "CONFIG-FILE", help: "A file with producer properties."},
	{names: []string{"--producer.config"}, kind: text, value: "CONFIG-FILE", help: "(DEPRECATED) The name of --command-config before Kafka 4.2."},
}

// verifiable parses the arguments of a verifiable tool. done says that everything has been said.
func (c *call) verifiable(table []argument, args []string) (a *arguments, done bool, err error) {
	program := c.tool.name[len("kafka-"):]
	if len(args) == 0 {
		printUsage(c.out, program, c.tool.does, table, true)
		return nil, true, nil
	}
	a, err = parseArguments(table, args)
	if err != nil {
		printUsage(c.Stderr, program, "", table, false)
		fmt.Fprintf(c.Stderr, "%s: error: %v\n", program, err)
		return nil, true, exitError(1)
	}
	if a.help {
		printUsage(c.out, program, c.tool.does, table, true)
		return nil, true, exitError(1)
	}
	return a, false, nil
}

// events prints a line of JSON for each thing that happens. It may be used from everywhere at once.
type events struct {
	mu sync.Mutex
	w  io.Writer
}

// event is what each line begins with.
type event struct {
	Timestamp int64  `json:"timestamp"`
	Name      string `json:"name"`
}

func happened(name string) event { return event{time.Now().UnixMilli(), name} }

func (e *events) print(what any) {
	line, err := json.Marshal(what)
	if err != nil {
		line = []byte("Bad data can't be written as json: " + err.Error())
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	_, _ = e.w.Write(append(line, '\n'))
}

type (
	sendSuccess struct {
		event
		Key       *string `json:"key"`
		Value     string  `json:"value"`
		Offset    int64   `json:"offset"`
		Topic     string  `json:"topic"`
		Partition int32   `json:"partition"`
	}
	sendError struct {
		event
		Key       *string `json:"key"`
		Value     string  `json:"value"`
		Topic     string  `json:"topic"`
		Message   string  `json:"message"`
		Exception string  `json:"exception"`
	}
	toolData struct {
		event
		Sent             int64       `json:"sent"`
		Acked            int64       `json:"acked"`
		TargetThroughput int64       `json:"target_throughput"`
		AvgThroughput    json.Number `json:"avg_throughput"`
	}
)

func runVerifiableProducer(ctx context.Context, c *call, args []string) error {
	a, done, err := c.verifiable(verifiableProducerArguments, args)
	if done {
		return err
	}
	p, err := loadProperties(a.either("--command-config", "--producer.config"))
	if err != nil {
		return err
	}
	p["acks"] = a.text("--acks")
	p["delivery.timeout.ms"] = "0" // it would count from the records' own timestamps
	opts, err := p.producer()
	if err != nil {
		return err
	}
	client, err := c.connect(ctx, a.text("--bootstrap-server"), p, append(opts, unanswered, kgo.ManualFlushing(), kgo.RecordRetries(1))...)
	if err != nil {
		return err
	}
	defer client.Close()
	return c.produceVerifiably(ctx, client, a)
}

func (c *call) produceVerifiably(ctx context.Context, client *kgo.Client, a *arguments) error {
	out := &events{w: c.Stdout}
	out.print(happened("startup_complete"))
	start, target := time.Now(), a.long("--throughput")
	throttle := newThrottle(fmt.Sprint(target))
	limit, repeat := a.long("--max-messages"), a.long("--repeating-keys")
	createTime := a.long("--message-create-time")
	var sent, acked int64
	for n := int64(0); (limit < 0 || n < limit) && !ended(ctx); n++ {
		r := &kgo.Record{Topic: a.text("--topic"), Value: fmt.Append(nil, n)}
		if a.has("--value-prefix") {
			r.Value = fmt.Appendf(nil, "%d.%d", a.long("--value-prefix"), n)
		}
		if repeat > 0 {
			r.Key = fmt.Append(nil, n%repeat)
		}
		if createTime >= 0 {
			r.Timestamp = time.UnixMilli(createTime + time.Since(start).Milliseconds())
		}
		sent++
		client.Produce(context.WithoutCancel(ctx), r, func(r *kgo.Record, err error) {
			if err == nil {
				acked++
			}
			printSend(out, r, err)
		})
		// Flushed in rounds: what has been sent is shown soon, and records share batches.
		if n%100 == 99 || target > 0 {
			if err := client.Flush(context.WithoutCancel(ctx)); err != nil {
				return err
			}
		}
		throttle.wait(ctx, n+1)
	}
	if err := client.Flush(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	out.print(happened("shutdown_complete"))
	average := 1000 * float64(acked) / max(1, float64(time.Since(start).Milliseconds()))
	out.print(toolData{happened("tool_data"), sent, acked, target, json.Number(config.JavaDouble(average, 64))})
	return nil
}

func printSend(out *events, r *kgo.Record, err error) {
	var key *string
	if r.Key != nil {
		s := string(r.Key)
		key = &s
	}
	if err != nil {
		out.print(sendError{happened("producer_send_error"), key, string(r.Value), r.Topic, produceError(err).Error(), "class " + class(err)})
		return
	}
	out.print(sendSuccess{happened("producer_send_success"), key, string(r.Value), r.Offset, r.Topic, r.Partition})
}
