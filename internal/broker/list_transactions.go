package broker

import (
	"context"
	"regexp/syntax"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// ListTransactions, versions 0 to 2 (KIP-664; v1 filters by duration, KIP-994; v2 by a pattern, KIP-1152). Transactions
// are not served (see InitProducerId): the list is empty, but a filter that makes no sense is told so.

// transactionStates are the names that Kafka's transactions' states have.
var transactionStates = [...]string{
	"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence",
}

func (b *Broker) listTransactions(_ context.Context, _ *Request, req *kmsg.ListTransactionsRequest) *kmsg.ListTransactionsResponse {
	resp := kmsg.NewPtrListTransactionsResponse()
	for _, state := range req.StateFilters {
		if !slices.Contains(transactionStates[:], state) {
			resp.UnknownStateFilters = append(resp.UnknownStateFilters, state)
		}
	}
	if p := req.TransactionalIDPattern; p != nil && !validPattern(*p) {
		resp.ErrorCode = wire.InvalidRegularExpression.Code()
	}
	return resp
}

// patternBytesMax bounds a pattern: parsed, it takes some hundred times its length.
const patternBytesMax = 4096

// validPattern tells whether p is a regular expression in RE2's syntax, which Kafka uses as well.
func validPattern(p string) bool {
	if len(p) > patternBytesMax {
		return false
	}
	_, err := syntax.Parse(p, syntax.Perl)
	return err == nil
}
