package kafkacli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

func configsTool() *tool {
	return &tool{
		name:   "kafka-configs",
		does:   "This tool helps to manipulate and describe entity config for a topic, client, user, broker, ip, client-metrics or group",
		run:    runConfigs,
		failed: func(c *call, err error) { fmt.Fprintln(c.Stderr, err) },
		options: []option{
			{name: "bootstrap-server", kind: text, value: "server to connect to", help: "Where the cluster answers, host:port,..."},
			{name: "bootstrap-controller", kind: text, value: "controller to connect to", help: "Where a controller answers, host:port,..."},
			{name: "command-config", kind: text, value: "command config property file", help: "A file with properties for the connection."},
			{name: "alter", help: "Change settings."},
			{name: "describe", help: "Show settings."},
			{name: "all", help: "With --describe: those that are not dynamic as well."},
			{name: "entity-type", kind: text, help: "topics, clients, users, brokers, broker-loggers, ips, client-metrics or groups."},
			{name: "entity-name", kind: text, help: "The name of the topic, the id of the broker, and so on."},
			{name: "entity-default", help: "The default of all clients, users, brokers or ips."},
			{name: "add-config", kind: text, help: "k1=v1,k2=[v1,v2],k3=v3: settings to set; brackets hold commas together."},
			{name: "add-config-file", kind: text, help: "A file with settings to set."},
			{name: "delete-config", kind: text, list: true, help: "k1,k2: settings to remove."},
			{name: "force", help: "Without effect."},
			{name: "topic", kind: text, help: "A topic."},
			{name: "client", kind: text, help: "A client's id."},
			{name: "client-defaults", help: "All clients."},
			{name: "user", kind: text, help: "A user's name."},
			{name: "user-defaults", help: "All users."},
			{name: "broker", kind: text, help: "A broker's id."},
			{name: "broker-defaults", help: "All brokers."},
			{name: "broker-logger", kind: text, help: "The id of a broker whose loggers are meant."},
			{name: "ip", kind: text, help: "An IP address."},
			{name: "ip-defaults", help: "All IP addresses."},
			{name: "group", kind: text, help: "A group's id."},
			{name: "client-metrics", kind: text, help: "A subscription to client metrics."},
		},
	}
}

// The kinds of entities.
const (
	topicEntity         = "topics"
	clientEntity        = "clients"
	userEntity          = "users"
	brokerEntity        = "brokers"
	ipEntity            = "ips"
	clientMetricsEntity = "client-metrics"
	groupEntity         = "groups"
	brokerLoggerEntity  = "broker-loggers"
)

var entityKinds = []string{topicEntity, clientEntity, userEntity, brokerEntity, ipEntity, clientMetricsEntity, groupEntity, brokerLoggerEntity}

// entityOptions are the options that name an entity of one kind, and those that name the default of all.
var entityOptions = []struct {
	option, kind string
	isDefault    bool
}{
	{"topic", topicEntity, false}, {"client", clientEntity, false}, {"user", userEntity, false}, {"broker", brokerEntity, false},
	{"broker-logger", brokerLoggerEntity, false}, {"ip", ipEntity, false}, {"client-metrics", clientMetricsEntity, false}, {"group", groupEntity, false},
	{"client-defaults", clientEntity, true}, {"user-defaults", userEntity, true}, {"broker-defaults", brokerEntity, true}, {"ip-defaults", ipEntity, true},
}

// entities are whose settings a command line means. A name of "" is the default of all.
type entities struct {
	kinds, names []string
}

func (c *call) entities() entities {
	o := c.opts
	e := entities{kinds: slices.Clone(o.all("entity-type")), names: slices.Clone(o.all("entity-name"))}
	if o.has("entity-default") {
		e.names = append(e.names, "")
	}
	for _, named := range entityOptions {
		if !o.has(named.option) {
			continue
		}
		e.kinds = append(e.kinds, named.kind)
		if named.isDefault {
			e.names = append(e.names, "")
		} else {
			e.names = append(e.names, o.text(named.option))
		}
	}
	return e
}

// plainError is an error that kafka-configs prints without the command line in front.
type plainError struct{ error }

func plainf(format string, args ...any) error { return plainError{failf(format, args...)} }

func runConfigs(ctx context.Context, c *call) error {
	o := c.opts
	if o.count("alter", "describe") != 1 {
		return usage("Command must include exactly one action: --describe, --alter")
	}
	if err := o.exclude("describe", "add-config", "delete-config"); err != nil {
		return err
	}
	e := c.entities()
	if err := c.checkEntities(e); err != nil {
		return err
	}
	if err := c.checkChange(e); err != nil {
		return err
	}
	if o.has("bootstrap-server") && o.has("bootstrap-controller") {
		return usage("You cannot specify both --bootstrap-controller and --bootstrap-server.")
	}
	if o.has("bootstrap-controller") {
		o.given["bootstrap-server"] = o.given["bootstrap-controller"]
	}
	if o.has("alter") && len(e.kinds) != len(e.names) {
		return plainf("An entity name must be specified for every entity type")
	}
	err := c.admin(ctx, func(ctx context.Context, client *kgo.Client) error {
		k := &configsCommand{call: c, client: client, entities: e}
		if o.has("describe") {
			return k.describe(ctx)
		}
		return k.alter(ctx)
	})
	var plain plainError
	var option *optionError
	var exit exitError
	if err == nil || errors.As(err, &plain) || errors.As(err, &option) || errors.As(err, &exit) {
		return err
	}
	fmt.Fprintf(c.Stderr, "Error while executing config command with args '%s'\n%v\n", strings.Join(c.words, " "), err)
	return exitError(1)
}

// checkEntities refuses entities that cannot be meant, in the order in which Kafka does.
func (c *call) checkEntities(e entities) error {
	o := c.opts
	var twice []string
	for i, kind := range e.kinds {
		if slices.Contains(e.kinds[:i], kind) {
			twice = append(twice, kind)
		}
	}
	if len(twice) > 0 {
		return plainf("Duplicate entity type(s) specified: %s", strings.Join(twice, ","))
	}
	if o.count("bootstrap-server", "bootstrap-controller") == 0 {
		return plainf("Either --bootstrap-server or --bootstrap-controller must be specified.")
	}
	for _, kind := range e.kinds {
		if !slices.Contains(entityKinds, kind) {
			return plainf("Invalid entity type %s, the entity type must be one of %s with a --bootstrap-server or --bootstrap-controller argument", kind, strings.Join(entityKinds, ", "))
		}
	}
	switch {
	case len(e.kinds) == 0:
		return plainf("At least one entity type must be specified")
	case len(e.kinds) > 1 && (len(e.kinds) != 2 || !slices.Contains(e.kinds, userEntity) || !slices.Contains(e.kinds, clientEntity)):
		return plainf("Only 'users' and 'clients' entity types may be specified together")
	case o.count("entity-name", "entity-type", "entity-default") > 0 && slices.ContainsFunc(entityOptions, func(n struct {
		option, kind string
		isDefault    bool
	}) bool {
		return o.has(n.option)
	}):
		return plainf("--entity-{type,name,default} should not be used in conjunction with specific entity flags")
	}
	for _, name := range e.names {
		if name == "" {
			continue
		}
		if _, err := strconv.ParseInt(name, 10, 32); err != nil && (e.kinds[0] == brokerEntity || e.kinds[0] == brokerLoggerEntity) {
			return plainf("The entity name for %s must be a valid integer broker id, but it is: %s", e.kinds[0], name)
		}
		if e.kinds[0] == ipEntity && net.ParseIP(name) == nil {
			if _, err := net.LookupHost(name); err != nil {
				return plainf("The entity name for %s must be a valid IP or resolvable host, but it is: %s", e.kinds[0], name)
			}
		}
	}
	return nil
}

// checkChange refuses what cannot be done with the entities.
func (c *call) checkChange(e entities) error {
	o, kind := c.opts, e.kinds[0]
	hasDefault := slices.Contains(e.names, "")
	hasName := slices.ContainsFunc(e.names, func(n string) bool { return n != "" })
	withDefaults := slices.Contains([]string{userEntity, clientEntity, brokerEntity, ipEntity}, kind)
	if o.has("describe") {
		switch {
		case !withDefaults && o.has("entity-default"):
			return plainf("--entity-default must not be specified with --describe of %s", strings.Join(e.kinds, ","))
		case kind == brokerLoggerEntity && !hasName:
			return plainf("An entity name must be specified with --describe of %s", strings.Join(e.kinds, ","))
		}
		return nil
	}
	switch {
	case withDefaults && !hasName && !hasDefault:
		return plainf("An entity-name or default entity must be specified with --alter of users, clients, brokers or ips")
	case !withDefaults && !hasName:
		return plainf("An entity name must be specified with --alter of %s", strings.Join(e.kinds, ","))
	case o.count("add-config", "add-config-file") == 2:
		return plainf("Only one of --add-config or --add-config-file must be specified")
	case o.count("add-config", "add-config-file", "delete-config") == 0:
		return plainf("At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter")
	}
	return nil
}

var configKey = regexp.MustCompile(`^[a-zA-Z0-9._-]*$`)

// configPair is a setting that is to be set.
type configPair struct{ key, value string }

// additions reads --add-config or --add-config-file.
func (c *call) additions() ([]configPair, error) {
	var pairs []configPair
	if c.opts.has("add-config-file") {
		p, err := loadProperties(c.opts.text("add-config-file"))
		if err != nil {
			return nil, err
		}
		for key, value := range p {
			pairs = append(pairs, configPair{key, value})
		}
	}
	if c.opts.has("add-config") {
		for _, word := range splitOutsideBrackets(c.opts.text("add-config")) {
			key, value, ok := strings.Cut(word, "=")
			if !ok || strings.Contains(strings.ReplaceAll(value, "[", "]"), "=") && !strings.HasPrefix(strings.TrimSpace(value), "[") {
				return nil, plainf(`requirement failed: Invalid entity config: all configs to be added must be in the format "key=val" or  "key=[val1,val2]" to group values which contain commas.`)
			}
			value = strings.NewReplacer("[", "", "]", "").Replace(value)
			pairs = append(pairs, configPair{strings.TrimSpace(key), strings.TrimSpace(value)})
		}
	}
	slices.SortFunc(pairs, func(a, b configPair) int { return strings.Compare(a.key, b.key) })
	for _, p := range pairs {
		if !configKey.MatchString(p.key) {
			return nil, plainf("Invalid character found for config key: %s", p.key)
		}
	}
	return pairs, c.opts.err
}

// splitOutsideBrackets splits at commas that are not between [ and ].
func splitOutsideBrackets(s string) []string {
	var words []string
	depth, from := 0, 0
	for i, r := range s {
		switch {
		case r == '[':
			depth++
		case r == ']' && depth > 0:
			depth--
		case r == ',' && depth == 0:
			words = append(words, s[from:i])
			from = i + 1
		}
	}
	return append(words, s[from:])
}

// removals reads --delete-config.
func (c *call) removals() []string {
	var keys []string
	for _, key := range c.opts.all("delete-config") {
		keys = append(keys, strings.TrimSpace(key))
	}
	return keys
}
