package logdump

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// JSON turns a record of an internal topic into what the formatter of Kafka's console consumer shows: one JSON object. It is
// "" for a record of another kind, and an error for one that cannot be read.
type JSON func(key, value []byte) (string, error)

// OffsetsJSON knows the committed offsets in __consumer_offsets.
func OffsetsJSON(key, value []byte) (string, error) {
	var k kmsg.OffsetCommitKey
	return document(key, value, []int16{0, 1}, k.ReadFrom, func() any { return offsetKey{k.Group, k.Topic, k.Partition} }, offsetOf)
}

// GroupsJSON knows the groups of the classic protocol in __consumer_offsets.
func GroupsJSON(key, value []byte) (string, error) {
	var k kmsg.GroupMetadataKey
	return document(key, value, []int16{2}, k.ReadFrom, func() any { return groupKey{k.Group} }, groupOf)
}

// TransactionsJSON knows __transaction_state.
func TransactionsJSON(key, value []byte) (string, error) {
	var k kmsg.TxnMetadataKey
	return document(key, value, []int16{0}, k.ReadFrom, func() any { return transactionKey{k.TransactionalID} }, transactionOf)
}

type (
	recordKey struct {
		Type int16 `json:"type"`
		Data any   `json:"data"`
	}
	recordValue struct {
		Version int16 `json:"version"`
		Data    any   `json:"data"`
	}
	recordDocument struct {
		Key   recordKey    `json:"key"`
		Value *recordValue `json:"value"`
	}
)

func document(key, value []byte, kinds []int16, read func([]byte) error, keyData func() any, of valueOf) (string, error) {
	if len(key) < 2 {
		return "", nil
	}
	kind := int16(binary.BigEndian.Uint16(key))
	if !slices.Contains(kinds, kind) {
		return "", nil
	}
	if err := read(key); err != nil {
		return "", fmt.Errorf("the key cannot be read: %w", err)
	}
	doc := recordDocument{Key: recordKey{kind, keyData()}}
	if value != nil {
		version, data, err := of(value)
		if err != nil {
			return "", fmt.Errorf("the value cannot be read: %w", err)
		}
		doc.Value = &recordValue{version, data}
	}
	return *jsonText(doc), nil
}
