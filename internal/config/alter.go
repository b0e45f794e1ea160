package config

import (
	"maps"
	"math"
	"slices"
	"strings"
)

// Op is what IncrementalAlterConfigs does to a key, numbered as there.
type Op int8

// The operations.
const (
	Set Op = iota
	Delete
	Append
	Subtract
)

var opNames = [...]string{"SET", "DELETE", "APPEND", "SUBTRACT"}

// Change is one operation on one key. Only Delete goes without a Value.
type Change struct {
	Name  string
	Op    Op
	Value *string
}

// AlterTopic returns what is set for a topic after some changes, which go through together or not at all. The error is
// an *Error; current stays as it is.
func AlterTopic(current map[string]string, changes []Change) (map[string]string, error) {
	next, err := alter(TopicKey, current, changes)
	if err != nil {
		return nil, err
	}
	return next, ValidateTopic(next)
}

// AlterBroker does the same for what is set at run time for one broker, or for all brokers.
func AlterBroker(current map[string]string, changes []Change, oneBroker bool) (map[string]string, error) {
	next, err := alter(BrokerKey, current, changes)
	if err != nil {
		return nil, err
	}
	return next, ValidateBroker(next, oneBroker)
}

// valueBytesMax is the longest string of Kafka's protocol: a client cannot read a longer value.
const valueBytesMax = math.MaxInt16

func alter(find func(string) (*Def, bool), current map[string]string, changes []Change) (map[string]string, error) {
	if err := checkChanges(changes); err != nil {
		return nil, err
	}
	next := maps.Clone(current)
	if next == nil {
		next = make(map[string]string)
	}
	for _, c := range changes {
		switch c.Op {
		case Set:
			next[c.Name] = *c.Value
		case Delete:
			delete(next, c.Name)
		default:
			d, ok := find(c.Name)
			if !ok || d.Type != List {
				return nil, refuse("Can't %s to key %s because its type is not LIST.", opNames[c.Op], c.Name)
			}
			next[c.Name] = d.alterList(next, c)
		}
		if n := len(next[c.Name]); n > valueBytesMax {
			return nil, refuse("The value of %s would be %d bytes long, where Kafka's protocol has %d at most.", c.Name, n, valueBytesMax)
		}
	}
	return next, nil
}

func checkChanges(changes []Change) error {
	seen := make(map[string]bool, len(changes))
	var null []string
	for _, c := range changes {
		if seen[c.Name] {
			return badRequest("Error due to duplicate config keys")
		}
		seen[c.Name] = true
		if c.Value == nil && c.Op != Delete {
			null = append(null, c.Name)
		}
	}
	if len(null) > 0 {
		return badRequest("Null value not supported for : %s", strings.Join(null, ","))
	}
	for _, c := range changes {
		if c.Op < Set || c.Op > Subtract {
			return badRequest("Unknown operations type %d", c.Op)
		}
	}
	return nil
}

// alterList adds to or takes from a list. One that is not set starts as the default.
func (d *Def) alterList(configs map[string]string, c Change) string {
	text, ok := configs[c.Name]
	if !ok {
		text = d.Default
	}
	list := slices.DeleteFunc(strings.Split(text, ","), func(s string) bool { return s == "" })
	count := make(map[string]int, len(list)) // lists are long where they name replicas
	for _, s := range list {
		count[s]++
	}
	gone := make(map[string]int)
	for part := range strings.SplitSeq(*c.Value, ",") {
		switch {
		case c.Op == Append && count[part] == 0:
			list = append(list, part)
			count[part]++
		case c.Op == Subtract && count[part] > 0:
			count[part]--
			gone[part]++
		}
	}
	list = slices.DeleteFunc(list, func(s string) bool {
		if gone[s] == 0 {
			return false
		}
		gone[s]--
		return true
	})
	return strings.Join(list, ",")
}
