package broker

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/wire"
)

// TestThreadsAreResizedInSteps asks for numbers of threads between other changes, which are made.
func TestThreadsAreResizedInSteps(t *testing.T) {
	n := start(t)
	for _, step := range []struct {
		key, value string
		want       wire.Error
	}{
		{"log.cleaner.threads", "0", wire.InvalidRequest}, {"log.cleaner.threads", "3", wire.InvalidRequest},
		{"log.cleaner.threads", "2", wire.None}, {"log.cleaner.threads", "4", wire.None}, {"log.cleaner.threads", "1", wire.InvalidRequest},
		{"num.io.threads", "17", wire.InvalidRequest}, {"num.io.threads", "3", wire.InvalidRequest}, {"num.io.threads", "16", wire.None},
	} {
		req := kmsg.NewPtrIncrementalAlterConfigsRequest()
		req.Version = 1
		for _, r := range []struct{ name, key, value string }{{"1", "log.retention.ms", "5000"}, {"", step.key, step.value}} {
			resource := kmsg.NewIncrementalAlterConfigsRequestResource()
			resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeBroker, r.name
			resource.Configs = append(resource.Configs, kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: r.key, Value: &r.value})
			req.Resources = append(req.Resources, resource)
		}
		resp := call[*kmsg.IncrementalAlterConfigsResponse](n, req)
		if len(resp.Resources) != 2 || resp.Resources[1].ResourceName != "" {
			t.Fatalf("%+v", resp.Resources)
		}
		wantCode(t, "log.retention.ms", resp.Resources[0].ErrorCode, wire.None)
		wantCode(t, step.key+"="+step.value, resp.Resources[1].ErrorCode, step.want)
	}
}

// TestResourceNamedTwice names a broker twice: once with a number of threads that is refused here already.
func TestResourceNamedTwice(t *testing.T) {
	n := start(t)
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.Version = 1
	for _, change := range [][2]string{{"num.io.threads", "17"}, {"log.retention.ms", "5000"}} {
		resource := kmsg.NewIncrementalAlterConfigsRequestResource()
		resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeBroker, "1"
		resource.Configs = append(resource.Configs, kmsg.IncrementalAlterConfigsRequestResourceConfig{Name: change[0], Value: &change[1]})
		req.Resources = append(req.Resources, resource)
	}
	resp := call[*kmsg.IncrementalAlterConfigsResponse](n, req)
	for i := range resp.Resources {
		wantCode(t, "a resource that is named twice", resp.Resources[i].ErrorCode, wire.InvalidRequest)
	}
	if len(resp.Resources) == 0 {
		t.Error("no answer")
	}
}
