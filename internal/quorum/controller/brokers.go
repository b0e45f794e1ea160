package controller

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// registerBroker serves BrokerRegistration: a run of a broker begins, fenced, with a new epoch (KIP-631). The same run
// asking again is answered with the epoch it has.
func (m *Machine) registerBroker(nowMs int64, img *cluster.Image, req *kmsg.BrokerRegistrationRequest) (kmsg.Response, []cluster.Change) {
	resp := req.ResponseKind().(*kmsg.BrokerRegistrationResponse)
	resp.BrokerEpoch = -1
	old, known := img.Broker(req.BrokerID)
	switch {
	case req.ClusterID != img.ClusterID():
		resp.ErrorCode = wire.InconsistentClusterID.Code()
	case req.BrokerID < 0 || req.IncarnationID == cluster.ZeroUUID:
		resp.ErrorCode = wire.InvalidRequest.Code()
	case len(req.Listeners) == 0:
		resp.ErrorCode = wire.InvalidRegistration.Code()
	case known && old.Incarnation == req.IncarnationID:
		resp.BrokerEpoch = old.Epoch
		m.sessions.heard(old.ID, old.Epoch, nowMs)
	case known && m.sessions.valid(old, nowMs):
		resp.ErrorCode = wire.DuplicateBrokerRegistration.Code()
	default:
		b := registration(req, img.NextBrokerEpoch())
		resp.BrokerEpoch = b.Epoch
		m.sessions.heard(b.ID, b.Epoch, nowMs)
		return resp, append(electLeaders(img, b.ID, false), cluster.RegisterBroker{Broker: b})
	}
	return resp, nil
}

func registration(req *kmsg.BrokerRegistrationRequest, epoch int64) cluster.Broker {
	b := cluster.Broker{ID: req.BrokerID, Epoch: epoch, Incarnation: req.IncarnationID, Fenced: true}
	if req.Rack != nil {
		b.Rack = *req.Rack
	}
	for i := range req.Listeners {
		l := &req.Listeners[i]
		b.Listeners = append(b.Listeners, cluster.Endpoint{
			Name: l.Name, Host: l.Host, Port: l.Port, Security: l.SecurityProtocol,
		})
	}
	return b
}

// brokerHeartbeat serves BrokerHeartbeat. A broker asks to be unfenced, by not wanting to be fenced, when its own image
// shows its registration: then it knows all that it led before. One that wants to shut down drains first: it may stop
// when nobody else can take over what it still leads.
func (m *Machine) brokerHeartbeat(nowMs int64, img *cluster.Image, req *kmsg.BrokerHeartbeatRequest) (kmsg.Response, []cluster.Change) {
	resp := req.ResponseKind().(*kmsg.BrokerHeartbeatResponse)
	b, why := registered(img, req.BrokerID, req.BrokerEpoch)
	if why != nil {
		resp.ErrorCode = why.code.Code()
		return resp, nil
	}
	m.sessions.heard(b.ID, b.Epoch, nowMs)
	next := b
	next.Fenced = req.WantFence
	var moves []cluster.Change
	if req.WantShutdown {
		if moves = electLeaders(img, b.ID, false); len(moves) > 0 {
			next.Draining, next.Fenced = true, b.Fenced
		} else {
			next.Draining, next.Fenced = false, true
			resp.ShouldShutdown = true
		}
	} else {
		next.Draining = false
		if next.Live() != b.Live() {
			moves = electLeaders(img, b.ID, next.Live())
		}
	}
	resp.IsCaughtUp, resp.IsFenced = true, next.Fenced
	if next.Fenced == b.Fenced && next.Draining == b.Draining {
		return resp, moves
	}
	state := cluster.SetBrokerState{ID: b.ID, Epoch: b.Epoch, Fenced: next.Fenced, Draining: next.Draining}
	return resp, append(moves, state)
}

// registered returns a broker if the epoch is that of its registration.
func registered(img *cluster.Image, id cluster.NodeID, epoch int64) (cluster.Broker, *refusal) {
	b, ok := img.Broker(id)
	switch {
	case !ok:
		return b, &refusal{wire.BrokerIDNotRegistered, fmt.Sprintf("No broker with id %d found.", id)}
	case b.Epoch != epoch:
		return b, &refusal{
			wire.StaleBrokerEpoch, fmt.Sprintf("Expected broker epoch %d, but got broker epoch %d", b.Epoch, epoch),
		}
	}
	return b, nil
}

// unregisterBroker serves UnregisterBroker. What nobody else can lead is left without a leader until the broker returns.
func (m *Machine) unregisterBroker(img *cluster.Image, req *kmsg.UnregisterBrokerRequest) (kmsg.Response, []cluster.Change) {
	resp := req.ResponseKind().(*kmsg.UnregisterBrokerResponse)
	b, ok := img.Broker(req.BrokerID)
	if !ok {
		text := fmt.Sprintf("Broker ID %d is not currently registered", req.BrokerID)
		resp.ErrorCode, resp.ErrorMessage = wire.BrokerIDNotRegistered.Code(), &text
		return resp, nil
	}
	m.sessions.forget(b.ID)
	return resp, append(leaderless(img, b.ID), cluster.UnregisterBroker{ID: b.ID, Epoch: b.Epoch})
}
