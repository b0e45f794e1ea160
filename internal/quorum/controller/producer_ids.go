package controller

import (
	"math"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// producerIDBlock is how many producer ids a broker gets at once.
const producerIDBlock = 1000

// allocateProducerIDs serves AllocateProducerIds (KIP-730). A block is given once, whether the broker uses it or not.
func allocateProducerIDs(img *cluster.Image, req *kmsg.AllocateProducerIDsRequest) (kmsg.Response, []cluster.Change) {
	resp := req.ResponseKind().(*kmsg.AllocateProducerIDsResponse)
	if _, why := registered(img, req.BrokerID, req.BrokerEpoch); why != nil {
		resp.ErrorCode = why.code.Code()
		return resp, nil
	}
	first := img.NextProducerID()
	if first > math.MaxInt64-producerIDBlock {
		resp.ErrorCode = wire.UnknownServerError.Code()
		return resp, nil
	}
	resp.ProducerIDStart, resp.ProducerIDLen = first, producerIDBlock
	return resp, []cluster.Change{cluster.AllocateProducerIDs{
		BrokerID: req.BrokerID, BrokerEpoch: req.BrokerEpoch, Next: first + producerIDBlock,
	}}
}
