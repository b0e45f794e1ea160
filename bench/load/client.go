package load

import (
	"context"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Client is a library that people use, as the comparison drives it.
type Client interface {
	// Create makes a topic; of JetStream a stream for each partition.
	Create(ctx context.Context, topic string, partitions int) error
	// Produce sends records of the values in turn until the limits and returns when all are acknowledged.
	Produce(ctx context.Context, topic string, values [][]byte, l Limits) (*Result, error)
	// Consume reads a number of records from the start of every partition.
	Consume(ctx context.Context, topic string, records int64) (*Result, error)
	// Follow starts a consumer that reads whatever is produced from now on. It ends with the context, or when it is closed.
	Follow(ctx context.Context, topic string) (*Follower, error)
	Close()
}

// Codecs are the compressions of Kafka's clients, by name.
var Codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}
