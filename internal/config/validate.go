package config

import (
	"errors"
	"maps"
	"slices"
	"strings"
)

// ValidateTopic checks all that is set for a topic together, as CreateTopics and the alterations of topics demand.
// The first error, by name, is an *Error.
func ValidateTopic(configs map[string]string) error {
	names := slices.Sorted(maps.Keys(configs))
	for _, name := range names {
		if _, ok := topicIndex[name]; !ok {
			return refuse("Unknown topic config name: %s", name)
		}
	}
	for _, name := range names {
		d := topicIndex[name]
		v, err := d.parse(configs[name])
		if err != nil {
			return err
		}
		if d.refuses(v) {
			return refuse("%s", d.Reason)
		}
	}
	return checkCompactionLags(configs)
}

func checkCompactionLags(configs map[string]string) error {
	least := Layers{}.topicValue(topicIndex["min.compaction.lag.ms"], configs)
	most := Layers{}.topicValue(topicIndex["max.compaction.lag.ms"], configs)
	if least.number > most.number {
		return refuse("conflict topic config setting min.compaction.lag.ms (%d) > max.compaction.lag.ms (%d)",
			least.number, most.number)
	}
	return nil
}

// refuses says whether a value is one that Logbahn does not take.
func (d *Def) refuses(v value) bool {
	return d.Class == Refused && v.text != "" && v.text != d.Default
}

// perListenerOnly are keys that can be changed at run time for one listener only.
var perListenerOnly = []string{
	"ssl.key.password", "ssl.keystore.certificate.chain", "ssl.keystore.key", "ssl.keystore.location",
	"ssl.keystore.password", "ssl.keystore.type", "ssl.truststore.certificates", "ssl.truststore.location",
	"ssl.truststore.password", "ssl.truststore.type",
}

// ValidateBroker checks all that is set at run time for one broker, or for all brokers. Names that nobody knows are
// let through, as in Kafka. The error is an *Error, of a request that is invalid where it would be a configuration of a topic:
// Kafka has left it so (KAFKA-13609).
func ValidateBroker(configs map[string]string, oneBroker bool) error {
	err := validateBroker(configs, oneBroker)
	var wrong *Error
	if errors.As(err, &wrong) {
		return badRequest("%s", wrong.Message)
	}
	return err
}

func validateBroker(configs map[string]string, oneBroker bool) error {
	names := slices.Sorted(maps.Keys(configs))
	is := func(u Update) func(string) bool {
		return func(name string) bool {
			d, ok := BrokerKey(name)
			if ok && d.AtStart {
				return u == ReadOnly
			}
			return ok && d.Dynamic == u
		}
	}
	if wrong := filter(names, is(ReadOnly)); len(wrong) > 0 {
		return refuse("Cannot update these configs dynamically: [%s]", strings.Join(wrong, ", "))
	}
	inList := func(name string) bool { return slices.Contains(perListenerOnly, name) }
	if wrong := filter(names, inList); len(wrong) > 0 {
		return refuse("These security configs can be dynamically updated only per-listener using the listener prefix: [%s]",
			strings.Join(wrong, ", "))
	}
	for _, name := range names {
		if err := validateBrokerKey(name, configs[name]); err != nil {
			return err
		}
	}
	if wrong := filter(names, is(PerBroker)); len(wrong) > 0 && !oneBroker {
		return refuse("Cannot update these configs at default cluster level, broker id must be specified: [%s]",
			strings.Join(wrong, ", "))
	}
	return nil
}

func validateBrokerKey(name, raw string) error {
	d, ok := BrokerKey(name)
	if !ok {
		return nil
	}
	v, err := d.parse(raw)
	if err != nil {
		return err
	}
	if d.refuses(v) {
		return refuse("%s is refused: %s", name, d.Reason)
	}
	return nil
}

func filter(names []string, keep func(string) bool) []string {
	var kept []string
	for _, name := range names {
		if keep(name) {
			kept = append(kept, name)
		}
	}
	return kept
}
