package payd

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn/apps/payd/trip"
)

// TestEveryLetterFits refuses a record that, compressed, fits into a batch and has more bytes than one may have.
func TestEveryLetterFits(t *testing.T) {
	t.Parallel()
	_, client := startClient(t)
	if err := createTopics(t.Context(), kadm.NewClient(client)); err != nil {
		t.Fatal(err)
	}
	w := newCleanWork(trip.LineFormat{})
	if _, err := w.begin(context.Background(), []int32{0}); err != nil {
		t.Fatal(err)
	}
	for _, long := range []*kgo.Record{
		{Topic: topicRaw, Value: bytes.Repeat([]byte("x"), 3<<20)},
		{Topic: topicRaw, Key: bytes.Repeat([]byte("k"), 3<<20), Value: []byte("x")},
		{Topic: topicRaw, Value: []byte(`{"v":` + strings.Repeat("1", trip.MessageBytesMax-10) + `}`)},
	} {
		letters := w.take(long)
		if len(letters) != 1 || letters[0].Topic != topicDead || !bytes.HasPrefix(long.Value, letters[0].Value) {
			t.Fatalf("a record that cannot be read gives %d records", len(letters))
		}
		if cut := strings.HasSuffix(header(letters[0], headerDetail), " bytes"); cut != (len(letters[0].Value) < len(long.Value)) {
			t.Errorf("of %d bytes %d are kept, and the letter says %.100q", len(long.Value), len(letters[0].Value), header(letters[0], headerDetail))
		}
		if err := write(t.Context(), client, letters); err != nil {
			t.Errorf("the letter of a record with %d bytes: %v", len(long.Key)+len(long.Value), err)
		}
	}
}
