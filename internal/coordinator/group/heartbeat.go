package group

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Heartbeat, versions 0 to 4. It renews the session, and tells a member that the group is rebalancing. A member that
// waits for the assignment (CompletingRebalance) may heartbeat already.
func (m *Machine) heartbeat(now time.Time, req *kmsg.HeartbeatRequest) *kmsg.HeartbeatResponse {
	resp := kmsg.NewPtrHeartbeatResponse()
	resp.ErrorCode = codeOf(m.heartbeatError(now, req))
	return resp
}

func (m *Machine) heartbeatError(now time.Time, req *kmsg.HeartbeatRequest) *kerr.Error {
	if req.Group == "" {
		return kerr.InvalidGroupID
	}
	g := m.groups[req.Group]
	if g == nil {
		return kerr.UnknownMemberID
	}
	mem, err := g.member(req.MemberID, req.InstanceID)
	if err != nil {
		return err
	}
	if req.Generation != g.generation {
		return kerr.IllegalGeneration
	}
	m.renewSession(now, g, mem)
	if g.state == PreparingRebalance {
		return kerr.RebalanceInProgress
	}
	return nil
}

func codeOf(err *kerr.Error) int16 {
	if err == nil {
		return 0
	}
	return err.Code
}
