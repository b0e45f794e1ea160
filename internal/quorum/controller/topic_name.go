package controller

import (
	"fmt"
	"strings"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// topicNameMax leaves room for the partition's number in the name of a folder.
const topicNameMax = 249

// internalTopics are those that only the system itself writes to.
var internalTopics = map[string]bool{"__consumer_offsets": true, "__transaction_state": true, "__share_group_state": true}

// metadataTopic is the name of the metadata log, which is no topic.
const metadataTopic = "__cluster_metadata"

// checkTopicName is Kafka's Topic.validate.
func checkTopicName(name string) *refusal {
	var why string
	switch {
	case name == "":
		why = "the empty string is not allowed"
	case name == ".":
		why = "'.' is not allowed"
	case name == "..":
		why = "'..' is not allowed"
	case len(name) > topicNameMax:
		why = fmt.Sprintf("the length of '%s' is longer than the max allowed length %d", name, topicNameMax)
	case strings.ContainsFunc(name, forbiddenInName):
		why = fmt.Sprintf("'%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name)
	default:
		return nil
	}
	return &refusal{wire.InvalidTopicException, "Topic name is invalid: " + why}
}

func forbiddenInName(r rune) bool {
	switch {
	case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', r == '.', r == '_', r == '-':
		return false
	}
	return true
}

// collisions finds topics that differ in '.' and '_' only: the names of metrics made from them would be one.
type collisions struct {
	img   *cluster.Image
	names map[string]string // a name with '_' for '.' -> the topic; nil until it is needed
}

func (c *collisions) check(name string) *refusal {
	if !strings.ContainsAny(name, "._") {
		return nil
	}
	if c.names == nil {
		c.names = make(map[string]string)
		for t := range c.img.Topics() {
			c.add(t.Name)
		}
	}
	if other, ok := c.names[strings.ReplaceAll(name, ".", "_")]; ok {
		return &refusal{
			wire.InvalidTopicException, fmt.Sprintf("Topic '%s' collides with existing topic: %s", name, other),
		}
	}
	return nil
}

func (c *collisions) add(name string) {
	if c.names != nil && strings.ContainsAny(name, "._") {
		c.names[strings.ReplaceAll(name, ".", "_")] = name
	}
}
