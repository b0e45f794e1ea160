package kafkacli

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func brokerAPIVersionsTool() *tool {
	return &tool{
		name: "kafka-broker-api-versions",
		does: "This tool helps to retrieve broker version information.",
		run:  runBrokerAPIVersions,
		options: []option{
			{name: "bootstrap-server", kind: text, value: "server(s) to use for bootstrapping", help: "REQUIRED: where the cluster answers, host:port,..."},
			{name: "command-config", kind: text, value: "command config property file", help: "A file with properties for the connection."},
		},
	}
}

func runBrokerAPIVersions(ctx context.Context, c *call) error {
	if err := c.opts.require("bootstrap-server"); err != nil {
		return err
	}
	return c.admin(ctx, func(ctx context.Context, client *kgo.Client) error {
		resp, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, client)
		if err != nil {
			return err
		}
		slices.SortFunc(resp.Brokers, func(a, b kmsg.MetadataResponseBroker) int { return int(a.NodeID - b.NodeID) })
		for _, b := range resp.Brokers {
			fmt.Fprintf(c.out, "%s:%d (id: %d rack: %s isFenced: false) -> ", b.Host, b.Port, b.NodeID, valueOf(b.Rack))
			served, err := apiVersions(ctx, client.Broker(int(b.NodeID)))
			if err != nil {
				fmt.Fprintf(c.out, "ERROR: %v\n", err)
				continue
			}
			c.printAPIVersions(served.ApiKeys)
		}
		return nil
	})
}

// apiVersions asks for APIs and features. A broker refuses who does not name its software.
func apiVersions(ctx context.Context, to kmsg.Requestor) (*kmsg.ApiVersionsResponse, error) {
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = softwareName, KafkaVersion
	resp, err := req.RequestWith(ctx, to)
	if err == nil {
		err = refusal(resp.ErrorCode, nil)
	}
	return resp, err
}

func (c *call) printAPIVersions(served []kmsg.ApiVersionsResponseApiKey) {
	fmt.Fprint(c.out, "(\n")
	lines := map[int16]string{}
	for _, k := range served {
		versions := fmt.Sprintf("%d to %d", k.MinVersion, k.MaxVersion)
		if k.MinVersion == k.MaxVersion {
			versions = fmt.Sprint(k.MinVersion)
		}
		usable := "UNSUPPORTED"
		name := kmsg.NameForKey(k.ApiKey)
		if ours, ok := newestAPIs[k.ApiKey]; ok {
			name = ours.name
			if v := min(ours.newest, k.MaxVersion); v >= k.MinVersion && v >= ours.oldest {
				usable = fmt.Sprint(v)
			}
		}
		if name == "" || name == "Unknown" {
			name = "UNKNOWN"
		}
		lines[k.ApiKey] = fmt.Sprintf("%s(%d): %s [usable: %s]", name, k.ApiKey, versions, usable)
	}
	for key, api := range newestAPIs {
		if lines[key] == "" {
			lines[key] = fmt.Sprintf("%s(%d): UNSUPPORTED", api.name, key)
		}
	}
	keys := make([]int16, 0, len(lines))
	for key := range lines {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for i, key := range keys {
		comma := ","
		if i == len(keys)-1 {
			comma = ""
		}
		fmt.Fprintf(c.out, "\t%s%s\n", lines[key], comma)
	}
	fmt.Fprint(c.out, ")\n")
}
