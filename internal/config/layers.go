package config

import (
	"maps"
	"slices"
)

// Source says where a value comes from, numbered as in DescribeConfigs.
type Source int8

// The sources of values.
const (
	DynamicTopic         Source = 1 // DYNAMIC_TOPIC_CONFIG
	DynamicBroker        Source = 2 // DYNAMIC_BROKER_CONFIG: of this broker
	DynamicDefaultBroker Source = 3 // DYNAMIC_DEFAULT_BROKER_CONFIG: of all brokers
	StaticBroker         Source = 4 // STATIC_BROKER_CONFIG: server.properties, environment, flags
	Default              Source = 5 // DEFAULT_CONFIG
)

// Layers is what has been set for a broker, raw. Nothing in it is changed here; nil maps are empty.
type Layers struct {
	Dynamic        map[string]string // of this broker
	DynamicDefault map[string]string // of all brokers
	Static         map[string]string
}

// parsed returns what counts for a broker's key, defaults aside. What does not parse, as after a step back to an older
// version, counts as not set.
func (l Layers) parsed(d *Def) (value, bool) {
	for _, layer := range []map[string]string{l.Dynamic, l.DynamicDefault, l.Static} {
		raw, ok := layer[d.Name]
		if !ok {
			continue
		}
		if v, err := d.parse(raw); err == nil {
			return v, true
		}
	}
	return value{}, false
}

// Entry is one line of DescribeConfigs.
type Entry struct {
	Name      string
	Value     *string // nil: none, or not to be shown
	Source    Source
	ReadOnly  bool
	Sensitive bool
	Type      Type
	Doc       string
	Synonyms  []EntrySynonym // in the order in which they count; the first is where Value comes from
}

// EntrySynonym is one of the values behind an Entry.
type EntrySynonym struct {
	Name   string
	Value  *string
	Source Source
}

// DescribeTopic returns the keys of a topic with what counts for it on this broker, sorted by name.
func (l Layers) DescribeTopic(overrides map[string]string) []Entry {
	var entries []Entry
	for _, d := range TopicKeys() {
		raw, set := overrides[d.Name]
		if d.Hidden && !set {
			continue
		}
		e := Entry{Name: d.Name, Sensitive: d.Sensitive(), Type: d.Type, Doc: d.Doc}
		e.Value = d.shown(l.topicValue(d, overrides).text)
		if set {
			e.Synonyms = append(e.Synonyms, EntrySynonym{d.Name, d.shown(raw), DynamicTopic})
		}
		if len(d.Server) > 0 {
			e.Synonyms = append(e.Synonyms, beginWith(d.Server[0].Name, l.synonyms(d, d.Server))...)
		}
		e.Source = firstSource(e.Synonyms)
		entries = append(entries, e)
	}
	return entries
}

// DescribeBroker returns the keys of this broker, sorted by name: those that are not hidden, and all that are set.
func (l Layers) DescribeBroker() []Entry {
	var entries []Entry
	for _, name := range l.brokerNames() {
		entries = append(entries, l.describeBrokerKey(name))
	}
	return entries
}

// DescribeBrokerDefaults returns what is set for all brokers at run time, sorted by name.
func (l Layers) DescribeBrokerDefaults() []Entry {
	var entries []Entry
	for _, name := range slices.Sorted(maps.Keys(l.DynamicDefault)) {
		e := l.describeBrokerKey(name)
		e.Value = nil
		e.Synonyms = slices.DeleteFunc(e.Synonyms, func(s EntrySynonym) bool { return s.Source != DynamicDefaultBroker })
		if len(e.Synonyms) > 0 {
			e.Value = e.Synonyms[0].Value
		}
		e.Source = firstSource(e.Synonyms)
		entries = append(entries, e)
	}
	return entries
}

func (l Layers) brokerNames() []string {
	names := make(map[string]bool)
	for name, d := range brokerKeys {
		if !d.Hidden {
			names[name] = true
		}
	}
	for _, layer := range []map[string]string{l.Dynamic, l.DynamicDefault, l.Static} {
		for name := range layer {
			names[name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func (l Layers) describeBrokerKey(name string) Entry {
	d := &Def{Name: name, Unset: true} // a key that nobody knows is not shown
	if known, ok := BrokerKey(name); ok {
		named := *known
		named.Name = name
		if name != known.Name { // of one listener: what holds for all is its synonym, not its default
			named.Unset, named.Default = true, ""
		}
		d = &named
	}
	e := Entry{Name: name, Sensitive: d.Sensitive(), Type: d.Type, Doc: d.Doc, ReadOnly: d.ReadOnly()}
	v, set := l.parsed(d)
	if !set {
		v.text = d.Default
	}
	if set || !d.Unset {
		e.Value = d.shown(v.text)
	}
	e.Synonyms = beginWith(name, l.synonyms(d, d.brokerSynonyms()))
	e.Source = firstSource(e.Synonyms)
	return e
}

// beginWith cuts a list down to the form of Kafka's, which begins with the key asked for, or the first of the broker's
// keys that set a topic's: another one that comes first in rank says nothing about it.
func beginWith(name string, list []EntrySynonym) []EntrySynonym {
	for len(list) > 0 && list[0].Name != name {
		list = list[1:]
	}
	return list
}

func (d *Def) brokerSynonyms() []Synonym {
	if base, ok := listenerBase(d.Name); ok {
		return []Synonym{{d.Name, 1}, {base, 1}}
	}
	return sameSetting(d.Name)
}

// synonyms lists the values of some broker's keys, which all set d: the nearest source first.
func (l Layers) synonyms(d *Def, keys []Synonym) []EntrySynonym {
	var list []EntrySynonym
	for _, layer := range []struct {
		values map[string]string
		source Source
	}{{l.Dynamic, DynamicBroker}, {l.DynamicDefault, DynamicDefaultBroker}, {l.Static, StaticBroker}} {
		for _, key := range keys {
			if raw, ok := layer.values[key.Name]; ok {
				list = append(list, EntrySynonym{key.Name, d.shown(raw), layer.source})
			}
		}
	}
	for _, key := range keys {
		if k, ok := brokerKeys[key.Name]; ok && !k.Unset {
			list = append(list, EntrySynonym{key.Name, d.shown(k.Default), Default})
		}
	}
	return list
}

func (d *Def) shown(text string) *string {
	if d.Sensitive() {
		return nil
	}
	return &text
}

func firstSource(list []EntrySynonym) Source {
	if len(list) == 0 {
		return Default
	}
	return list[0].Source
}

// topicValue is what counts for a topic's key.
func (l Layers) topicValue(d *Def, overrides map[string]string) value {
	if raw, ok := overrides[d.Name]; ok {
		if v, err := d.parse(raw); err == nil {
			return v
		}
	}
	for _, key := range d.Server {
		if v, ok := l.parsed(brokerKeys[key.Name]); ok {
			return v.times(key.Factor, d)
		}
	}
	v, _ := d.parse(d.Default)
	return v
}

// times changes the unit of a value. A negative one means the same in every unit; one beyond the range is the largest.
func (v value) times(factor int64, d *Def) value {
	if factor == 1 {
		return v
	}
	const most = 1<<63 - 1
	switch {
	case v.number < 0:
		v.number = -1
	case v.number > most/factor:
		v.number = most
	default:
		v.number *= factor
	}
	v.format(d.Type)
	return v
}
