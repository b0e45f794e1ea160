package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/logbahn/logbahn/internal/config"
)

// completionPatience is what the shell's user waits for names at most: without them the line can still be typed.
// A variable for the tests' sake, which wait for the names.
var completionPatience = 700 * time.Millisecond

// quick keeps a client to completionPatience where a broker takes the connection and says nothing: its first request does not
// end with the context.
func quick() kgo.Opt { return kgo.RequestTimeoutOverhead(completionPatience) }

// bashWords replaces a function of the generated script that calls the package bash-completion, for shells that have not
// loaded it: without it the function would print an error into the user's line. COMP_WORDS will not do, since bash splits
// words at = and : too.
const bashWords = `
if ! declare -F _get_comp_words_by_ref >/dev/null 2>&1; then
    __logbahn_init_completion()
    {
        COMPREPLY=()
        local line="${COMP_LINE:0:COMP_POINT}"
        read -ra words <<<"${line}"
        if [[ ${line} == *[[:space:]] ]]; then
            words+=("")
        fi
        cword=$((${#words[@]} - 1))
        cur="${words[cword]}"
        if ((cword > 0)); then
            prev="${words[cword - 1]}"
        fi
    }
fi
`

// bashAlone makes the command that prints bash's script do so for shells without bash-completion too.
func bashAlone(c *cobra.Command) {
	generate := c.RunE
	c.Long = strings.Replace(c.Long, "This script depends on the 'bash-completion' package.\nIf it is not installed already, "+
		"you can install it via your OS's package manager.\n", "The package 'bash-completion' is used when it is there, and not needed.\n", 1)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := generate(c, args); err != nil {
			return err
		}
		_, err := fmt.Fprint(c.OutOrStdout(), bashWords)
		return err
	}
}

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
	client, err := newClient(addrs, quick())
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
