package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// DescribeTransactions, version 0 (KIP-664). Transactions are not served (see InitProducerId): there is none of any id.

func (b *Broker) describeTransactions(_ context.Context, _ *Request, req *kmsg.DescribeTransactionsRequest) *kmsg.DescribeTransactionsResponse {
	resp := kmsg.NewPtrDescribeTransactionsResponse()
	for _, id := range req.TransactionalIDs {
		s := kmsg.NewDescribeTransactionsResponseTransactionState()
		s.TransactionalID, s.ErrorCode = id, wire.TransactionalIDNotFound.Code()
		if id == "" {
			s.ErrorCode = wire.InvalidRequest.Code()
		}
		resp.TransactionStates = append(resp.TransactionStates, s)
	}
	return resp
}
