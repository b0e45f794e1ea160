package logdump

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestGroupsJSON shows a group as Kafka's GroupMetadataMessageFormatter did of the same record.
func TestGroupsJSON(t *testing.T) {
	const (
		member = "kgo-35ff25b7-e447-48af-925f-3841b027e825"
		want   = `{"key":{"type":2,"data":{"group":"vc"}},"value":{"version":3,"data":{"protocolType":"consumer","generation":1,` +
			`"protocol":"range","leader":"` + member + `","currentStateTimestamp":1795655607144,"members":[{"memberId":"` + member + `",` +
			`"groupInstanceId":null,"clientId":"kgo","clientHost":"/127.0.0.1","rebalanceTimeout":60000,"sessionTimeout":45000,` +
			`"subscription":"AAMAAAABAAJ2cP////8AAAAA////////","assignment":"AAAAAAABAAJ2cAAAAAEAAAAA/////w=="}]}}}`
	)
	key := kmsg.GroupMetadataKey{Version: 2, Group: "vc"}
	m := kmsg.NewGroupMetadataValueMember()
	m.MemberID, m.ClientID, m.ClientHost, m.RebalanceTimeoutMillis, m.SessionTimeoutMillis = member, "kgo", "/127.0.0.1", 60000, 45000
	m.Subscription = []byte("\x00\x03\x00\x00\x00\x01\x00\x02vp\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff")
	m.Assignment = []byte("\x00\x00\x00\x00\x00\x01\x00\x02vp\x00\x00\x00\x01\x00\x00\x00\x00\xff\xff\xff\xff")
	value := kmsg.NewGroupMetadataValue()
	value.Version, value.ProtocolType, value.Generation, value.CurrentStateTimestamp = 3, "consumer", 1, 1795655607144
	value.Protocol, value.Leader, value.Members = kmsg.StringPtr("range"), kmsg.StringPtr(member), append(value.Members, m)

	got, err := GroupsJSON(key.AppendTo(nil), value.AppendTo(nil))
	if err != nil || got != want {
		t.Errorf("GroupsJSON gives, error %v,\n%s\nwant\n%s", err, got, want)
	}
	if got, err := OffsetsJSON(key.AppendTo(nil), value.AppendTo(nil)); got != "" || err != nil {
		t.Errorf("OffsetsJSON of a group gives %q, error %v", got, err)
	}
	if _, err := GroupsJSON(key.AppendTo(nil), []byte{0, 3, 0}); err == nil {
		t.Error("a value that is cut off gives no error")
	}
}
