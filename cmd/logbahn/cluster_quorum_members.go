package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func quorumAdd() *cobra.Command {
	var address, listener string
	c := &cobra.Command{Use: "add NODE", Short: "Make an observer of the controller quorum a voter", Args: exactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Makes a node that follows the metadata log a voter, once it has caught up. The node has to run, with the controller role.\n" +
			"Voters reach it at its broker's address, or at --address.",
		Example: "  logbahn cluster quorum add 4\n  logbahn cluster quorum add 4 --address host4:9093"}
	c.Flags().StringVar(&address, "address", "", "host:port of the node's controller listener, where it is not the broker's")
	c.Flags().StringVar(&listener, "listener", "CONTROLLER", "name of the controller listener")
	c.RunE = func(c *cobra.Command, args []string) error {
		return changeQuorum(c, args[0], func(ctx context.Context, client *kgo.Client, q quorumObject, node int32) error {
			m, err := q.member(node, "observer")
			if err != nil {
				return err
			}
			req := kmsg.NewPtrAddRaftVoterRequest()
			req.VoterID, req.VoterDirectoryID, req.TimeoutMillis = node, m.directory, int32(requestTimeout.Milliseconds())
			endpoint := kmsg.NewAddRaftVoterRequestListener()
			endpoint.Name = listener
			if endpoint.Host, endpoint.Port, err = voterAddress(ctx, client, node, address); err != nil {
				return err
			}
			req.Listeners = append(req.Listeners, endpoint)
			resp, err := req.RequestWith(ctx, client)
			if err != nil {
				return err
			}
			return quorumRefusal(resp.ErrorCode, resp.ErrorMessage)
		}, "node %d votes\n")
	}
	return c
}

func quorumRemove() *cobra.Command {
	c := &cobra.Command{Use: "remove NODE", Short: "Take a voter out of the controller quorum", Args: exactArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		Long: "Takes a voter out of the quorum, whether it runs or not. Where it runs it goes on as an observer.\n" +
			"A node that is in its own controller.quorum.voters (or --voters) makes itself a voter again when it is started anew.",
		Example: "  logbahn cluster quorum remove 3"}
	c.RunE = func(c *cobra.Command, args []string) error {
		return changeQuorum(c, args[0], func(ctx context.Context, client *kgo.Client, q quorumObject, node int32) error {
			m, err := q.member(node, "voter", "leader")
			if err != nil {
				return err
			}
			req := kmsg.NewPtrRemoveRaftVoterRequest()
			req.VoterID, req.VoterDirectoryID = node, m.directory
			resp, err := req.RequestWith(ctx, client)
			if err != nil {
				return err
			}
			return quorumRefusal(resp.ErrorCode, resp.ErrorMessage)
		}, "node %d votes no longer\n")
	}
	return c
}

// changeQuorum asks who is in the quorum, has do change it, and says so.
func changeQuorum(c *cobra.Command, arg string, do func(ctx context.Context, client *kgo.Client, q quorumObject, node int32) error, done string) error {
	node, err := strconv.ParseUint(arg, 10, 31)
	if err != nil {
		return usageErrorf("%q is no node: nodes are numbers", arg)
	}
	return withClient(c, func(ctx context.Context, client *kgo.Client, _ *kadm.Client) error {
		q, err := quorumOf(ctx, client)
		if err != nil {
			return err
		}
		if err := do(ctx, client, q, int32(node)); err != nil {
			return err
		}
		fmt.Fprintf(c.ErrOrStderr(), done, node)
		return nil
	})
}

// member returns a node that has one of the roles.
func (q quorumObject) member(node int32, roles ...string) (quorumMember, error) {
	for _, m := range q.Nodes {
		switch {
		case m.Node != node:
		case slices.Contains(roles, m.Role):
			return m, nil
		default:
			return m, &cliError{code: exitRefused, err: fmt.Errorf("node %d is %s of the quorum already", node, m.Role)}
		}
	}
	return quorumMember{}, &cliError{code: exitNotFound, err: fmt.Errorf("node %d is not in the quorum, as voter or observer", node), hint: "`logbahn cluster quorum` shows who is"}
}

// voterAddress is --address, or that of the broker with the node's id.
func voterAddress(ctx context.Context, client *kgo.Client, node int32, address string) (string, uint16, error) {
	if address != "" {
		host, text, err := net.SplitHostPort(address)
		port, portErr := strconv.ParseUint(text, 10, 16)
		if err != nil || portErr != nil || host == "" {
			return "", 0, usageErrorf("--address %q is not of the form host:port", address)
		}
		return host, uint16(port), nil
	}
	brokers, err := kadm.NewClient(client).ListBrokers(ctx)
	if err != nil {
		return "", 0, err
	}
	for _, b := range brokers {
		if b.NodeID == node {
			return b.Host, uint16(b.Port), nil
		}
	}
	return "", 0, &cliError{code: exitNotFound, err: fmt.Errorf("node %d is no broker that runs: where is it?", node), hint: "--address names its controller listener"}
}

func quorumRefusal(code int16, message *string) error {
	err := kerr.ErrorForCode(code)
	if err == nil {
		return nil
	}
	text := ""
	if message != nil {
		text = *message
	}
	return &cliError{code: exitRefused, err: brokerSays(err, text)}
}
