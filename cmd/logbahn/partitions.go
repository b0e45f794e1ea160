package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
)

// chosen is what --topic T or --topic T:0,2 has named: topics, and for each its partitions, none of them meaning all.
type chosen map[string][]int32

// parseChosen reads values of --topic.
func parseChosen(values []string) (chosen, error) {
	topics := chosen{}
	for _, v := range values {
		topic, list, found := strings.Cut(v, ":")
		if topic == "" {
			return nil, usageErrorf("--topic %q names no topic", v)
		}
		if !found {
			topics[topic] = nil
			continue
		}
		before, named := topics[topic]
		if named && before == nil {
			continue
		}
		for _, text := range strings.Split(list, ",") {
			p, err := strconv.ParseInt(text, 10, 32)
			if err != nil || p < 0 {
				return nil, usageErrorf("--topic %s: %q is no partition; it is of the form TOPIC or TOPIC:0,2", v, text)
			}
			topics[topic] = append(topics[topic], int32(p))
		}
	}
	return topics, nil
}

// missingPartition is a partition that its topic does not have.
type missingPartition struct {
	topic     string
	partition int32
}

func (e *missingPartition) Error() string {
	return fmt.Sprintf("topic %q has no partition %d", e.topic, e.partition)
}

func (e *missingPartition) Unwrap() error { return kerr.UnknownTopicOrPartition }
