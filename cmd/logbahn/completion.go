package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/logbahn/logbahn/internal/config"
)

// completionPatience is what the shell's user waits for names at most: without them the line can still be typed.
const completionPatience = 700 * time.Millisecond

type completer = cobra.CompletionFunc

// completeTopics offers the topics that the brokers know and the line does not yet name.
func completeTopics(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return complete(c, args, typed, topicNames)
}

// completeGroups offers the groups.
func completeGroups(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	return complete(c, args, typed, groupNames)
}

// first completes only the first argument.
func first(complete completer) completer {
	return func(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(c, args, typed)
	}
}

func topicNames(ctx context.Context, admin *kadm.Client) ([]string, error) {
	topics, err := admin.ListTopics(ctx)
	return topics.Names(), err
}

func groupNames(ctx context.Context, admin *kadm.Client) ([]string, error) {
	groups, err := admin.ListGroups(ctx)
	return groups.Groups(), err
}

// complete is quiet when it fails: what it would print would stand in the middle of the user's line.
func complete(c *cobra.Command, args []string, typed string, names func(context.Context, *kadm.Client) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	const nothing = cobra.ShellCompDirectiveNoFileComp
	addrs, err := c.Flags().GetStringSlice("brokers")
	if err != nil {
		return nil, nothing
	}
	client, err := newClient(addrs)
	if err != nil {
		return nil, nothing
	}
	defer abandon(client)
	ctx, cancel := context.WithTimeout(context.Background(), completionPatience)
	defer cancel()
	found, err := names(ctx, kadm.NewClient(client))
	if err != nil {
		return nil, nothing
	}
	found = slices.DeleteFunc(found, func(name string) bool {
		return !strings.HasPrefix(name, typed) || slices.Contains(args, name)
	})
	slices.Sort(found)
	return found, nothing
}

// completeTopicKeys and completeBrokerKeys offer the settings that can be changed, with the beginning of their description.
func completeTopicKeys(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	return keysOf(config.TopicKeys(), typed)
}

func completeBrokerKeys(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
	return keysOf(config.BrokerKeys(), typed)
}

func keysOf(defs []*config.Def, typed string) ([]string, cobra.ShellCompDirective) {
	var keys []string
	for _, d := range defs {
		if !d.Hidden && strings.HasPrefix(d.Name, typed) {
			first, _, _ := strings.Cut(d.Doc, ". ")
			keys = append(keys, d.Name+"\t"+strings.TrimSuffix(first, "."))
		}
	}
	return keys, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}
