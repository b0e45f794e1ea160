package broker

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// heldController answers when it is told to.
type heldController struct {
	Metadata
	asked  chan struct{}
	answer chan error
}

func (h *heldController) Do(ctx context.Context, _ kmsg.Request) (kmsg.Response, error) {
	h.asked <- struct{}{}
	select {
	case err := <-h.answer:
		return nil, err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// However many ask, the controller has one question at a time; and who asks while it is answered waits for the next answer, since
// this one may be of before.
func TestNewestImageIsAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heldController{asked: make(chan struct{}, 100), answer: make(chan error)}
		n := newNewest()
		var wg sync.WaitGroup
		got := make(chan error, 100)
		ask := func() { wg.Go(func() { got <- n.ask(t.Context(), h) }) }
		ask()
		synctest.Wait()
		for range 50 {
			ask()
		}
		synctest.Wait()
		if len(h.asked) != 1 {
			t.Fatalf("%d questions at once", len(h.asked))
		}
		h.answer <- nil
		synctest.Wait()
		if len(got) != 1 || len(h.asked) != 2 {
			t.Fatalf("the first answer is for %d, and %d questions were asked", len(got), len(h.asked))
		}
		h.answer <- errors.New("no controller")
		wg.Wait()
		if len(h.asked) != 2 || <-got != nil {
			t.Errorf("%d questions were asked", len(h.asked))
		}
		for range 50 {
			if <-got == nil {
				t.Fatal("an answer that failed is taken for one")
			}
		}
	})
}

// A client that goes away does not take the answer from the others, and nobody waits for long.
func TestNewestImageOutlivesItsClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &heldController{asked: make(chan struct{}, 100), answer: make(chan error)}
		n := newNewest()
		ctx, leave := context.WithCancel(t.Context())
		first, second := make(chan error, 1), make(chan error, 1)
		n.turn <- struct{}{} // a question is under way
		go func() { first <- n.ask(ctx, h) }()
		synctest.Wait()
		go func() { second <- n.ask(t.Context(), h) }()
		synctest.Wait()
		leave()
		<-n.turn
		<-h.asked
		h.answer <- nil
		if err := <-second; err != nil {
			t.Error(err)
		}
		<-first
		begun := time.Now()
		if err := n.ask(t.Context(), h); err == nil || time.Since(begun) > newestPatience {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
	})
}
