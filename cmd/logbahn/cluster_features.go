package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type featuresObject struct {
	Features []featureRow `json:"features" doc:"features in Kafka's sense (KIP-584); a broker may have none"`
	APIs     []apiRow     `json:"apis" doc:"requests that the first broker to answer serves"`
}

type featureRow struct {
	Feature   string `json:"feature" doc:"name"`
	Min       int16  `json:"min" doc:"lowest level that the broker supports"`
	Max       int16  `json:"max" doc:"highest level that the broker supports"`
	Finalized int16  `json:"finalized" doc:"level that the cluster is at, 0 when it is off"`
}

type apiRow struct {
	Key int16  `json:"key" doc:"number of the request"`
	API string `json:"api" doc:"name of the request"`
	Min int16  `json:"min" doc:"lowest version served"`
	Max int16  `json:"max" doc:"highest version served"`
}

func clusterFeatures() *cobra.Command {
	c := &cobra.Command{Use: "features", Short: "Show the features and the requests that the brokers serve", Args: exactArgs(0), ValidArgsFunction: cobra.NoFileCompletions,
		Example: "  logbahn cluster features\n  logbahn cluster features -o json | jq '.apis[] | select(.api==\"Fetch\").max'"}
	outputFlag(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		return withClient(c, func(ctx context.Context, client *kgo.Client, _ *kadm.Client) error {
			f, err := featuresOf(ctx, client)
			if err != nil {
				return err
			}
			if forPeople(c) {
				t := newTable("FEATURE MIN MAX FINALIZED")
				for _, r := range f.Features {
					t.line(r.Feature, r.Min, r.Max, r.Finalized)
				}
				if len(f.Features) == 0 {
					fmt.Fprintln(c.ErrOrStderr(), "the cluster has no features of its own: clients take each for off")
				} else if err := t.write(c.OutOrStdout()); err != nil {
					return err
				}
			}
			return show(c, f, "KEY API MIN MAX", func(line func(...any)) {
				for _, r := range f.APIs {
					line(r.Key, r.API, r.Min, r.Max)
				}
			})
		})
	}
	return c
}

func featuresOf(ctx context.Context, client *kgo.Client) (featuresObject, error) {
	f := featuresObject{Features: []featureRow{}, APIs: []apiRow{}}
	req := kmsg.NewPtrApiVersionsRequest()
	req.ClientSoftwareName, req.ClientSoftwareVersion = "logbahn", release
	resp, err := req.RequestWith(ctx, client)
	if err != nil {
		return f, err
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return f, err
	}
	for _, s := range resp.SupportedFeatures {
		row := featureRow{Feature: s.Name, Min: s.MinVersion, Max: s.MaxVersion}
		for _, level := range resp.FinalizedFeatures {
			if level.Name == s.Name {
				row.Finalized = level.MaxVersionLevel
			}
		}
		f.Features = append(f.Features, row)
	}
	for _, k := range resp.ApiKeys {
		f.APIs = append(f.APIs, apiRow{k.ApiKey, kmsg.NameForKey(k.ApiKey), k.MinVersion, k.MaxVersion})
	}
	slices.SortFunc(f.APIs, func(a, b apiRow) int { return cmp.Compare(a.Key, b.Key) })
	return f, nil
}

// serves tells whether a request is among the APIs.
func (f featuresObject) serves(key kmsg.Key) bool {
	return slices.ContainsFunc(f.APIs, func(a apiRow) bool { return a.Key == key.Int16() })
}
