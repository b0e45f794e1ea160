package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Setting is one static value and the place where it was written.
type Setting struct {
	Name, Value string
	Origin      string // a file, a variable of the environment, a flag
	Line        int    // in a file, from 1
}

// Where names the place.
func (s Setting) Where() string {
	if s.Line == 0 {
		return s.Origin
	}
	return fmt.Sprintf("%s:%d", s.Origin, s.Line)
}

// Settings are static values in the order in which they count: a later one replaces an earlier one of the same name.
// append(file, append(environment, flags...)...) gives flags the last word.
type Settings []Setting

// Map returns what counts.
func (s Settings) Map() map[string]string {
	values := make(map[string]string, len(s))
	for _, setting := range s {
		values[setting.Name] = setting.Value
	}
	return values
}

// Problem is what is wrong, or strange, about a setting.
type Problem struct {
	Where string
	Key   string
	Text  string
	Fatal bool // the broker must not start
}

func (p Problem) String() string { return fmt.Sprintf("%s: %s %s", p.Where, p.Key, p.Text) }

// suggestionsMax bounds for how many unknown keys another is looked for.
const suggestionsMax = 50

// Check returns what is wrong with the settings, one by one: values that are not allowed and keys that are refused
// (fatal), keys that nobody knows and keys that one file sets twice (not fatal, as in Kafka).
func (s Settings) Check() []Problem {
	var problems []Problem
	type place struct{ origin, name string }
	seen := make(map[place]Setting)
	unknown := 0
	for _, setting := range s {
		report := func(fatal bool, format string, args ...any) {
			problems = append(problems, Problem{setting.Where(), setting.Name, fmt.Sprintf(format, args...), fatal})
		}
		at := place{setting.Origin, setting.Name}
		if first, ok := seen[at]; ok {
			report(false, "is set in line %d already; this line counts", first.Line)
		}
		seen[at] = setting
		d, known := BrokerKey(setting.Name)
		if !known {
			if !ignored(setting.Name) {
				unknown++
				report(false, "is not a key that Kafka or Logbahn has; it is ignored%s", hint(setting.Name, unknown))
			}
			continue
		}
		v, err := d.parse(setting.Value)
		switch {
		case err != nil:
			report(true, "cannot be %q: allowed: %s", setting.Value, d.Allowed())
		case d.refuses(v):
			report(true, "is refused: %s", d.Reason)
		}
	}
	return problems
}

func hint(name string, unknown int) string {
	if unknown > suggestionsMax {
		return ""
	}
	if meant := Suggest(name); meant != "" {
		return "; did you mean " + meant + "?"
	}
	return ""
}

// ignored says whether a name belongs to a Java plug-in or to ZooKeeper, whose keys are many.
func ignored(name string) bool {
	for _, prefix := range []string{"zookeeper.", "rsm.config.", "rlmm.config.", "confluent.", "plugin."} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// notKeys are variables of the Apache image that set up its Java machine.
var notKeys = map[string]bool{
	"KAFKA_VERSION": true, "KAFKA_HEAP_OPTS": true, "KAFKA_LOG4J_OPTS": true, "KAFKA_OPTS": true, "KAFKA_JMX_OPTS": true,
	"KAFKA_JVM_PERFORMANCE_OPTS": true, "KAFKA_GC_LOG_OPTS": true, "KAFKA_LOG4J_ROOT_LOGLEVEL": true,
	"KAFKA_LOG4J_LOGGERS": true, "KAFKA_TOOLS_LOG4J_LOGLEVEL": true, "KAFKA_JMX_HOSTNAME": true,
}

// serviceLink matches what Kubernetes sets in every pod beside a service named kafka, as Docker's links once did. One of them
// looks like a key of old: KAFKA_PORT=tcp://10.0.0.1:9092.
var serviceLink = regexp.MustCompile(`^KAFKA_(SERVICE_HOST=|SERVICE_PORT(_[A-Z0-9_]+)?=|PORT_[0-9]+_(TCP|UDP|SCTP)(_[A-Z]+)?=|PORT=[a-z]+://)`)

// bitnamiPrefix is how the images of Bitnami began the name of a key.
const bitnamiPrefix = "KAFKA_CFG_"

// clusterIDVariable is what the Apache image formats a directory with.
const clusterIDVariable = "CLUSTER_ID"

// FromEnvironment returns the keys among variables of the form NAME=value, named as for the Apache image: KAFKA_ and the
// key in capitals, with _ for a dot, __ for an underscore and ___ for a dash. KAFKA_CFG_ in front means the same. What Kubernetes
// sets for a service named kafka is no key.
func FromEnvironment(environ []string) Settings {
	var settings Settings
	for _, variable := range environ {
		name, text, ok := strings.Cut(variable, "=")
		if ok && name == clusterIDVariable && text != "" {
			settings = append(settings, Setting{Name: "cluster.id", Value: text, Origin: name})
		}
		if !ok || !strings.HasPrefix(name, "KAFKA_") || notKeys[name] || serviceLink.MatchString(variable) {
			continue
		}
		key := strings.TrimPrefix(name, "KAFKA_")
		if strings.HasPrefix(name, bitnamiPrefix) {
			key = strings.TrimPrefix(name, bitnamiPrefix)
		}
		if key = keyOfVariable(key); key != "" {
			settings = append(settings, Setting{Name: key, Value: text, Origin: name})
		}
	}
	return settings.listenWhereAdvertised()
}

var advertisedHost = regexp.MustCompile(`://[^,]*:`)

// listenWhereAdvertised is the Apache image's rule: who advertises addresses and does not say where to listen listens on
// the same ports of every address.
func (s Settings) listenWhereAdvertised() Settings {
	values := s.Map()
	advertised := values["advertised.listeners"]
	if advertised == "" || values["listeners"] != "" || values["process.roles"] == "controller" {
		return s
	}
	at := slices.IndexFunc(s, func(one Setting) bool { return one.Name == "advertised.listeners" })
	return append(s, Setting{Name: "listeners", Value: advertisedHost.ReplaceAllString(advertised, "://0.0.0.0:"), Origin: s[at].Origin})
}

var variableLetters = strings.NewReplacer("___", "-", "__", "_", "_", ".")

func keyOfVariable(name string) string { return variableLetters.Replace(strings.ToLower(name)) }
