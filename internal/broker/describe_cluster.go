package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// DescribeCluster, versions 0 to 2. v1 can ask for controllers instead of brokers (KIP-919), which only a controller's
// own listener answers; v2 shows fenced brokers (KIP-1073).

const brokerEndpoints = 1 // EndpointType; 2 is controllers

func (b *Broker) describeCluster(_ context.Context, r *Request, req *kmsg.DescribeClusterRequest) *kmsg.DescribeClusterResponse {
	resp := kmsg.NewPtrDescribeClusterResponse()
	resp.ControllerID, resp.EndpointType = -1, req.EndpointType
	if req.Version >= 1 && req.EndpointType != brokerEndpoints {
		code := wire.UnsupportedEndpointType
		if req.EndpointType == brokerEndpoints+1 {
			code = wire.MismatchedEndpointType
		}
		resp.ErrorCode, resp.ErrorMessage = code.Code(), kmsg.StringPtr(code.Message())
		return resp
	}
	img := b.cfg.Metadata.Image()
	resp.ClusterID, resp.ControllerID = img.ClusterID(), liveController(img)
	if req.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = clusterOperations
	}
	brokers := b.unfenced(img, 0)
	if req.IncludeFencedBrokers {
		brokers = img.Brokers()
	}
	for _, node := range brokers {
		e, ok := b.endpoint(&node, r.Conn)
		if !ok {
			continue
		}
		rb := kmsg.NewDescribeClusterResponseBroker()
		rb.NodeID, rb.Host, rb.Port, rb.Rack, rb.IsFenced = node.ID, e.Host, int32(e.Port), nullable(node.Rack), node.Fenced
		resp.Brokers = append(resp.Brokers, rb)
	}
	return resp
}
