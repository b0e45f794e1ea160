package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// operatePatience bounds what a running demo gets to do what it is told: a broker that starts recovers its data first.
const operatePatience = 40 * time.Second

func demoKillLeader() *cobra.Command {
	var dir string
	c := &cobra.Command{Use: "kill-leader", Short: "Kill a broker of the running demo, the leader of telematics/0, as a crash would", Args: exactArgs(0),
		Example: "  logbahn demo --brokers 3\n  logbahn demo kill-leader          # in another terminal"}
	c.Flags().StringVar(&dir, "dir", "", "data directory of the demo (default ~/.logbahn/demo)")
	c.RunE = func(c *cobra.Command, _ []string) error {
		id, err := operateDemo(c.Context(), dir, "kill-leader")
		if err == nil {
			fmt.Fprintf(c.OutOrStdout(), "broker %d was killed; `logbahn demo start-broker %d` starts it again\n", id, id)
		}
		return err
	}
	return c
}

func demoStartBroker() *cobra.Command {
	var dir string
	c := &cobra.Command{Use: "start-broker ID", Short: "Start a broker of the running demo that was killed", Args: exactArgs(1)}
	c.Flags().StringVar(&dir, "dir", "", "data directory of the demo (default ~/.logbahn/demo)")
	c.RunE = func(c *cobra.Command, args []string) error {
		id, err := strconv.ParseUint(args[0], 10, 31)
		if err != nil {
			return usageErrorf("%q is no broker: brokers are numbers", args[0])
		}
		started, err := operateDemo(c.Context(), dir, fmt.Sprintf("brokers/%d/start", id))
		if err == nil {
			fmt.Fprintf(c.OutOrStdout(), "broker %d runs\n", started)
		}
		return err
	}
	return c
}

// operateDemo has the demo that runs on a directory do something to a broker, and returns which one it was.
func operateDemo(ctx context.Context, dir, what string) (int32, error) {
	dir, _, err := demoFlags{dir: dir}.directory()
	if err != nil {
		return 0, err
	}
	running, err := readDemoFile(dir)
	if err != nil || !alive(running) {
		return 0, &cliError{code: exitUnreachable, err: fmt.Errorf("no demo is running on %s", dir), hint: "`logbahn demo --brokers 3` starts one; --dir names another directory"}
	}
	ctx, cancel := context.WithTimeout(ctx, operatePatience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, running.URL+"/api/"+what, nil)
	if err != nil {
		return 0, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return 0, err
	}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotImplemented:
		return 0, &cliError{code: exitRefused, err: errors.New("this demo has one broker: nobody could take over"), hint: "`logbahn demo --brokers 3` starts three"}
	case http.StatusNotFound:
		return 0, &cliError{code: exitNotFound, err: errors.New(printable(strings.TrimSpace(string(body)))), hint: "`logbahn cluster brokers` shows the brokers"}
	default:
		return 0, &cliError{code: exitRefused, err: errors.New(printable(strings.TrimSpace(string(body))))}
	}
	var done struct {
		Broker int32 `json:"broker"`
	}
	return done.Broker, json.Unmarshal(body, &done)
}
