package broker

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/logbahn/logbahn/internal/cluster"
	"github.com/logbahn/logbahn/internal/wire"
)

// A client that is told the address which it has reached is told it wherever this broker's is told.
func TestReachedAddress(t *testing.T) {
	n := start(t)
	n.conn.Reached = &cluster.Endpoint{Name: "PLAINTEXT", Host: "192.0.2.7", Port: 19092}
	ask := func(req kmsg.Request) kmsg.Response {
		t.Helper()
		req.SetVersion(0)
		finish, err := n.broker.Start(t.Context(), &Request{Header: wire.RequestHeader{Key: req.Key()}, Body: req, Conn: n.conn})
		must(t, finish, err)
		out, err := finish(t.Context()).AppendTo(nil)
		must(t, out, err)
		resp := req.ResponseKind()
		must(t, resp, resp.ReadFrom(out))
		return resp
	}
	told := map[string]string{}
	for _, b := range ask(kmsg.NewPtrMetadataRequest()).(*kmsg.MetadataResponse).Brokers {
		told["Metadata"] = b.Host
	}
	for _, b := range ask(kmsg.NewPtrDescribeClusterRequest()).(*kmsg.DescribeClusterResponse).Brokers {
		told["DescribeCluster"] = b.Host
	}
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.CoordinatorKey = "group"
	told["FindCoordinator"] = ask(find).(*kmsg.FindCoordinatorResponse).Host
	for _, api := range []string{"Metadata", "DescribeCluster", "FindCoordinator"} {
		if told[api] != "192.0.2.7" {
			t.Errorf("%s tells %q", api, told[api])
		}
	}
}
