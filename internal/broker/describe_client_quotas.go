package broker

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// DescribeClientQuotas, versions 0 and 1 (KIP-546). No quota can be set (see AlterClientQuotas), so that every filter
// that Kafka accepts finds none.

// What a filter's component may match.
const (
	matchExact   = 0
	matchDefault = 1
	matchAny     = 2
)

// The kinds of clients that a quota can be for, in the order in which Kafka lists them.
const (
	quotaClientID = "client-id"
	quotaUser     = "user"
	quotaIP       = "ip"
)

var quotaEntities = [...]string{quotaClientID, quotaUser, quotaIP}

func (b *Broker) describeClientQuotas(_ context.Context, _ *Request, req *kmsg.DescribeClientQuotasRequest) *kmsg.DescribeClientQuotasResponse {
	resp := kmsg.NewPtrDescribeClientQuotasResponse()
	if code, text := checkQuotaFilter(req.Components); code != wire.None {
		resp.ErrorCode, resp.ErrorMessage = code.Code(), &text
		return resp
	}
	resp.ErrorMessage = kmsg.StringPtr("")
	resp.Entries = []kmsg.DescribeClientQuotasResponseEntry{} // null would be an error
	return resp
}

func checkQuotaFilter(components []kmsg.DescribeClientQuotasRequestComponent) (wire.Error, string) {
	seen := map[string]bool{}
	for i := range components {
		c := &components[i]
		if text := checkQuotaMatch(c); text != "" {
			return wire.InvalidRequest, text
		}
		switch c.EntityType {
		case quotaClientID, quotaUser, quotaIP:
		case "":
			return wire.InvalidRequest, "Invalid empty entity type."
		default:
			return wire.UnsupportedVersion, "Unsupported entity type " + c.EntityType
		}
		if seen[c.EntityType] {
			return wire.InvalidRequest, fmt.Sprintf("Entity type %s cannot appear more than once in the filter.", c.EntityType)
		}
		seen[c.EntityType] = true
	}
	if seen[quotaIP] && len(seen) > 1 {
		return wire.InvalidRequest, "Invalid entity filter component combination. IP filter component should not be used with user or clientId filter component."
	}
	return wire.None, ""
}

// checkQuotaMatch returns what is wrong with how a component matches.
func checkQuotaMatch(c *kmsg.DescribeClientQuotasRequestComponent) string {
	switch c.MatchType {
	case matchExact:
		if c.Match == nil {
			return "Request specified MATCH_TYPE_EXACT, but set match string to null."
		}
	case matchDefault:
		if c.Match != nil {
			return "Request specified MATCH_TYPE_DEFAULT, but also specified a match string."
		}
	case matchAny:
		if c.Match != nil {
			return "Request specified MATCH_TYPE_SPECIFIED, but also specified a match string."
		}
	default:
		return fmt.Sprintf("Unknown match type %d", c.MatchType)
	}
	return ""
}
