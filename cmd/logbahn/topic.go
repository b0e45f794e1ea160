package main

import (
	"bufio"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func topicCommand() *cobra.Command {
	c := &cobra.Command{Use: "topic", Short: "Topics: list, create, describe, alter, delete, trim, read and write"}
	needsSubcommand(c)
	brokersFlag(c)
	c.AddCommand(topicList(), topicCreate(), topicDescribe(), topicAlter(), topicDelete(), topicTrim(),
		produceCommand(), consumeCommand(), topicTail())
	return c
}

type topicRow struct {
	Topic      string `json:"topic" doc:"name"`
	ID         string `json:"id" doc:"id, as Kafka's tools write it"`
	Partitions int    `json:"partitions" doc:"number of partitions"`
	Replicas   int    `json:"replicas" doc:"replicas of each partition"`
	Internal   bool   `json:"internal" doc:"whether it is one of the cluster's own"`
}

func rowOf(t kadm.TopicDetail) topicRow {
	return topicRow{t.Topic, topicID(t.ID), len(t.Partitions), t.Partitions.NumReplicas(), t.IsInternal}
}

// topicID writes an id as Kafka's tools do.
func topicID(id kadm.TopicID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// findTopic returns a topic, or an error that names it.
func findTopic(ctx context.Context, admin *kadm.Client, name string) (kadm.TopicDetail, error) {
	if err := checkNames([]string{name}); err != nil {
		return kadm.TopicDetail{}, err
	}
	topics, err := admin.ListTopicsWithInternal(ctx, name)
	if err != nil {
		return kadm.TopicDetail{}, err
	}
	t := topics[name]
	return t, named("topic", name, t.Err, "")
}

// checkNames refuses an empty name: the client library takes it for no name, and a broker then lists all topics.
func checkNames(topics []string) error {
	for _, name := range topics {
		if name == "" {
			return usageErrorf("the name of a topic is empty")
		}
	}
	return nil
}

// keyValues parses key=value pairs.
func keyValues(pairs []string) (map[string]*string, error) {
	settings := map[string]*string{}
	for _, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, usageErrorf("%q is not of the form key=value", pair)
		}
		settings[key] = &value
	}
	return settings, nil
}

// yesFlag adds --yes to a command that deletes.
func yesFlag(c *cobra.Command, yes *bool) {
	c.Flags().BoolVarP(yes, "yes", "y", false, "do not ask")
}

// confirm asks on standard error; only "y" and "yes" are a yes, and no answer is none.
func confirm(c *cobra.Command, question string) error {
	fmt.Fprintf(c.ErrOrStderr(), "%s [y/N] ", question)
	answer, err := bufio.NewReader(interruptible{c.Context(), c.InOrStdin()}).ReadString('\n')
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(c.ErrOrStderr())
		return err
	}
	answer = strings.ToLower(strings.TrimSpace(answer))
	if answer == "y" || answer == "yes" {
		return nil
	}
	if !isTerminal(c.InOrStdin()) {
		fmt.Fprintln(c.ErrOrStderr())
	}
	return &cliError{code: exitRefused, err: errors.New("not confirmed: nothing was deleted"), hint: "--yes deletes without asking"}
}
