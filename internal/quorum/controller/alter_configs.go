package controller

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/wire"
)

// alteration is what is asked for one resource.
type alteration struct {
	kind    kmsg.ConfigResourceType
	name    string
	changes []config.Change
	replace bool // what is not named is removed: AlterConfigs
}

// alterConfigs serves AlterConfigs, which replaces all configs of a resource.
func (m *Machine) alterConfigs(img *cluster.Image, req *kmsg.AlterConfigsRequest) (kmsg.Response, []cluster.Change) {
	asked := make([]alteration, len(req.Resources))
	for i := range req.Resources {
		r := &req.Resources[i]
		asked[i] = alteration{kind: r.ResourceType, name: r.ResourceName, replace: true}
		for j := range r.Configs {
			asked[i].changes = append(asked[i].changes, config.Change{Name: r.Configs[j].Name, Value: r.Configs[j].Value})
		}
	}
	refused, changes := alter(img, asked)
	resp := req.ResponseKind().(*kmsg.AlterConfigsResponse)
	for i, why := range refused {
		result := kmsg.NewAlterConfigsResponseResource()
		result.ResourceType, result.ResourceName = asked[i].kind, asked[i].name
		if why != nil {
			result.ErrorCode, result.ErrorMessage = why.code.Code(), why.message()
		}
		resp.Resources = append(resp.Resources, result)
	}
	if req.ValidateOnly {
		return resp, nil
	}
	return resp, append(changes, m.consequences(img, changes)...)
}

// incrementalAlterConfigs serves IncrementalAlterConfigs (KIP-339).
func (m *Machine) incrementalAlterConfigs(img *cluster.Image, req *kmsg.IncrementalAlterConfigsRequest) (kmsg.Response, []cluster.Change) {
	asked := make([]alteration, len(req.Resources))
	for i := range req.Resources {
		r := &req.Resources[i]
		asked[i] = alteration{kind: r.ResourceType, name: r.ResourceName}
		for j := range r.Configs {
			c := &r.Configs[j]
			asked[i].changes = append(asked[i].changes, config.Change{Name: c.Name, Op: config.Op(c.Op), Value: c.Value})
		}
	}
	refused, changes := alter(img, asked)
	resp := req.ResponseKind().(*kmsg.IncrementalAlterConfigsResponse)
	for i, why := range refused {
		result := kmsg.NewIncrementalAlterConfigsResponseResource()
		result.ResourceType, result.ResourceName = asked[i].kind, asked[i].name
		if why != nil {
			result.ErrorCode, result.ErrorMessage = why.code.Code(), why.message()
		}
		resp.Resources = append(resp.Resources, result)
	}
	if req.ValidateOnly {
		return resp, nil
	}
	return resp, append(changes, m.consequences(img, changes)...)
}

// alter returns why each alteration is refused, nil where it is not, and the changes of those that are not.
func alter(img *cluster.Image, asked []alteration) ([]*refusal, []cluster.Change) {
	type key struct {
		kind kmsg.ConfigResourceType
		name string
	}
	count := make(map[key]int, len(asked))
	for _, a := range asked {
		count[key{a.kind, a.name}]++
	}
	refused := make([]*refusal, len(asked))
	var changes []cluster.Change
	for i, a := range asked {
		if count[key{a.kind, a.name}] > 1 {
			refused[i] = &refusal{wire.InvalidRequest, "Each resource must appear at most once."}
			continue
		}
		var more []cluster.Change
		if more, refused[i] = a.apply(img); refused[i] == nil {
			changes = append(changes, more...)
		}
	}
	return refused, changes
}

// apply returns the changes that an alteration makes; none when everything is as asked already.
func (a *alteration) apply(img *cluster.Image) ([]cluster.Change, *refusal) {
	resource, why := a.resource(img)
	if why != nil {
		return nil, why
	}
	current := img.Config(resource)
	base := current
	if a.replace {
		base = nil
	}
	var next map[string]string
	var err error
	if resource.Type == cluster.TopicResource {
		next, err = config.AlterTopic(base, a.changes)
	} else {
		next, err = config.AlterBroker(base, a.changes, resource.Type == cluster.BrokerResource)
	}
	if err != nil {
		return nil, refusedConfig(err)
	}
	return difference(resource, current, next), refuseMinISR(img, resource, current, next)
}

// refuseMinISR keeps min.insync.replicas one for all brokers as soon as there are several; oneMinISR says why.
func refuseMinISR(img *cluster.Image, r cluster.Resource, current, next map[string]string) *refusal {
	value, set := next[minISRKey]
	old, was := current[minISRKey]
	switch {
	case len(img.Brokers()) < 2:
	case r.Type == cluster.BrokerResource && set && (!was || old != value):
		return &refusal{wire.InvalidConfig, "Broker-level min.insync.replicas cannot be altered while ELR is enabled."}
	case r.Type == cluster.BrokerDefaultResource && was && !set:
		return &refusal{wire.InvalidConfig, "Cluster-level min.insync.replicas cannot be removed while ELR is enabled."}
	}
	return nil
}

// consequences returns what follows from changes of configs: who was eligible by the old min.insync.replicas may not be by
// the new one. An unclean election that is now allowed is held by the next sweep, which begins at once.
func (m *Machine) consequences(img *cluster.Image, changes []cluster.Change) []cluster.Change {
	var more []cluster.Change
	for _, c := range changes {
		switch c := c.(cluster.SetConfig); {
		case c.Key == uncleanKey:
			m.sweep = sweep{running: true, dueMs: m.sweep.dueMs}
		case c.Key != minISRKey:
		case c.Resource.Type == cluster.BrokerDefaultResource:
			more = append(more, cluster.ClearELR{})
		case c.Resource.Type == cluster.TopicResource:
			t, _ := img.Topic(c.Resource.Name)
			more = append(more, cluster.ClearELR{TopicID: t.ID})
		}
	}
	return more
}

// resource finds what an alteration is of.
func (a *alteration) resource(img *cluster.Image) (cluster.Resource, *refusal) {
	switch a.kind {
	case kmsg.ConfigResourceTypeTopic:
		if _, ok := img.Topic(a.name); ok {
			return cluster.Resource{Type: cluster.TopicResource, Name: a.name}, nil
		}
		if why := checkTopicName(a.name); why != nil {
			return cluster.Resource{}, why
		}
		return cluster.Resource{}, &refusal{
			wire.UnknownTopicOrPartition, fmt.Sprintf("The topic '%s' does not exist.", a.name),
		}
	case kmsg.ConfigResourceTypeBroker:
		return brokerResource(img, a.name)
	}
	return cluster.Resource{}, &refusal{wire.InvalidRequest, fmt.Sprintf("Unsupported resource type %d.", int8(a.kind))}
}

func brokerResource(img *cluster.Image, name string) (cluster.Resource, *refusal) {
	if name == "" {
		return cluster.Resource{Type: cluster.BrokerDefaultResource}, nil
	}
	id, err := strconv.ParseInt(name, 10, 32)
	if err != nil {
		return cluster.Resource{}, &refusal{
			wire.InvalidRequest, "Node id must be an integer, but it is: " + name,
		}
	}
	if _, ok := img.Broker(cluster.NodeID(id)); !ok {
		return cluster.Resource{}, &refusal{
			wire.BrokerIDNotRegistered, fmt.Sprintf("No broker with id %d found.", id),
		}
	}
	return cluster.Resource{Type: cluster.BrokerResource, Name: strconv.FormatInt(id, 10)}, nil
}

// difference returns the changes that lead from one set of configs to another, by name.
func difference(r cluster.Resource, current, next map[string]string) []cluster.Change {
	var changes []cluster.Change
	for _, key := range slices.Sorted(maps.Keys(current)) {
		if _, kept := next[key]; !kept {
			changes = append(changes, cluster.SetConfig{Resource: r, Key: key})
		}
	}
	for _, key := range slices.Sorted(maps.Keys(next)) {
		if old, ok := current[key]; !ok || old != next[key] {
			changes = append(changes, cluster.SetConfig{Resource: r, Key: key, Value: new(next[key])})
		}
	}
	return changes
}

// refusedConfig makes a refusal of an error of the package config; nil of none.
func refusedConfig(err error) *refusal {
	if err == nil {
		return nil
	}
	var known *config.Error
	if errors.As(err, &known) {
		return &refusal{wire.Error(known.Code), known.Message}
	}
	return &refusal{wire.InvalidConfig, err.Error()}
}
