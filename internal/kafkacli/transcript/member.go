package transcript

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// memberPatience is how long a member may take to get its partitions.
const memberPatience = 30 * time.Second

// Member joins a group as client "member" and returns when it has partitions; leave ends it.
func Member(t *testing.T, group, topic string, opts ...kgo.Opt) (leave func()) {
	t.Helper()
	assigned := make(chan struct{}, 1)
	client, err := kgo.NewClient(append(opts, kgo.ClientID("member"), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.Balancers(kgo.RangeBalancer()),
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) {
			select {
			case assigned <- struct{}{}:
			default:
			}
		}))...)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-assigned:
	case <-time.After(memberPatience):
		t.Fatalf("a member of group %s has no partitions after %v", group, memberPatience)
	}
	return client.Close
}
