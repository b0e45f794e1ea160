package broker

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// AlterClientQuotas, versions 0 and 1 (KIP-546).
//
// Nothing here slows a client down, so that a quota that was accepted would be a promise not kept: setting one is
// refused with UNSUPPORTED_VERSION, where Kafka stores it. What is wrong with a request is said first, as by Kafka, and
// to remove a quota that is not set changes nothing and succeeds.

const quotasNotEnforced = "Client quotas are not enforced by this broker, which therefore sets none."

func (b *Broker) alterClientQuotas(_ context.Context, _ *Request, req *kmsg.AlterClientQuotasRequest) *kmsg.AlterClientQuotasResponse {
	resp := kmsg.NewPtrAlterClientQuotasResponse()
	answered := map[string]int{}
	for i := range req.Entries {
		entity := quotaEntity(req.Entries[i].Entity)
		code, text := alterQuota(entity, req.Entries[i].Ops)
		name := entityName(entity)
		at, again := answered[name]
		if !again {
			at = len(resp.Entries)
			answered[name] = at
			resp.Entries = append(resp.Entries, quotaReply(entity))
		} else {
			code, text = wire.InvalidRequest, "Ignoring duplicate entity "+name
		}
		if code != wire.None {
			resp.Entries[at].ErrorCode, resp.Entries[at].ErrorMessage = code.Code(), &text
		}
	}
	return resp
}

// quotaEntity returns the parts of an entity in Kafka's order. Of a kind that is named twice the last one counts.
func quotaEntity(parts []kmsg.AlterClientQuotasRequestEntryEntity) []kmsg.AlterClientQuotasRequestEntryEntity {
	var entity []kmsg.AlterClientQuotasRequestEntryEntity
	named := make(map[string]int)
	for _, part := range parts {
		at, again := named[part.Type]
		if !again {
			at = len(entity)
			named[part.Type] = at
			entity = append(entity, part)
		}
		entity[at] = part
	}
	slices.SortStableFunc(entity, func(a, b kmsg.AlterClientQuotasRequestEntryEntity) int {
		return slices.Index(quotaEntities[:], a.Type) - slices.Index(quotaEntities[:], b.Type)
	})
	return entity
}

// entityName returns an entity as Kafka writes it.
func entityName(entity []kmsg.AlterClientQuotasRequestEntryEntity) string {
	var parts []string
	for _, e := range entity {
		name := "null"
		if e.Name != nil {
			name = *e.Name
		}
		parts = append(parts, e.Type+"="+name)
	}
	return "ClientQuotaEntity(entries={" + strings.Join(parts, ", ") + "})"
}

func quotaReply(entity []kmsg.AlterClientQuotasRequestEntryEntity) kmsg.AlterClientQuotasResponseEntry {
	reply := kmsg.NewAlterClientQuotasResponseEntry()
	for _, e := range entity {
		part := kmsg.NewAlterClientQuotasResponseEntryEntity()
		part.Type, part.Name = e.Type, e.Name
		reply.Entity = append(reply.Entity, part)
	}
	return reply
}

func alterQuota(entity []kmsg.AlterClientQuotasRequestEntryEntity, ops []kmsg.AlterClientQuotasRequestEntryOp) (wire.Error, string) {
	if text := checkQuotaEntity(entity); text != "" {
		return wire.InvalidRequest, text
	}
	sets := false
	for _, op := range ops {
		if op.Remove {
			continue
		}
		if text := checkQuota(entity[0].Type == quotaIP, op.Key, op.Value); text != "" {
			return wire.InvalidRequest, text
		}
		sets = true
	}
	if sets {
		return wire.UnsupportedVersion, quotasNotEnforced
	}
	return wire.None, ""
}

// checkQuotaEntity returns what is wrong with an entity. The name of a host is not looked up: no request makes this
// broker ask a name server, and nothing could be set for it.
func checkQuotaEntity(entity []kmsg.AlterClientQuotasRequestEntryEntity) string {
	if len(entity) == 0 {
		return "Invalid empty client quota entity"
	}
	for _, e := range entity {
		switch {
		case !slices.Contains(quotaEntities[:], e.Type):
			return "Unhandled client quota entity type: " + e.Type
		case e.Name != nil && *e.Name == "":
			return fmt.Sprintf("Empty %s not supported", e.Type)
		case e.Type != quotaIP:
		case len(entity) > 1:
			return "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId"
		case e.Name != nil:
			if _, err := netip.ParseAddr(*e.Name); err != nil {
				return *e.Name + " is not a valid IP or resolvable host."
			}
		}
	}
	return ""
}

// checkQuota returns what is wrong with the value of a quota.
func checkQuota(ofIP bool, key string, value float64) string {
	valueMax := math.Inf(1)
	switch {
	case ofIP && key == "connection_creation_rate":
		valueMax = math.MaxInt32
	case !ofIP && (key == "producer_byte_rate" || key == "consumer_byte_rate"):
		valueMax = math.MaxInt64
	case !ofIP && (key == "request_percentage" || key == "controller_mutation_rate"):
	default:
		return "Invalid configuration key " + key
	}
	switch whole := !math.IsInf(valueMax, 1); {
	case !(value > 0):
		return fmt.Sprintf("Quota %s must be greater than 0", key)
	case whole && value > valueMax:
		return fmt.Sprintf("Proposed value for %s is too large.", key)
	case whole && value != math.Trunc(value):
		return key + " cannot be a fractional value."
	}
	return ""
}
