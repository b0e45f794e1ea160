package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/logbahn/logbahn/internal/config"
)

type explanation struct {
	Key       string   `json:"key" doc:"key"`
	Scope     string   `json:"scope" doc:"broker or topic"`
	Type      string   `json:"type" doc:"BOOLEAN, STRING, INT, SHORT, LONG, DOUBLE, LIST, CLASS or PASSWORD"`
	Default   *string  `json:"default" doc:"null: none"`
	Allowed   string   `json:"allowed" doc:"what values it takes, for people; empty: any text"`
	Change    string   `json:"change" doc:"read-only, per-broker or cluster-wide; topic for a topic's"`
	Class     string   `json:"class" doc:"honoured, mapped, accepted without effect or refused"`
	Reason    string   `json:"reason" doc:"why it is refused"`
	Synonyms  []string `json:"synonyms" doc:"a topic's: the broker's keys that count when the topic has none of its own, the first one first"`
	Doc       string   `json:"doc" doc:"what it is"`
	Value     *string  `json:"value" doc:"what counts now, if a broker answers; null: none, or not known"`
	Source    string   `json:"source" doc:"where that comes from, as in cluster configs get; empty: not known"`
	sensitive bool
}

func configExplain() *cobra.Command {
	var topic string
	c := &cobra.Command{Use: "explain KEY", Short: "Tell what a setting is, and what it is set to if a broker answers", Args: exactArgs(1),
		Example:           "  logbahn config explain log.retention.ms\n  logbahn config explain retention.ms --topic rides",
		ValidArgsFunction: first(completeAnyKey)}
	brokersFlag(c)
	c.Flags().StringVar(&topic, "topic", "", "the value that counts for this topic")
	_ = c.RegisterFlagCompletionFunc("topic", completeTopics)
	outputFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		found := explanationsOf(args[0])
		if topic != "" {
			found = slices.DeleteFunc(found, func(e explanation) bool { return e.Scope != "topic" })
		}
		if len(found) == 0 {
			return unknownKey(args[0], topic)
		}
		if err := addCurrent(c, found, topic); err != nil {
			return err
		}
		if forPeople(c) {
			for i, e := range found {
				if i > 0 {
					fmt.Fprintln(c.OutOrStdout())
				}
				e.print(c.OutOrStdout())
			}
			return nil
		}
		return show(c, found, "", nil)
	}
	return c
}

// completeAnyKey offers the keys of brokers and of topics.
func completeAnyKey(c *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	ofBrokers, _ := completeBrokerKeys(c, args, typed)
	ofTopics, _ := completeTopicKeys(c, args, typed)
	return append(ofBrokers, ofTopics...), cobra.ShellCompDirectiveNoFileComp
}

func unknownKey(key, topic string) error {
	hint := "`logbahn cluster configs get --all` shows those of a broker"
	var near []string
	for _, d := range slices.Concat(config.BrokerKeys(), config.TopicKeys()) {
		if !d.Hidden && len(near) < 8 && !slices.Contains(near, d.Name) && strings.Contains(d.Name, strings.ToLower(key)) {
			near = append(near, d.Name)
		}
	}
	if meant := config.Suggest(key); meant != "" {
		near = []string{meant}
	}
	if len(near) > 0 && topic == "" {
		hint = "did you mean " + strings.Join(near, ", ") + "?"
	}
	what := "neither a broker nor a topic has"
	if topic != "" {
		what = "no topic has"
	}
	return &cliError{code: exitNotFound, err: fmt.Errorf("%s a setting %q", what, key), hint: hint}
}

// explanationsOf returns what the tables say of a key: a broker and a topic may both have one of that name.
func explanationsOf(key string) []explanation {
	found := []explanation{}
	if d, ok := config.BrokerKey(key); ok {
		e := explain(d, "broker")
		e.Key = key
		e.Change = [...]string{"read-only", "per-broker", "cluster-wide"}[d.Dynamic]
		found = append(found, e)
	}
	if d, ok := config.TopicKey(key); ok {
		e := explain(d, "topic")
		e.Change = "topic"
		for _, s := range d.Server {
			e.Synonyms = append(e.Synonyms, s.Name)
		}
		found = append(found, e)
	}
	return found
}

func explain(d *config.Def, scope string) explanation {
	e := explanation{Key: d.Name, Scope: scope, Type: d.Type.String(), Allowed: d.Allowed(), Class: d.Class.String(), Reason: d.Reason,
		Synonyms: []string{}, Doc: d.Doc, sensitive: d.Sensitive()}
	if !d.Unset {
		e.Default = &d.Default
	}
	return e
}

// addCurrent asks a broker. That none answers is no error unless a topic was named: the rest is known without one.
func addCurrent(c *cobra.Command, found []explanation, topic string) error {
	addrs, err := c.Flags().GetStringSlice("brokers")
	if err != nil {
		return err
	}
	client, err := newClient(addrs, quick())
	if err != nil {
		return err
	}
	defer abandon(client)
	ctx, cancel := context.WithTimeout(c.Context(), completionPatience)
	defer cancel()
	admin := kadm.NewClient(client)
	if topic != "" {
		return topicValue(ctx, admin, found, topic)
	}
	configs, err := brokerConfigs(ctx, admin, configsFlags{broker: -1})
	if err != nil {
		return c.Context().Err()
	}
	setCurrent(found, "broker", configs.Configs)
	return nil
}

func topicValue(ctx context.Context, admin *kadm.Client, found []explanation, topic string) error {
	described, err := admin.DescribeTopicConfigs(ctx, topic)
	if err != nil {
		return err
	}
	for _, r := range described {
		if r.Err != nil {
			return named("topic", topic, r.Err, "")
		}
		setCurrent(found, "topic", r.Configs)
	}
	return nil
}

func setCurrent(found []explanation, scope string, configs []kadm.Config) {
	for i := range found {
		for _, entry := range configs {
			if found[i].Scope == scope && entry.Key == found[i].Key {
				found[i].Value, found[i].Source = entry.Value, sourceName(entry.Source)
			}
		}
	}
}

var changes = map[string]string{
	"read-only":    "at a restart",
	"per-broker":   "while it runs, for one broker: logbahn cluster configs set",
	"cluster-wide": "while it runs, for one broker or with --default for all: logbahn cluster configs set",
	"topic":        "at any time: logbahn topic alter TOPIC -c",
}

func (e explanation) print(w io.Writer) {
	fmt.Fprintf(w, "%s  (of a %s)\n\n  %s\n\n", e.Key, e.Scope, e.Doc)
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(w, "  %-9s %s\n", name, text)
		}
	}
	line("type", strings.ToLower(e.Type))
	line("allowed", e.Allowed)
	line("default", quoted(e.Default))
	if e.Source != "" {
		now := quoted(e.Value)
		if e.sensitive {
			now = "(not shown)"
		}
		line("now", now+"  from "+e.Source)
	}
	line("class", e.Class)
	line("reason", e.Reason)
	line("change", changes[e.Change])
	line("else", strings.Join(e.Synonyms, ", then ")+map[bool]string{true: " of the broker"}[len(e.Synonyms) > 0])
}

func quoted(value *string) string {
	switch {
	case value == nil:
		return "none"
	case *value == "":
		return `""`
	}
	return *value
}
