package logbahn

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// TestStopEndsStarts stops a cluster while a node of it starts, which waits in vain for the two others.
func TestStopEndsStarts(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := StartCluster(ctx, ClusterConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for id := range c.members {
		if err := c.Kill(int32(id + 1)); err != nil {
			t.Fatal(err)
		}
	}
	started := make(chan error, 1)
	go func() { started <- c.Start(ctx, 1) }()
	if err := c.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-started; !errors.Is(err, ErrStopped) {
		t.Errorf("a start that meets the stop: %v", err)
	}
	if err := c.Start(ctx, 2); !errors.Is(err, ErrStopped) {
		t.Errorf("a start after the stop: %v", err)
	}
	if c.Running(1) || c.Running(2) {
		t.Error("a node runs after the stop")
	}
}

// TestClusterOnLocalhost: the name means more than one address, and the nodes are told where the others are.
func TestClusterOnLocalhost(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := StartCluster(ctx, ClusterConfig{Nodes: 2, Listeners: []string{"localhost:0", "localhost:0"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range c.Addrs() {
		if !strings.HasPrefix(address, "127.0.0.1:") {
			t.Errorf("a node is at %s", address)
		}
	}
	if err := c.Stop(ctx); err != nil {
		t.Fatal(err)
	}
}
