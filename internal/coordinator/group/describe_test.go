package group

import (
	"fmt"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func describeReply(resp kmsg.Response) string {
	switch resp := resp.(type) {
	case *kmsg.JoinGroupResponse:
		if resp.ErrorCode != 0 {
			return fmt.Sprintf("%s member=%s", errorName(resp.ErrorCode), resp.MemberID)
		}
		s := fmt.Sprintf("joined gen=%d %s/%s leader=%s member=%s", resp.Generation, text(resp.ProtocolType), text(resp.Protocol), resp.LeaderID, resp.MemberID)
		for _, m := range resp.Members {
			topics, _ := subscribedTopics(m.ProtocolMetadata)
			s += fmt.Sprintf(" [%s %s]", m.MemberID, strings.Join(topics, ","))
		}
		if resp.SkipAssignment {
			s += " skip-assignment"
		}
		return s
	case *kmsg.SyncGroupResponse:
		if resp.ErrorCode != 0 {
			return errorName(resp.ErrorCode)
		}
		return fmt.Sprintf("synced %s/%s %q", text(resp.ProtocolType), text(resp.Protocol), resp.MemberAssignment)
	case *kmsg.HeartbeatResponse:
		return errorName(resp.ErrorCode)
	case *kmsg.LeaveGroupResponse:
		s := errorName(resp.ErrorCode)
		for _, m := range resp.Members {
			s += fmt.Sprintf(" [%s@%s %s]", m.MemberID, text(m.InstanceID), errorName(m.ErrorCode))
		}
		return s
	case *kmsg.OffsetCommitResponse:
		return errorName(resp.Topics[0].Partitions[0].ErrorCode)
	case *kmsg.OffsetFetchResponse:
		return describeFetch(resp)
	case *kmsg.OffsetDeleteResponse:
		if resp.ErrorCode != 0 {
			return errorName(resp.ErrorCode)
		}
		return "partition " + errorName(resp.Topics[0].Partitions[0].ErrorCode)
	}
	return describeAdmin(resp)
}

func describeFetch(resp *kmsg.OffsetFetchResponse) string {
	g := resp.Groups[0]
	s := errorName(g.ErrorCode)
	for _, topic := range g.Topics {
		for _, p := range topic.Partitions {
			s += fmt.Sprintf(" %s-%d=%d %s %q", topic.Topic, p.Partition, p.Offset, errorName(p.ErrorCode), text(p.Metadata))
		}
	}
	return s
}

func describeAdmin(resp kmsg.Response) string {
	switch resp := resp.(type) {
	case *kmsg.DescribeGroupsResponse:
		g := resp.Groups[0]
		s := fmt.Sprintf("%s %s %q %q", errorName(g.ErrorCode), g.State, g.ProtocolType, g.Protocol)
		for _, m := range g.Members {
			s += fmt.Sprintf(" [%s %s %s %q]", m.MemberID, m.ClientID, m.ClientHost, m.MemberAssignment)
		}
		return s
	case *kmsg.ListGroupsResponse:
		var list []string
		for _, g := range resp.Groups {
			list = append(list, fmt.Sprintf("%s %q %s %s", g.Group, g.ProtocolType, g.GroupState, g.GroupType))
		}
		return strings.TrimSpace(fmt.Sprintf("%d groups %s", len(list), strings.Join(list, "; ")))
	case *kmsg.DeleteGroupsResponse:
		var list []string
		for _, g := range resp.Groups {
			list = append(list, g.Group+" "+errorName(g.ErrorCode))
		}
		return strings.Join(list, "; ")
	}
	return fmt.Sprintf("%T", resp)
}

// describeRecord decodes with kmsg what the package's own writer and reader agree on.
func describeRecord(t *testing.T, r Record) string {
	var version kmsg.GroupMetadataKey
	if r.Key[1] == groupKeyVersion {
		if err := version.ReadFrom(r.Key); err != nil {
			t.Fatal(err)
		}
		if r.Value == nil {
			return fmt.Sprintf("group %s removed", version.Group)
		}
		var v kmsg.GroupMetadataValue
		if err := v.ReadFrom(r.Value); err != nil {
			t.Fatal(err)
		}
		s := fmt.Sprintf("group %s v%d gen=%d %s/%s leader=%s since=%d", version.Group, v.Version, v.Generation, v.ProtocolType, text(v.Protocol), text(v.Leader), v.CurrentStateTimestamp)
		for _, m := range v.Members {
			topics, _ := subscribedTopics(m.Subscription)
			s += fmt.Sprintf(" [%s@%s %s %s %d/%d %s %q]", m.MemberID, text(m.InstanceID), m.ClientID, m.ClientHost, m.SessionTimeoutMillis, m.RebalanceTimeoutMillis, strings.Join(topics, ","), m.Assignment)
		}
		return s
	}
	var k kmsg.OffsetCommitKey
	if err := k.ReadFrom(r.Key); err != nil {
		t.Fatal(err)
	}
	if r.Value == nil {
		return fmt.Sprintf("offset %s %s-%d removed", k.Group, k.Topic, k.Partition)
	}
	var v kmsg.OffsetCommitValue
	if err := v.ReadFrom(r.Value); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("offset %s %s-%d=%d v%d epoch=%d %q at=%d expires=%d", k.Group, k.Topic, k.Partition, v.Offset, v.Version, v.LeaderEpoch, v.Metadata, v.CommitTimestamp, v.ExpireTimestamp)
}
