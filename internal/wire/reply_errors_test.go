package wire

import (
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

type codes []int16

func (c *codes) CountError(code int16) { *c = append(*c, code) }

func TestCountErrors(t *testing.T) {
	for name, c := range map[string]struct {
		reply Response
		want  []int16
	}{
		"none": {nil, nil},
		"produce": {&ProduceResponse{Topics: []ProduceTopicReply{{Partitions: []ProducePartitionReply{
			{Error: NotLeaderOrFollower}, {}, {Error: CorruptMessage}}}}}, []int16{6, 2}},
		"fetch": {&FetchResponse{Error: FetchSessionIDNotFound, Topics: []FetchTopicReply{{Partitions: []FetchPartitionReply{
			{Error: OffsetOutOfRange}}}}}, []int16{70, 1}},
		"flat": {Message(&kmsg.HeartbeatResponse{ErrorCode: 27}), []int16{27}},
		"nested": {Message(&kmsg.MetadataResponse{Topics: []kmsg.MetadataResponseTopic{
			{ErrorCode: 3, Partitions: []kmsg.MetadataResponseTopicPartition{{ErrorCode: 5}, {}}}, {}}}), []int16{3, 5}},
		"fine": {Message(&kmsg.MetadataResponse{Topics: make([]kmsg.MetadataResponseTopic, 3)}), nil},
	} {
		var got codes
		CountErrors(c.reply, &got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// Every response can be looked at, also those that hold themselves no code.
func TestCountErrorsOfAll(t *testing.T) {
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		if resp := kmsg.ResponseForKey(key); resp != nil {
			CountErrors(Message(resp), new(codes))
		}
	}
}

// The replies of steady state must be looked at for nothing.
func TestCountErrorsAllocatesNothing(t *testing.T) {
	beat, produce := Message(&kmsg.HeartbeatResponse{}), &ProduceResponse{Topics: []ProduceTopicReply{{Partitions: make([]ProducePartitionReply, 3)}}}
	var to codes
	if n := testing.AllocsPerRun(100, func() { CountErrors(beat, &to); CountErrors(produce, &to) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
