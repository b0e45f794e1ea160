package kafkacli

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/config"
)

type configsCommand struct {
	*call
	client *kgo.Client
	entities
}

func (k *configsCommand) describe(ctx context.Context) error {
	switch k.kinds[0] {
	case userEntity, clientEntity, ipEntity:
		return k.describeQuotas(ctx)
	}
	names := k.names
	if len(names) == 0 {
		var err error
		if names, err = k.allNames(ctx); err != nil {
			return err
		}
	} else if missing, err := k.missing(ctx, names[0]); err != nil || missing {
		return err
	}
	for _, name := range names {
		if err := k.describeResource(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// allNames are the entities of the kind, for brokers with the default of all behind them.
func (k *configsCommand) allNames(ctx context.Context) ([]string, error) {
	switch k.kinds[0] {
	case topicEntity:
		topics, err := listTopics(ctx, k.client)
		return namesOf(topics), err
	case brokerEntity, brokerLoggerEntity:
		live, err := liveBrokers(ctx, k.client)
		var ids []int32
		for id := range live {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		var names []string
		for _, id := range ids {
			names = append(names, fmt.Sprint(id))
		}
		return append(names, ""), err
	case groupEntity:
		groups, err := listGroups(ctx, k.client, nil, nil)
		var names []string
		for _, g := range groups {
			names = append(names, g.id)
		}
		return names, err
	}
	return nil, nil // client metrics: the cluster has none
}

var legalTopic = regexp.MustCompile(`^[a-zA-Z0-9._-]+$`)

// missing says so when the entity does not exist.
func (k *configsCommand) missing(ctx context.Context, name string) (bool, error) {
	kind := k.kinds[0]
	if kind == topicEntity && !legalTopic.MatchString(name) {
		return true, plainError{failf("Topic name is invalid: '%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name)}
	}
	if name == "" || kind == brokerLoggerEntity {
		return false, nil
	}
	names, err := k.allNames(ctx)
	if err != nil || slices.Contains(names, name) {
		return false, err
	}
	fmt.Fprintf(k.out, "The %s '%s' doesn't exist and doesn't have dynamic config.\n", kind[:len(kind)-1], name)
	return true, nil
}

// resources are the kinds of entities that DescribeConfigs knows, and the source of their dynamic settings.
var resources = map[string]struct {
	kind   kmsg.ConfigResourceType
	source kmsg.ConfigSource
}{
	topicEntity:         {kmsg.ConfigResourceTypeTopic, kmsg.ConfigSourceDynamicTopicConfig},
	brokerEntity:        {kmsg.ConfigResourceTypeBroker, kmsg.ConfigSourceDynamicBrokerConfig},
	brokerLoggerEntity:  {kmsg.ConfigResourceTypeBrokerLogger, 0},
	clientMetricsEntity: {16, 7},
	groupEntity:         {32, 8},
}

// dynamicSource is the source of the settings that are shown without --all.
func (k *configsCommand) dynamicSource(name string) kmsg.ConfigSource {
	if k.kinds[0] == brokerEntity && name == "" {
		return kmsg.ConfigSourceDynamicDefaultBrokerConfig
	}
	return resources[k.kinds[0]].source
}

func (k *configsCommand) request(ctx context.Context, name string) (*kmsg.DescribeConfigsResponseResource, error) {
	req := kmsg.NewPtrDescribeConfigsRequest()
	req.IncludeSynonyms = true
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName = resources[k.kinds[0]].kind, name
	req.Resources = append(req.Resources, r)
	for _, shard := range k.client.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, shard.Err
		}
		for _, r := range shard.Resp.(*kmsg.DescribeConfigsResponse).Resources {
			if err := refusal(r.ErrorCode, r.ErrorMessage); err != nil {
				return nil, err
			}
			slices.SortFunc(r.Configs, func(a, b kmsg.DescribeConfigsResponseResourceConfig) int { return strings.Compare(a.Name, b.Name) })
			return &r, nil
		}
	}
	return nil, failf("The broker did not answer for %s %s", k.kinds[0], name)
}

func (k *configsCommand) describeResource(ctx context.Context, name string) error {
	all := k.opts.has("all")
	resource, err := k.request(ctx, name)
	if err != nil {
		return err
	}
	kind := k.kinds[0]
	switch {
	case name == "":
		fmt.Fprintf(k.out, "Default configs for %s in the cluster are:\n", kind)
	case all:
		fmt.Fprintf(k.out, "All configs for %s %s are:\n", kind[:len(kind)-1], name)
	default:
		fmt.Fprintf(k.out, "Dynamic configs for %s %s are:\n", kind[:len(kind)-1], name)
	}
	source := k.dynamicSource(name)
	for _, entry := range resource.Configs {
		if !all && source != 0 && entry.Source != source {
			continue
		}
		synonyms := make([]string, len(entry.ConfigSynonyms))
		for i, s := range entry.ConfigSynonyms {
			synonyms[i] = fmt.Sprintf("%v:%s=%s", s.Source, s.Name, valueOf(s.Value))
		}
		fmt.Fprintf(k.out, "  %s=%s sensitive=%t synonyms={%s}\n", entry.Name, valueOf(entry.Value), entry.IsSensitive, strings.Join(synonyms, ", "))
	}
	return nil
}

func (k *configsCommand) alter(ctx context.Context) error {
	add, err := k.additions()
	if err != nil {
		return err
	}
	remove := k.removals()
	kind, name := k.kinds[0], k.names[0]
	switch kind {
	case userEntity, clientEntity, ipEntity:
		err = k.alterQuotas(ctx, add, remove)
	default:
		err = k.alterResource(ctx, name, add, remove)
	}
	if err != nil {
		return err
	}
	if name != "" {
		fmt.Fprintf(k.out, "Completed updating config for %s %s.\n", kind[:len(kind)-1], name)
	} else {
		fmt.Fprintf(k.out, "Completed updating default config for %s in the cluster.\n", kind)
	}
	return nil
}

func (k *configsCommand) alterResource(ctx context.Context, name string, add []configPair, remove []string) error {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = resources[k.kinds[0]].kind, name
	for _, p := range add {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Op, c.Value = p.key, kmsg.IncrementalAlterConfigOpSet, kmsg.StringPtr(p.value)
		r.Configs = append(r.Configs, c)
	}
	for _, key := range remove {
		c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
		c.Name, c.Op = key, kmsg.IncrementalAlterConfigOpDelete
		r.Configs = append(r.Configs, c)
	}
	req.Resources = append(req.Resources, r)
	for _, shard := range k.client.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return shard.Err
		}
		for _, r := range shard.Resp.(*kmsg.IncrementalAlterConfigsResponse).Resources {
			if err := refusal(r.ErrorCode, r.ErrorMessage); err != nil {
				return err
			}
		}
	}
	return nil
}

// quotaNames are the settings of users, clients and addresses.
var (
	clientQuotas = []string{"producer_byte_rate", "consumer_byte_rate", "request_percentage", "controller_mutation_rate"}
	ipQuotas     = []string{"connection_creation_rate"}
	quotaEntity  = map[string]string{userEntity: "user", clientEntity: "client-id", ipEntity: "ip"}
)

func isSCRAM(key string) bool { return key == "SCRAM-SHA-256" || key == "SCRAM-SHA-512" }

// alterQuotas changes quotas, and says what is no quota. Credentials are for later: the broker has none yet.
func (k *configsCommand) alterQuotas(ctx context.Context, add []configPair, remove []string) error {
	known := clientQuotas
	if k.kinds[0] == ipEntity {
		known = ipQuotas
	}
	var strange []string
	scram := false
	for _, p := range add {
		if isSCRAM(p.key) && k.kinds[0] == userEntity && len(k.kinds) == 1 {
			scram = true
		} else if !slices.Contains(known, p.key) {
			strange = append(strange, p.key)
		}
	}
	if len(strange) > 0 {
		switch {
		case k.kinds[0] == ipEntity:
			return plainf("Only connection quota configs can be added for 'ips' using --bootstrap-server. Unexpected config names: [%s]", strings.Join(strange, ","))
		case k.kinds[0] == clientEntity || len(k.kinds) == 2:
			return plainf("Only quota configs can be added for 'clients' using --bootstrap-server. Unexpected config names: [Set(%s)]", strings.Join(strange, ", "))
		}
		return plainf("Only quota and SCRAM credential configs can be added for 'users' using --bootstrap-server. Unexpected config names: [Set(%s)]", strings.Join(strange, ", "))
	}
	if scram {
		return failf("Logbahn has no SCRAM credentials yet")
	}
	req := kmsg.NewPtrAlterClientQuotasRequest()
	entry := kmsg.NewAlterClientQuotasRequestEntry()
	for i, kind := range k.kinds {
		e := kmsg.NewAlterClientQuotasRequestEntryEntity()
		e.Type = quotaEntity[kind]
		if k.names[i] != "" {
			e.Name = kmsg.StringPtr(k.names[i])
		}
		entry.Entity = append(entry.Entity, e)
	}
	for _, p := range add {
		value, err := strconv.ParseFloat(p.value, 64)
		if err != nil {
			return plainf("Cannot parse quota configuration value for %s: %s", p.key, p.value)
		}
		op := kmsg.NewAlterClientQuotasRequestEntryOp()
		op.Key, op.Value = p.key, value
		entry.Ops = append(entry.Ops, op)
	}
	for _, key := range remove {
		op := kmsg.NewAlterClientQuotasRequestEntryOp()
		op.Key, op.Remove = key, true
		entry.Ops = append(entry.Ops, op)
	}
	req.Entries = append(req.Entries, entry)
	resp, err := req.RequestWith(ctx, k.client)
	if err != nil {
		return err
	}
	for _, e := range resp.Entries {
		if err := refusal(e.ErrorCode, e.ErrorMessage); err != nil {
			return err
		}
	}
	return nil
}

// describeQuotas shows quotas. A broker that has none at all shows nothing, as Kafka does when there are none.
func (k *configsCommand) describeQuotas(ctx context.Context) error {
	req := kmsg.NewPtrDescribeClientQuotasRequest()
	req.Strict = true
	for i, kind := range k.kinds {
		c := kmsg.NewDescribeClientQuotasRequestComponent()
		c.EntityType, c.MatchType = quotaEntity[kind], kmsg.QuotasMatchTypeAny
		if i < len(k.names) && k.names[i] == "" {
			c.MatchType = kmsg.QuotasMatchTypeDefault
		} else if i < len(k.names) {
			c.MatchType, c.Match = kmsg.QuotasMatchTypeExact, kmsg.StringPtr(k.names[i])
		}
		req.Components = append(req.Components, c)
	}
	resp, err := req.RequestWith(ctx, k.client)
	if err != nil && unsupported(err) {
		return nil
	}
	if err == nil {
		err = refusal(resp.ErrorCode, resp.ErrorMessage)
	}
	if err != nil {
		return err
	}
	for _, e := range resp.Entries {
		var who, what []string
		for _, entity := range e.Entity {
			label := map[string]string{"user": "user-principal"}[entity.Type]
			if label == "" {
				label = entity.Type
			}
			if entity.Name == nil {
				who = append(who, "the default "+label)
			} else {
				who = append(who, fmt.Sprintf("%s '%s'", label, *entity.Name))
			}
		}
		for _, v := range e.Values {
			what = append(what, fmt.Sprintf("%s=%s", v.Key, config.JavaDouble(v.Value, 64)))
		}
		fmt.Fprintf(k.out, "Quota configs for %s are %s\n", strings.Join(who, ", "), strings.Join(what, ", "))
	}
	return nil
}
