package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/vfs"
	"github.com/logbahn/logbahn/internal/wire"
)

// InitProducerId, versions 0 to 5.
//
// Without a transactional id it gives the next id of this broker's block, with epoch 0, whatever id and epoch the client
// had before, as Kafka does. With one it is refused with TRANSACTIONAL_ID_AUTHORIZATION_FAILED, which all clients take as
// final: see produce.go.

// producerIDs is the block of ids that the controller has given to this broker, and no other will ever get.
type producerIDs struct {
	mu        vfs.Gate // held while the next block is asked for: others would ask for the same
	next, end int64
}

// producerIDPatience bounds how long a client waits for the controller's next block.
const producerIDPatience = 10 * time.Second

func (b *Broker) initProducerID(ctx context.Context, _ *Request, req *kmsg.InitProducerIDRequest) *kmsg.InitProducerIDResponse {
	resp := kmsg.NewPtrInitProducerIDResponse()
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	switch {
	case (req.ProducerID < 0) != (req.ProducerEpoch < 0): // KIP-360: both, or none
		resp.ErrorCode = wire.InvalidRequest.Code()
		return resp
	case req.TransactionalID != nil && *req.TransactionalID == "":
		resp.ErrorCode = wire.InvalidRequest.Code()
		return resp
	case req.TransactionalID != nil:
		resp.ErrorCode = wire.TransactionalIDAuthorizationFailed.Code()
		return resp
	}
	id, err := b.nextProducerID(ctx)
	if err != nil {
		b.log.Warn("no producer id", "err", err)
		resp.ErrorCode = wire.CoordinatorLoadInProgress.Code() // as Kafka: the client tries again
		return resp
	}
	resp.ProducerID, resp.ProducerEpoch = id, 0
	return resp
}

func (b *Broker) nextProducerID(ctx context.Context) (int64, error) {
	ids := &b.producerIDs
	ids.mu.Lock()
	defer ids.mu.Unlock()
	if ids.next == ids.end {
		if err := b.nextBlockLocked(ctx); err != nil {
			return 0, err
		}
	}
	ids.next++
	return ids.next - 1, nil
}

func (b *Broker) nextBlockLocked(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, producerIDPatience)
	defer cancel()
	req := kmsg.NewPtrAllocateProducerIDsRequest()
	req.BrokerID = b.cfg.NodeID
	if self, ok := b.cfg.Metadata.Image().Broker(b.cfg.NodeID); ok {
		req.BrokerEpoch = self.Epoch
	}
	resp, err := b.cfg.Metadata.Do(ctx, req)
	if err != nil {
		return err
	}
	block := resp.(*kmsg.AllocateProducerIDsResponse)
	if block.ErrorCode != 0 {
		return fmt.Errorf("allocate producer ids: %w", wire.Error(block.ErrorCode))
	}
	b.producerIDs.next, b.producerIDs.end = block.ProducerIDStart, block.ProducerIDStart+int64(block.ProducerIDLen)
	return nil
}
