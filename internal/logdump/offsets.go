package logdump

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// The decoders know the records of __consumer_offsets and __transaction_state as Kafka prints them: JSON with the fields
// in the order of its schemas.
type (
	typedKey struct {
		Type string `json:"type"`
		Data any    `json:"data"`
	}
	versionedValue struct {
		Version string `json:"version"`
		Data    any    `json:"data"`
	}
	offsetKey struct {
		Group     string `json:"group"`
		Topic     string `json:"topic"`
		Partition int32  `json:"partition"`
	}
	groupKey struct {
		Group string `json:"group"`
	}
	offsetValue struct {
		Offset          int64  `json:"offset"`
		LeaderEpoch     *int32 `json:"leaderEpoch,omitempty"`
		Metadata        string `json:"metadata"`
		CommitTimestamp int64  `json:"commitTimestamp"`
		ExpireTimestamp *int64 `json:"expireTimestamp,omitempty"`
		TopicID         string `json:"topicId,omitempty"`
	}
	groupValue struct {
		ProtocolType          string        `json:"protocolType"`
		Generation            int32         `json:"generation"`
		Protocol              *string       `json:"protocol"`
		Leader                *string       `json:"leader"`
		CurrentStateTimestamp *int64        `json:"currentStateTimestamp,omitempty"`
		Members               []groupMember `json:"members"`
	}
	groupMember struct {
		MemberID         string `json:"memberId"`
		InstanceID       any    `json:"groupInstanceId,omitempty"` // null from version 3 on, absent before
		ClientID         string `json:"clientId"`
		ClientHost       string `json:"clientHost"`
		RebalanceTimeout *int32 `json:"rebalanceTimeout,omitempty"`
		SessionTimeout   int32  `json:"sessionTimeout"`
		Subscription     any    `json:"subscription"`
		Assignment       any    `json:"assignment"`
	}
	topicPartitions struct {
		Topic      string  `json:"topic"`
		Partitions []int32 `json:"partitions"`
	}
	subscription struct {
		Topics          []string           `json:"topics"`
		UserData        []byte             `json:"userData"`
		OwnedPartitions *[]topicPartitions `json:"ownedPartitions,omitempty"`
		GenerationID    *int32             `json:"generationId,omitempty"`
		RackID          any                `json:"rackId,omitempty"`
	}
	assignment struct {
		AssignedPartitions []topicPartitions `json:"assignedPartitions"`
		UserData           []byte            `json:"userData"`
	}
)

// null is a null that omitempty keeps.
var null = json.RawMessage("null")

func orNull(s *string) any {
	if s == nil {
		return null
	}
	return *s
}

func jsonText(v any) *string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil
	}
	s := string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
	return &s
}

func note(format string, args ...any) *string {
	s := fmt.Sprintf(format, args...)
	return &s
}

// Offsets is a Decoder for __consumer_offsets.
func Offsets(offset int64, key, value []byte) (keyText, valueText *string) {
	if len(key) < 2 {
		return note("Failed to decode message at offset %d using offset topic decoder (message had a missing key)", offset), nil
	}
	version := int16(binary.BigEndian.Uint16(key))
	switch {
	case version == 0 || version == 1:
		var k kmsg.OffsetCommitKey
		if k.ReadFrom(key) != nil {
			break
		}
		return jsonText(typedKey{fmt.Sprint(version), offsetKey{k.Group, k.Topic, k.Partition}}), shown(value, offsetOf)
	case version == 2:
		var k kmsg.GroupMetadataKey
		if k.ReadFrom(key) != nil {
			break
		}
		return jsonText(typedKey{"2", groupKey{k.Group}}), shown(value, groupWithMembersOf)
	default:
		return note("Unknown record type %d at offset %d, skipping.", version, offset), nil
	}
	return note("Error at offset %d, skipping. the key cannot be read", offset), nil
}

// tombstone is the text of a null value.
func tombstone() *string { return note("<DELETE>") }

// valueOf decodes a value.
type valueOf func(value []byte) (version int16, data any, err error)

// shown is a value as the dump shows it.
func shown(value []byte, of valueOf) *string {
	if value == nil {
		return tombstone()
	}
	version, data, err := of(value)
	if err != nil {
		return note("the value cannot be read: %v", err)
	}
	return jsonText(versionedValue{fmt.Sprint(version), data})
}

func offsetOf(value []byte) (version int16, data any, err error) {
	v := kmsg.NewOffsetCommitValue()
	if err := v.ReadFrom(value); err != nil {
		return 0, nil, err
	}
	out := offsetValue{Offset: v.Offset, Metadata: v.Metadata, CommitTimestamp: v.CommitTimestamp}
	if v.Version >= 3 {
		out.LeaderEpoch = &v.LeaderEpoch
	}
	if v.Version == 1 {
		out.ExpireTimestamp = &v.ExpireTimestamp
	}
	if v.TopicID != [16]byte{} {
		out.TopicID = base64.RawURLEncoding.EncodeToString(v.TopicID[:])
	}
	return v.Version, out, nil
}

// groupOf leaves subscriptions and assignments the bytes that they are.
func groupOf(value []byte) (version int16, data any, err error) { return decodeGroup(value, false) }

// groupWithMembersOf decodes the subscriptions and assignments of consumers.
func groupWithMembersOf(value []byte) (version int16, data any, err error) {
	return decodeGroup(value, true)
}

func decodeGroup(value []byte, members bool) (version int16, data any, err error) {
	v := kmsg.NewGroupMetadataValue()
	if err := v.ReadFrom(value); err != nil {
		return 0, nil, err
	}
	out := groupValue{ProtocolType: v.ProtocolType, Generation: v.Generation, Protocol: v.Protocol, Leader: v.Leader, Members: []groupMember{}}
	if v.Version >= 2 {
		out.CurrentStateTimestamp = &v.CurrentStateTimestamp
	}
	for i := range v.Members {
		m := &v.Members[i]
		member := groupMember{MemberID: m.MemberID, ClientID: m.ClientID, ClientHost: m.ClientHost, SessionTimeout: m.SessionTimeoutMillis,
			Subscription: m.Subscription, Assignment: m.Assignment}
		if v.Version >= 3 {
			member.InstanceID = orNull(m.InstanceID)
		}
		if v.Version >= 1 {
			member.RebalanceTimeout = &m.RebalanceTimeoutMillis
		}
		if members && v.ProtocolType == "consumer" {
			member.Subscription, member.Assignment = subscriptionOf(m.Subscription), assignmentOf(m.Assignment)
		}
		out.Members = append(out.Members, member)
	}
	return v.Version, out, nil
}

// subscriptionOf decodes a member's subscription, or leaves its bytes.
func subscriptionOf(b []byte) any {
	s := kmsg.NewConsumerMemberMetadata()
	if s.ReadFrom(b) != nil {
		return b
	}
	out := subscription{Topics: append([]string{}, s.Topics...), UserData: s.UserData}
	if s.Version >= 1 {
		owned := []topicPartitions{}
		for _, t := range s.OwnedPartitions {
			owned = append(owned, topicPartitions{t.Topic, t.Partitions})
		}
		out.OwnedPartitions = &owned
	}
	if s.Version >= 2 {
		out.GenerationID = &s.Generation
	}
	if s.Version >= 3 {
		out.RackID = orNull(s.Rack)
	}
	return out
}

func assignmentOf(b []byte) any {
	a := kmsg.NewConsumerMemberAssignment()
	if a.ReadFrom(b) != nil {
		return b
	}
	out := assignment{AssignedPartitions: []topicPartitions{}, UserData: a.UserData}
	for _, t := range a.Topics {
		out.AssignedPartitions = append(out.AssignedPartitions, topicPartitions{t.Topic, t.Partitions})
	}
	return out
}

type (
	transactionKey struct {
		TransactionalID string `json:"transactionalId"`
	}
	transactionValue struct {
		ProducerID               int64        `json:"producerId"`
		PreviousProducerID       *int64       `json:"previousProducerId,omitempty"`
		NextProducerID           *int64       `json:"nextProducerId,omitempty"`
		ProducerEpoch            int16        `json:"producerEpoch"`
		NextProducerEpoch        *int16       `json:"nextProducerEpoch,omitempty"`
		TimeoutMs                int32        `json:"transactionTimeoutMs"`
		Status                   int8         `json:"transactionStatus"`
		Partitions               []partitions `json:"transactionPartitions"`
		LastUpdateMs             int64        `json:"transactionLastUpdateTimestampMs"`
		StartMs                  int64        `json:"transactionStartTimestampMs"`
		ClientTransactionVersion int16        `json:"clientTransactionVersion,omitempty"`
	}
	partitions struct {
		Topic        string  `json:"topic"`
		PartitionIDs []int32 `json:"partitionIds"`
	}
)

// Transactions is a Decoder for __transaction_state.
func Transactions(offset int64, key, value []byte) (keyText, valueText *string) {
	var k kmsg.TxnMetadataKey
	if len(key) < 2 {
		return note("Failed to decode message at offset %d using offset transaction-log decoder (message had a missing key)", offset), nil
	}
	if version := int16(binary.BigEndian.Uint16(key)); version != 0 {
		return note("Unknown record type %d at offset %d, skipping.", version, offset), nil
	}
	if k.ReadFrom(key) != nil {
		return note("Error at offset %d, skipping. the key cannot be read", offset), nil
	}
	return jsonText(typedKey{"0", transactionKey{k.TransactionalID}}), shown(value, transactionOf)
}

func transactionOf(value []byte) (version int16, data any, err error) {
	v := kmsg.NewTxnMetadataValue()
	if err := v.ReadFrom(value); err != nil {
		return 0, nil, err
	}
	out := transactionValue{ProducerID: v.ProducerID, ProducerEpoch: v.ProducerEpoch, TimeoutMs: v.TimeoutMillis, Status: int8(v.State),
		LastUpdateMs: v.LastUpdateTimestamp, StartMs: v.StartTimestamp, ClientTransactionVersion: v.ClientTransactionVersion}
	if v.PreviousProducerID >= 0 {
		out.PreviousProducerID = &v.PreviousProducerID
	}
	if v.NextProducerID >= 0 {
		out.NextProducerID = &v.NextProducerID
	}
	if v.NextProducerEpoch >= 0 {
		out.NextProducerEpoch = &v.NextProducerEpoch
	}
	if v.Topics != nil {
		out.Partitions = []partitions{}
	}
	for _, t := range v.Topics {
		out.Partitions = append(out.Partitions, partitions{t.Topic, t.Partitions})
	}
	return v.Version, out, nil
}
