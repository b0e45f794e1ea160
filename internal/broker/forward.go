package broker

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/quorum"
	"github.com/logbahn/logbahn/internal/wire"
)

// What changes the cluster is the controller's: these requests are passed on as they came, and answered when the change
// is in this broker's image.

const (
	changePatience    = 5 * time.Second // at least: the change itself takes a disk's flush on each voter
	changePatienceMax = 5 * time.Minute
)

// change runs a request at the controller. The code, when it is not None, stands for an answer that did not come.
func (b *Broker) change(ctx context.Context, req kmsg.Request, timeoutMillis int32) (kmsg.Response, wire.Error) {
	patience := time.Duration(timeoutMillis) * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, min(max(patience, changePatience), changePatienceMax))
	defer cancel()
	resp, err := b.cfg.Metadata.Do(ctx, req)
	if err != nil {
		return nil, b.changeError(err)
	}
	return resp, wire.None
}

func (b *Broker) changeError(err error) wire.Error {
	var elsewhere *quorum.NotControllerError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.Is(err, quorum.ErrOutcomeUnknown):
		return wire.RequestTimedOut
	case errors.As(err, &elsewhere):
		return wire.NotController
	}
	return b.failed("change of the cluster", err)
}
