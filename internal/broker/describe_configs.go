package broker

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/partition"
	"github.com/logbahn/logbahn/internal/wire"
)

// DescribeConfigs, versions 0 to 4. v1 tells where a value comes from and what is behind it (KIP-226), v3 types and what
// the keys mean (KIP-569). A resource that is named again and again is INVALID_REQUEST in the end.

func (b *Broker) describeConfigs(_ context.Context, _ *Request, req *kmsg.DescribeConfigsRequest) *kmsg.DescribeConfigsResponse {
	img := b.cfg.Metadata.Image()
	resp := kmsg.NewPtrDescribeConfigsResponse()
	var described wire.Repeats[resourceName]
	for i := range req.Resources {
		want := &req.Resources[i]
		rr := kmsg.NewDescribeConfigsResponseResource()
		rr.ResourceType, rr.ResourceName = want.ResourceType, want.ResourceName
		var entries []config.Entry
		code, message := wire.InvalidRequest, "the request names it, and what else it names, too often"
		if !described.TooMany(resourceName{want.ResourceType, want.ResourceName}) {
			entries, code, message = b.configsOf(img, want)
		}
		if code != wire.None {
			rr.ErrorCode, rr.ErrorMessage = code.Code(), kmsg.StringPtr(message)
		}
		for j := range entries {
			if want.ConfigNames == nil || slices.Contains(want.ConfigNames, entries[j].Name) {
				rr.Configs = append(rr.Configs, describedConfig(req, &entries[j]))
			}
		}
		resp.Resources = append(resp.Resources, rr)
	}
	return resp
}

func (b *Broker) configsOf(img *cluster.Image, want *kmsg.DescribeConfigsRequestResource) (entries []config.Entry, code wire.Error, message string) {
	layers := partition.Layers(img, b.cfg.NodeID, b.cfg.Static)
	switch want.ResourceType {
	case kmsg.ConfigResourceTypeTopic:
		if !validTopicName(want.ResourceName) {
			return nil, wire.InvalidTopicException, wire.InvalidTopicException.Message()
		}
		t, code := topicRef{name: want.ResourceName}.find(img)
		if code != wire.None {
			return nil, code, code.Message()
		}
		return layers.DescribeTopic(t.Config), wire.None, ""
	case kmsg.ConfigResourceTypeBroker:
		switch want.ResourceName {
		case "":
			return layers.DescribeBrokerDefaults(), wire.None, ""
		case strconv.Itoa(int(b.cfg.NodeID)):
			return layers.DescribeBroker(), wire.None, ""
		}
		return nil, wire.InvalidRequest, fmt.Sprintf("this is broker %d: it describes itself, or with an empty name what holds for all, not %q", b.cfg.NodeID, want.ResourceName)
	}
	return nil, wire.InvalidRequest, fmt.Sprintf("resources of type %v have no configs here", want.ResourceType)
}

func describedConfig(req *kmsg.DescribeConfigsRequest, e *config.Entry) kmsg.DescribeConfigsResponseResourceConfig {
	c := kmsg.NewDescribeConfigsResponseResourceConfig()
	c.Name, c.Value, c.ReadOnly, c.IsSensitive = e.Name, e.Value, e.ReadOnly, e.Sensitive
	c.IsDefault = e.Source == config.Default
	c.Source, c.ConfigType = kmsg.ConfigSource(e.Source), kmsg.ConfigType(e.Type)
	if req.IncludeSynonyms {
		for _, s := range e.Synonyms {
			rs := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
			rs.Name, rs.Value, rs.Source = s.Name, s.Value, kmsg.ConfigSource(s.Source)
			c.ConfigSynonyms = append(c.ConfigSynonyms, rs)
		}
	}
	if req.IncludeDocumentation && e.Doc != "" {
		c.Documentation = &e.Doc
	}
	return c
}
