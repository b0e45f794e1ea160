package check

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// MetadataKind is what a client asks of the cluster about a topic.
type MetadataKind uint8

const (
	CreateTopic    MetadataKind = iota // with Partitions and Value; answered with ID
	DeleteTopic                        //
	AddPartitions                      // so that there are Partitions
	SetConfig                          // to Value
	ProbeTopic                         // whether it could be made
	DescribeTopic                      // answered with ID and Partitions
	DescribeConfig                     // answered with Value
)

var metadataKinds = [...]string{"create", "delete", "add partitions", "set config", "probe", "describe", "describe config"}

func (k MetadataKind) String() string { return metadataKinds[k] }

// MetadataAnswer is what the client was answered.
type MetadataAnswer uint8

const (
	Unknown    MetadataAnswer = iota // it may have happened, or happen yet
	Done                             // so it is
	Exists                           // there is such a topic
	Missing                          // there is none
	NoIncrease                       // it has as many partitions already
)

var metadataAnswers = [...]string{"?", "done", "exists", "missing", "no increase"}

func (a MetadataAnswer) String() string { return metadataAnswers[a] }

// MetadataOp is an operation on a topic. What was refused for reasons that say nothing of the topic is none.
type MetadataOp struct {
	Topic      string
	Client     int
	Kind       MetadataKind
	Partitions int32
	Value      string
	ID         string
	Answer     MetadataAnswer
	Begin, End time.Duration // End only when the answer is known
}

func (op *MetadataOp) String() string {
	return fmt.Sprintf("%v to %v, client %d: %v %s id %.8s partitions %d value %s: %v",
		op.Begin, op.End, op.Client, op.Kind, op.Topic, op.ID, op.Partitions, op.Value, op.Answer)
}

// topicState is what the cluster knows of a topic. An id is empty while nobody has been told which one a topic has.
type topicState struct {
	exists     bool
	id         string
	partitions int32
	value      string
}

// metadataModel is one topic that all operations happen to one after the other.
var metadataModel = porcupine.Model{
	Init: func() any { return topicState{} },
	Step: func(state, input, _ any) (bool, any) {
		s, op := state.(topicState), input.(*MetadataOp)
		if op.Answer == Unknown {
			return true, s.after(op)
		}
		ok, next := s.step(op)
		return ok, next
	},
}

// step tells whether the answer is right, and what the topic is then.
func (s topicState) step(op *MetadataOp) (bool, topicState) {
	switch {
	case op.Answer == Missing:
		return !s.exists && op.Kind != CreateTopic && op.Kind != ProbeTopic, s
	case op.Answer == Exists:
		return s.exists && (op.Kind == CreateTopic || op.Kind == ProbeTopic), s
	case op.Answer == NoIncrease:
		return s.exists && op.Kind == AddPartitions && op.Partitions <= s.partitions, s
	case op.Kind == ProbeTopic:
		return !s.exists, s
	case op.Kind == CreateTopic:
		return !s.exists, s.after(op)
	case !s.exists:
		return false, s
	case op.Kind == AddPartitions:
		return op.Partitions > s.partitions, s.after(op)
	case op.Kind == DescribeTopic:
		right := op.Partitions == s.partitions && (s.id == op.ID || s.id == "")
		s.id = op.ID
		return right, s
	case op.Kind == DescribeConfig:
		return op.Value == s.value, s
	}
	return true, s.after(op)
}

// after is what a topic is when an operation has happened to it that may not have been possible.
func (s topicState) after(op *MetadataOp) topicState {
	switch op.Kind {
	case CreateTopic:
		if !s.exists {
			return topicState{exists: true, id: op.ID, partitions: op.Partitions, value: op.Value}
		}
	case DeleteTopic:
		return topicState{}
	case AddPartitions:
		if s.exists {
			s.partitions = max(s.partitions, op.Partitions)
		}
	case SetConfig:
		if s.exists {
			s.value = op.Value
		}
	}
	return s
}

// checkMetadata looks, topic by topic, for an order of the operations that explains all answers and in which none stands before
// one that had ended when it began.
func checkMetadata(ops []MetadataOp) []Anomaly {
	topics := make(map[string][]porcupine.Operation)
	for i := range ops {
		op := &ops[i]
		end := int64(op.End)
		if op.Answer == Unknown {
			end = math.MaxInt64
		}
		topics[op.Topic] = append(topics[op.Topic], porcupine.Operation{ClientId: op.Client, Input: op, Call: int64(op.Begin), Return: end})
	}
	var found []Anomaly
	for name, history := range topics {
		if !porcupine.CheckOperations(metadataModel, history) {
			found = append(found, Anomaly{NotLinearizable, Partition{Topic: name}, describeOps(history)})
		}
	}
	slices.SortFunc(found, func(a, b Anomaly) int { return cmp.Compare(a.Topic, b.Topic) })
	return found
}

func describeOps(history []porcupine.Operation) string {
	slices.SortFunc(history, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var b strings.Builder
	b.WriteString("no order of these explains them:")
	for _, op := range history {
		b.WriteString("\n\t" + op.Input.(*MetadataOp).String())
	}
	return b.String()
}
