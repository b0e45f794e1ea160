package check

import (
	"slices"
	"testing"
	"time"
)

// asked is an operation on one topic from second begin to the next one.
func asked(kind MetadataKind, answer MetadataAnswer, begin int, change func(*MetadataOp)) MetadataOp {
	op := MetadataOp{Topic: "t", Kind: kind, Answer: answer, Begin: time.Duration(begin) * time.Second, End: time.Duration(begin)*time.Second + time.Second/2}
	if change != nil {
		change(&op)
	}
	return op
}

func with(id string, partitions int32) func(*MetadataOp) {
	return func(op *MetadataOp) { op.ID, op.Partitions = id, partitions }
}

func value(v string) func(*MetadataOp) { return func(op *MetadataOp) { op.Value = v } }

// until makes an operation take longer.
func until(op MetadataOp, end int) MetadataOp {
	op.End = time.Duration(end) * time.Second
	return op
}

// TestMetadata has histories of a topic that no order explains, and beside each the nearest one that one does.
func TestMetadata(t *testing.T) {
	made := asked(CreateTopic, Done, 0, with("a", 1))
	for _, tt := range []struct {
		name string
		ops  []MetadataOp
		good bool
	}{
		{"nothing", nil, true},
		{"made and seen", []MetadataOp{made, asked(DescribeTopic, Done, 1, with("a", 1))}, true},
		{"made and not seen where it was asked for", []MetadataOp{made, asked(DescribeTopic, Missing, 1, nil)}, false},
		{"made while somebody looks", []MetadataOp{until(made, 3), asked(DescribeTopic, Missing, 1, nil)}, true},
		{"seen, and then not", []MetadataOp{until(made, 5), asked(DescribeTopic, Done, 1, with("a", 1)), asked(DescribeTopic, Missing, 2, nil)}, false},
		{"made twice", []MetadataOp{made, asked(CreateTopic, Done, 1, with("b", 1))}, false},
		{"made twice, deleted in between", []MetadataOp{made, asked(DeleteTopic, Done, 1, nil), asked(CreateTopic, Done, 2, with("b", 1))}, true},
		{"made twice, perhaps deleted in between", []MetadataOp{made, asked(DeleteTopic, Unknown, 1, nil), asked(CreateTopic, Done, 2, with("b", 1))}, true},
		{"the old id of one that was made again", []MetadataOp{
			made, asked(DeleteTopic, Done, 1, nil), asked(CreateTopic, Done, 2, with("b", 1)), asked(DescribeTopic, Done, 3, with("a", 1)),
		}, false},
		{"made by somebody who was not told", []MetadataOp{
			asked(CreateTopic, Unknown, 0, with("", 2)), asked(DescribeTopic, Missing, 1, nil), asked(DescribeTopic, Done, 2, with("b", 2)),
		}, true},
		{"made by somebody who was not told, and another id later", []MetadataOp{
			asked(CreateTopic, Unknown, 0, with("", 2)), asked(DescribeTopic, Done, 2, with("b", 2)), asked(DescribeTopic, Done, 3, with("c", 2)),
		}, false},
		{"refused as there, and nobody has made it", []MetadataOp{asked(CreateTopic, Exists, 0, nil)}, false},
		{"could be made, and is there", []MetadataOp{made, asked(ProbeTopic, Done, 1, nil)}, false},
		{"deleted twice", []MetadataOp{made, asked(DeleteTopic, Done, 1, nil), asked(DeleteTopic, Done, 2, nil)}, false},
		{"deleted twice, the second refused", []MetadataOp{made, asked(DeleteTopic, Done, 1, nil), asked(DeleteTopic, Missing, 2, nil)}, true},
		{"refused as missing, and it is there", []MetadataOp{made, asked(AddPartitions, Missing, 1, with("", 3))}, false},
		{"grown", []MetadataOp{made, asked(AddPartitions, Done, 1, with("", 3)), asked(DescribeTopic, Done, 2, with("a", 3))}, true},
		{"grown, and an older image", []MetadataOp{made, asked(AddPartitions, Done, 1, with("", 3)), asked(DescribeTopic, Done, 2, with("a", 1))}, false},
		{"grown to less", []MetadataOp{made, asked(AddPartitions, Done, 1, with("", 3)), asked(AddPartitions, Done, 2, with("", 2))}, false},
		{"refused to grow, and it has less", []MetadataOp{made, asked(AddPartitions, NoIncrease, 1, with("", 3))}, false},
		{"configured", []MetadataOp{made, asked(SetConfig, Done, 1, value("7")), asked(DescribeConfig, Done, 2, value("7"))}, true},
		{"configured, and the value before", []MetadataOp{
			made, asked(SetConfig, Done, 1, value("7")), asked(SetConfig, Done, 2, value("8")), asked(DescribeConfig, Done, 3, value("7")),
		}, false},
		{"configured at the same time", []MetadataOp{
			made, until(asked(SetConfig, Done, 1, value("7")), 3), until(asked(SetConfig, Done, 1, value("8")), 3), asked(DescribeConfig, Done, 4, value("7")),
		}, true},
		{"configured at the same time, and both seen in turn", []MetadataOp{
			made, until(asked(SetConfig, Done, 1, value("7")), 3), until(asked(SetConfig, Done, 1, value("8")), 3),
			asked(DescribeConfig, Done, 4, value("7")), asked(DescribeConfig, Done, 5, value("8")),
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found := Check(&History{Metadata: slices.Clone(tt.ops)})
			switch {
			case tt.good && len(found) > 0:
				t.Error(found)
			case !tt.good && (len(found) != 1 || found[0].Kind != NotLinearizable):
				t.Errorf("found %v, want that it is not linearizable", found)
			}
		})
	}
}

// TestMetadataByTopic: an operation on one topic explains nothing on another.
func TestMetadataByTopic(t *testing.T) {
	elsewhere := asked(CreateTopic, Done, 0, with("a", 1))
	elsewhere.Topic = "u"
	found := Check(&History{Metadata: []MetadataOp{elsewhere, asked(DescribeTopic, Done, 1, with("a", 1))}})
	if len(found) != 1 || found[0].Topic != "t" {
		t.Error(found)
	}
}
