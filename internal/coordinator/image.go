package coordinator

import "github.com/logbahn/logbahn/internal/cluster"

// OffsetsTopic is the topic whose partitions hold the groups.
const OffsetsTopic = "__consumer_offsets"

// ImagePartitions counts the partitions of OffsetsTopic in the image that image returns.
func ImagePartitions(image func() *cluster.Image) func() int32 {
	return func() int32 {
		t, _ := image().Topic(OffsetsTopic)
		return toTopic(t).Partitions
	}
}

// ImageTopics looks topics up in the image that image returns.
func ImageTopics(image func() *cluster.Image) Topics { return imageTopics(image) }

type imageTopics func() *cluster.Image

func (image imageTopics) Topic(name string) (Topic, bool) {
	t, ok := image().Topic(name)
	return toTopic(t), ok
}

func (image imageTopics) TopicByID(id [16]byte) (Topic, bool) {
	t, ok := image().TopicByID(id)
	return toTopic(t), ok
}

func toTopic(t *cluster.Topic) Topic {
	if t == nil {
		return Topic{}
	}
	return Topic{Name: t.Name, ID: t.ID, Partitions: int32(len(t.Partitions))}
}

// DeletedTopics is what ImageApplied wants to know of a delta.
func DeletedTopics(d cluster.Delta) []Topic {
	var list []Topic
	for _, t := range d.Deleted {
		list = append(list, toTopic(t))
	}
	return list
}
