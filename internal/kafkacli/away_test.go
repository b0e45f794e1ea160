package kafkacli

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Each broker that cannot be reached is named, the one that a bootstrap address stands for apart, and none more than once a second.
func TestEachBrokerIsSaidToBeAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		h := &awayHook{client: "c", logf: func(_, format string, args ...any) {
			said = append(said, fmt.Sprintf(format, args...)[:len("[Producer clientId=c] Connection to node -1")])
		}}
		fails := func(node int32) {
			h.OnBrokerConnect(kgo.BrokerMetadata{NodeID: node, Host: "h", Port: 1}, 0, nil, errors.New("refused"))
		}
		fails(1)
		if len(said) > 0 {
			t.Errorf("before a broker has answered: %q", said)
		}
		h.reached.Store(true)
		for range 3 {
			fails(math.MinInt32)
			fails(1)
			time.Sleep(awayInterval / 2)
		}
		seed, one := "[Producer clientId=c] Connection to node -1", "[Producer clientId=c] Connection to node 1 "
		if want := []string{seed, one, seed, one}; !slices.Equal(said, want) {
			t.Errorf("said %q", said)
		}
	})
}
