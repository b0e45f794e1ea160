package broker

import (
	"errors"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/partition"
)

// checkThreads says why a change of settings is refused here and not by the controller: how far a number of threads may be
// changed at run time depends on what it is on the broker that is asked, as in Kafka.
func (b *Broker) checkThreads(kind kmsg.ConfigResourceType, name string, changes []config.Change) *config.Error {
	if kind != kmsg.ConfigResourceTypeBroker || name != "" && name != strconv.Itoa(int(b.cfg.NodeID)) {
		return nil
	}
	var refused *config.Error
	err := partition.Layers(b.cfg.Metadata.Image(), b.cfg.NodeID, b.cfg.Static).CheckThreads(changes)
	_ = errors.As(err, &refused) // nil for nil
	return refused
}

// resourceName is whose settings are to be changed.
type resourceName struct {
	kind kmsg.ConfigResourceType
	name string
}

// takeOut returns the resources without those that refuse gives an answer for, and these answers by their index. One that is
// named more than once stays: the controller refuses it each time.
func takeOut[Asked, Answer any](resources []Asked, name func(*Asked) resourceName, refuse func(*Asked) (Answer, bool)) (kept []Asked, refused map[int]Answer) {
	named := map[resourceName]int{}
	for i := range resources {
		named[name(&resources[i])]++
	}
	refused = map[int]Answer{}
	for i := range resources {
		if answer, no := refuse(&resources[i]); no && named[name(&resources[i])] == 1 {
			refused[i] = answer
		} else {
			kept = append(kept, resources[i])
		}
	}
	return kept, refused
}

// putBack puts the answers where takeOut had the questions.
func putBack[Answer any](answers []Answer, refused map[int]Answer) []Answer {
	for i := range len(answers) + len(refused) {
		if answer, ok := refused[i]; ok {
			answers = slices.Insert(answers, i, answer)
		}
	}
	return answers
}
