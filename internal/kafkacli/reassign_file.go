package kafkacli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// anyDir is, in a file of a reassignment, the word for whatever directory the broker chooses.
const anyDir = "any"

// versionOf refuses a file of another version than 1.
func versionOf(file map[string]json.RawMessage) error {
	var version int
	if raw, ok := file["version"]; ok && (json.Unmarshal(raw, &version) != nil || version != 1) {
		return failf("Not supported version field value %s", raw)
	}
	return nil
}

// parseReassignment reads a file of --reassignment-json-file.
func parseReassignment(data []byte) (targets []partitionTarget, dirs []directoryTarget, err error) {
	var file map[string]json.RawMessage
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, nil, failf("%v", err)
	}
	if err := versionOf(file); err != nil {
		return nil, nil, err
	}
	var partitions []struct {
		Topic     *string
		Partition *int32
		Replicas  *[]int32
		LogDirs   []string `json:"log_dirs"`
	}
	if raw, ok := file["partitions"]; ok {
		if err := json.Unmarshal(raw, &partitions); err != nil {
			return nil, nil, failf("The field partitions is not a list of topic, partition and replicas: %v", err)
		}
	}
	for _, p := range partitions {
		switch {
		case p.Topic == nil:
			return nil, nil, failf("No such field exists: `topic`")
		case p.Partition == nil:
			return nil, nil, failf("No such field exists: `partition`")
		case p.Replicas == nil:
			return nil, nil, failf("No such field exists: `replicas`")
		}
		t := partitionTarget{topicPartition{*p.Topic, *p.Partition}, *p.Replicas}
		if p.LogDirs != nil && len(p.LogDirs) != len(t.replicas) {
			return nil, nil, failf("Size of replicas list %s is different from size of log dirs list %s for partition %s", javaList(t.replicas), javaList(p.LogDirs), t)
		}
		targets = append(targets, t)
		for i, dir := range p.LogDirs {
			if dir != anyDir {
				dirs = append(dirs, directoryTarget{t.topicPartition, t.replicas[i], dir})
			}
		}
	}
	return targets, dirs, nil
}

// javaList is a list as Java prints it.
func javaList[T any](list []T) string {
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = fmt.Sprint(v)
	}
	return "[" + strings.Join(texts, ", ") + "]"
}

// checkTarget refuses targets that no cluster can have.
func (r *reassignment) checkTarget() error {
	if len(r.target) == 0 {
		return failf("Partition reassignment list cannot be empty")
	}
	if slices.ContainsFunc(r.target, func(t partitionTarget) bool { return len(t.replicas) == 0 }) {
		return failf("Partition replica list cannot be empty")
	}
	if twice := duplicates(r.partitions()); len(twice) > 0 {
		return failf("Partition reassignment contains duplicate topic partitions: %s", partitionList(twice))
	}
	var wrong []string
	for _, t := range r.target {
		if twice := duplicates(t.replicas); len(twice) > 0 {
			wrong = append(wrong, fmt.Sprintf("%s contains multiple entries for %s", t, joined(twice)))
		}
	}
	if len(wrong) > 0 {
		return failf("Partition replica lists may not contain duplicate entries: %s", strings.Join(wrong, ". "))
	}
	return nil
}

// duplicates returns what a list has more than once.
func duplicates[T comparable](list []T) []T {
	seen := map[T]int{}
	var twice []T
	for _, v := range list {
		if seen[v]++; seen[v] == 2 {
			twice = append(twice, v)
		}
	}
	return twice
}

// parseTopicsToMove reads a file of --topics-to-move-json-file.
func parseTopicsToMove(data []byte) ([]string, error) {
	var file map[string]json.RawMessage
	if json.Unmarshal(data, &file) != nil {
		return nil, failf("The input string is not a valid JSON")
	}
	if err := versionOf(file); err != nil {
		return nil, err
	}
	var topics []struct{ Topic *string }
	if raw, ok := file["topics"]; ok {
		if err := json.Unmarshal(raw, &topics); err != nil {
			return nil, failf("The field topics is not a list of topics: %v", err)
		}
	}
	var names []string
	for _, t := range topics {
		if t.Topic == nil {
			return nil, failf("No such field exists: `topic`")
		}
		names = append(names, *t.Topic)
	}
	if twice := duplicates(names); len(twice) > 0 {
		return nil, failf("List of topics to reassign contains duplicate entries: %s", javaList(twice))
	}
	return names, nil
}

// reassignmentJSON is an assignment as a file of --reassignment-json-file, with the directories of replicas that are known.
func reassignmentJSON(assigned map[topicPartition][]int32, dirs map[replicaOf]string) string {
	type row struct {
		Topic     string   `json:"topic"`
		Partition int32    `json:"partition"`
		Replicas  []int32  `json:"replicas"`
		LogDirs   []string `json:"log_dirs"`
	}
	file := struct {
		Version    int   `json:"version"`
		Partitions []row `json:"partitions"`
	}{1, []row{}}
	for _, tp := range sortedPartitions(assigned) {
		r := row{tp.topic, tp.partition, assigned[tp], []string{}}
		for _, id := range r.Replicas {
			r.LogDirs = append(r.LogDirs, cmp.Or(dirs[replicaOf{tp, id}], anyDir))
		}
		file.Partitions = append(file.Partitions, r)
	}
	text, err := json.Marshal(file)
	if err != nil {
		panic(err) // strings and numbers always can be
	}
	return string(text)
}
