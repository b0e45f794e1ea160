package main

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/logbahn/logbahn/logbahntest"
)

// commands runs command lines against a cluster.
type commands struct {
	t       *testing.T
	brokers string
}

// run returns what a command line printed, and fails the test when its exit code is another.
func (c commands) run(code int, line string) (stdout, stderr string) {
	c.t.Helper()
	got, stdout, stderr := c.try(line)
	if got != code {
		c.t.Fatalf("logbahn %s: exit %d, want %d\n%s%s", line, got, code, stdout, stderr)
	}
	return stdout, stderr
}

func (c commands) try(line string) (code int, stdout, stderr string) {
	var out, said bytes.Buffer
	args := append(strings.Fields(line), "--brokers", c.brokers)
	code = run(c.t.Context(), args, strings.NewReader(""), &out, &said)
	return code, out.String(), said.String()
}

// prints runs a command line, until it succeeds and its output matches.
func (c commands) prints(line string, patterns ...string) {
	c.t.Helper()
	c.ends(exitOK, line, patterns...)
}

// ends runs a command line, until it ends with an exit code and its output matches.
func (c commands) ends(code int, line string, patterns ...string) {
	c.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		got, out, said := c.try(line)
		missing := ""
		for _, p := range patterns {
			if !regexp.MustCompile("(?m)" + p).MatchString(out) {
				missing = p
			}
		}
		if got == code && missing == "" {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("logbahn %s: exit %d, want %d, and nothing matches %q\n%s%s", line, got, code, missing, out, said)
		}
	}
}

// TestClusterCommands looks at three brokers while one is lost, moves replicas around, and changes who votes.
func TestClusterCommands(t *testing.T) {
	nodes := logbahntest.Run(t, logbahntest.Brokers(3), logbahntest.TCP())
	c := commands{t, strings.Join(nodes.Addrs(), ",")}
	nodes.CreateTopic("rides", 6)
	nodes.CreateTopic("single", 1, "min.insync.replicas", "1")
	nodes.Produce("rides", "a", "b", "c")

	c.prints("cluster health --exit-code", `^brokers +ok +3 brokers, none fenced$`, `^quorum +ok +leader \d, 3 nodes$`, `^writable +ok`)
	c.prints("cluster brokers", `^1 `, `^2 `, `^3 `)
	c.prints("cluster partitions --under-replicated -o json", `^\[\]$`)

	c.prints("doctor", `^advertised +ok +127.0.0.1:\d+, 127.0.0.1:\d+, 127.0.0.1:\d+`)
	t.Run("who answers at an address", func(t *testing.T) {
		client, err := newClient(nodes.Addrs()[:1])
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if seed := client.SeedBrokers()[0]; !answersAs(t.Context(), seed, 1) || answersAs(t.Context(), seed, 2) {
			t.Error("broker 1 is not known from broker 2")
		}
	})
	t.Run("a broker is lost", func(t *testing.T) {
		c := commands{t, c.brokers}
		nodes.Kill(3)
		c.prints("cluster health", `^brokers +WRONG +broker 3 is fenced$`, `^replicas +WRONG +\d+ have replicas out of sync: `, `^offline +WRONG`)
		c.ends(exitError, "cluster health --exit-code") // it may ask a broker that has not learnt of it
		c.prints("cluster partitions rides --under-replicated --broker 3", `^rides +0 +under-replicated +[12] `)
		c.prints("cluster partitions --leader 3 -o json", `^\[\]$`)
		nodes.Restart(3)
		c.prints("cluster health", `^brokers +ok`, `^replicas +ok`)
	})
	t.Run("drain", func(t *testing.T) {
		c := commands{t, c.brokers}
		_, said := c.run(exitOK, "cluster drain 2")
		if !strings.Contains(said, "preview only") {
			t.Errorf("it says %q", said)
		}
		c.run(exitOK, "cluster drain 2 --execute")
		for _, addr := range nodes.Addrs() { // at once, whoever is asked
			if out, _ := (commands{t, addr}).run(exitOK, "cluster partitions --leader 2 -o json"); out != "[]\n" {
				t.Errorf("%s tells of leaderships of broker 2: %s", addr, out)
			}
		}
		if out, said := c.run(exitOK, "cluster drain 2 --execute"); !strings.Contains(said, "nothing has to be moved") {
			t.Errorf("it says %q: %s", said, out)
		}
		c.run(exitNotFound, "cluster drain 9")
		c.run(exitUsage, "cluster drain two")
		if _, said := c.run(exitRefused, "cluster drain 2 --replicas"); !strings.Contains(said, "2 brokers have to hold 3 replicas") {
			t.Errorf("it says %q", said)
		}
	})
	t.Run("move", func(t *testing.T) {
		c := commands{t, c.brokers}
		c.prints("cluster move rides:0 --replicas 2,1", `^rides +0 +\d,\d,\d +2,1 `)
		if _, said := c.run(exitOK, "cluster move rides:0,1 --replicas 2,1 --throttle 50MiB --execute"); !strings.Contains(said, "each broker copies 50.0 MiB/s at most") {
			t.Errorf("it says %q", said)
		}
		c.prints("cluster partitions rides", `^rides +0 +ok +2 +2,1 `, `^rides +1 +ok +2 +2,1 `)
		c.run(exitOK, "cluster move rides:0 --to 3,1 --execute")
		c.prints("cluster partitions rides", `^rides +0 +ok +[13] +([13],?){2} `)
		c.prints("cluster move --status -o json", `^\[\]$`)
		if _, said := c.run(exitOK, "cluster move --cancel --execute"); !strings.Contains(said, "nothing is being moved") {
			t.Errorf("it says %q", said)
		}
		c.run(exitNotFound, "cluster move nothing --to 1,2,3")
		c.run(exitNotFound, "cluster move rides:77 --to 1,2,3")
		c.run(exitNotFound, "cluster move rides --to 1,2,9")
		c.run(exitRefused, "cluster move rides --to 1")
		for _, wrong := range []string{"rides", "--to 1", "rides --to 1,1", "rides --to 1 --replicas 1", "rides --to 1 --throttle fast", "rides --to 1 --throttle 17179869184GiB", "--status --execute"} {
			c.run(exitUsage, "cluster move "+wrong)
		}
	})
	t.Run("quorum", func(t *testing.T) {
		c := commands{t, c.brokers}
		c.prints("cluster quorum", `^1 +(leader|voter) `, `^3 +(leader|voter) `)
		c.run(exitRefused, "cluster quorum add 3")
		c.run(exitNotFound, "cluster quorum remove 9")
		c.run(exitUsage, "cluster quorum remove nine")
		c.run(exitOK, "cluster quorum remove 3")
		c.prints("cluster quorum", `^3 +observer `)
		c.run(exitOK, "cluster quorum add 3")
		c.prints("cluster quorum", `^3 +(leader|voter) `)
	})
	if got := nodes.Consume("rides", 3); len(got) != 3 {
		t.Errorf("%d records are left of 3", len(got))
	}
}
