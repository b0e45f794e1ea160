package config

import (
	"slices"
	"strings"
)

// Type is the type of a value, numbered as in DescribeConfigs.
type Type int8

// The types of values.
const (
	Unknown Type = iota
	Boolean
	String
	Int
	Short
	Long
	Double
	List
	ClassName
	Password
)

var typeNames = [...]string{"UNKNOWN", "BOOLEAN", "STRING", "INT", "SHORT", "LONG", "DOUBLE", "LIST", "CLASS", "PASSWORD"}

func (t Type) String() string { return typeNames[t] }

// Class is what Logbahn does with a key.
type Class int8

// The classes of keys.
const (
	Honoured Class = iota // what Kafka does
	Mapped                // something near it, which Doc says
	NoEffect              // accepted, and nothing comes of it
	Refused               // any value but the default is an error, for Def.Reason
)

var classNames = [...]string{"honoured", "mapped", "accepted without effect", "refused"}

func (c Class) String() string { return classNames[c] }

// Update says how a broker's key can be changed while the broker runs.
type Update int8

// The ways to change a key.
const (
	ReadOnly    Update = iota
	PerBroker          // of one broker
	ClusterWide        // of one broker, or of all at once
)

// Def describes a key.
type Def struct {
	Name string
	Type Type
	// Default is the value when nobody sets one, unless Unset: then there is none (null).
	Default string
	Unset   bool
	// Valid limits the values further than Type does.
	Valid *Rule
	// Dynamic is for keys of a broker. Every key of a topic can be changed.
	Dynamic Update
	// AtStart is for keys that Kafka changes while it runs and Logbahn takes when it starts: changes are refused.
	AtStart bool
	Class   Class
	// Reason is why a key is refused.
	Reason string
	// Hidden keys are described only where they are set.
	Hidden bool
	// Server is for keys of a topic: the broker's keys that count when the topic does not set its own, in this order.
	Server []Synonym
	Doc    string
}

// Synonym is another key for the same setting. Its value times Factor is the value of the setting; a negative value
// stays what it is.
type Synonym struct {
	Name   string
	Factor int64
}

// ReadOnly says whether the key cannot be changed while the broker runs.
func (d *Def) ReadOnly() bool { return d.Dynamic == ReadOnly || d.AtStart }

// Sensitive says whether the value must not be shown.
func (d *Def) Sensitive() bool { return d.Type == Password || d.Type == Unknown }

var (
	brokerKeys = index(serverKeys, logKeys, groupKeys, securityKeys, remoteKeys, ourBrokerKeys, dynamicOnlyKeys, retiredKeys)
	topicIndex = index(topicKeys, retiredTopicKeys)
)

func index(tables ...[]Def) map[string]*Def {
	byName := make(map[string]*Def)
	for _, table := range tables {
		for i := range table {
			byName[table[i].Name] = &table[i]
		}
	}
	return byName
}

// BrokerKey returns the description of a broker's key. The key of one listener, listener.name.<listener>.<key>, is
// described by the key, but for its class: nothing is honoured of one listener alone.
func BrokerKey(name string) (*Def, bool) {
	base, ofListener := listenerBase(name)
	if !ofListener {
		d, ok := brokerKeys[name]
		return d, ok
	}
	d, ok := brokerKeys[base]
	if ok && (d.Class == Honoured || d.Class == Mapped) {
		alone := *d
		alone.Class, alone.Doc = NoEffect, d.Doc+" Of one listener alone it has no effect."
		return &alone, true
	}
	return d, ok
}

// listenerBase returns the key behind the prefix of one listener. A SASL mechanism may stand before it.
func listenerBase(name string) (string, bool) {
	rest, ok := strings.CutPrefix(name, "listener.name.")
	if !ok {
		return "", false
	}
	_, base, ok := strings.Cut(rest, ".")
	if !ok {
		return "", false
	}
	if _, known := brokerKeys[base]; known {
		return base, true
	}
	_, behindMechanism, ok := strings.Cut(base, ".")
	if _, known := brokerKeys[behindMechanism]; ok && known {
		return behindMechanism, true
	}
	return base, true
}

// TopicKey returns the description of a topic's key.
func TopicKey(name string) (*Def, bool) {
	d, ok := topicIndex[name]
	return d, ok
}

// BrokerKeys returns all keys of a broker, sorted by name. They must not be changed.
func BrokerKeys() []*Def { return sorted(brokerKeys) }

// TopicKeys returns all keys of a topic, sorted by name. They must not be changed.
func TopicKeys() []*Def { return sorted(topicIndex) }

func sorted(byName map[string]*Def) []*Def {
	defs := make([]*Def, 0, len(byName))
	for _, d := range byName {
		defs = append(defs, d)
	}
	slices.SortFunc(defs, func(a, b *Def) int { return strings.Compare(a.Name, b.Name) })
	return defs
}

// sameSetting returns the broker's keys that set the same thing as name, the one that counts first in front.
func sameSetting(name string) []Synonym {
	for i := range topicKeys {
		server := topicKeys[i].Server
		if len(server) > 1 && slices.ContainsFunc(server, func(s Synonym) bool { return s.Name == name }) {
			return server
		}
	}
	return []Synonym{{Name: name, Factor: 1}}
}
