package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// notifySocket is systemd's end; lines come in the order in which they were sent.
func notifySocket(t *testing.T) (name string, next func() string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("needs datagram sockets of Unix")
	}
	name = filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return name, func() string {
		t.Helper()
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		b := make([]byte, 4096)
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return string(b[:n])
	}
}

func TestStartTellsSystemd(t *testing.T) {
	name, next := notifySocket(t)
	t.Setenv("NOTIFY_SOCKET", name)
	t.Setenv("WATCHDOG_USEC", "20000")
	ctx, stop := context.WithCancel(t.Context())
	var log bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"start", "--log-format", "json", "--override", "listeners=PLAINTEXT://127.0.0.1:0",
			"--override", "ops.listener=127.0.0.1:0", "--override", "log.dirs=" + filepath.Join(t.TempDir(), "data")}, strings.NewReader(""), io.Discard, &log)
	}()
	if got := next(); !strings.HasPrefix(got, "READY=1\n") {
		t.Errorf("first %q", got)
	}
	for range 3 {
		if got := next(); got != "WATCHDOG=1" {
			t.Errorf("then %q", got)
		}
	}
	stop()
	got := next()
	for got == "WATCHDOG=1" {
		got = next()
	}
	if !strings.HasPrefix(got, "STOPPING=1\n") {
		t.Errorf("at the end %q", got)
	}
	if code := <-ended; code != exitOK {
		t.Errorf("exit code %d", code)
	}
	messages := map[string]bool{}
	for line := range strings.Lines(log.String()) {
		var entry struct {
			Msg     string `json:"msg"`
			Metrics string `json:"metrics"`
			Version string `json:"version"`
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		messages[entry.Msg] = true
		if entry.Msg == "ready" && (!strings.HasSuffix(entry.Metrics, "/metrics") || entry.Version == "") {
			t.Errorf("the startup line is %s", line)
		}
	}
	for _, want := range []string{"ready", "stopping", "no client is connected any more", "everything is on disk", "stopped"} {
		if !messages[want] {
			t.Errorf("the log does not say %q:\n%s", want, log.String())
		}
	}
}

// TestWatchdogOfADeadNode: no sign of life is given for one.
func TestWatchdogOfADeadNode(t *testing.T) {
	name, next := notifySocket(t)
	t.Setenv("NOTIFY_SOCKET", name)
	t.Setenv("WATCHDOG_USEC", "2000")
	s := newSupervisor(nil)
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan struct{}, 8)
	go func() { // once it has been asked a few times, it says something else
		for range 5 {
			<-asked
		}
		cancel()
	}()
	s.watch(ctx, func() bool {
		select {
		case asked <- struct{}{}:
		default:
		}
		return false
	})
	s.tell("the end")
	if got := next(); got != "the end" {
		t.Errorf("a dead node says %q", got)
	}
}

// TestUnitFile has systemd read the unit that is shipped.
func TestUnitFile(t *testing.T) {
	verifier, err := exec.LookPath("systemd-analyze")
	if err != nil && os.Getenv("LOGBAHN_REQUIRE") != "" {
		t.Fatal("systemd-analyze is missing, of the package systemd")
	} else if err != nil {
		t.Skip("needs systemd-analyze, of the package systemd")
	}
	unit, err := os.ReadFile("../../packaging/logbahn.service")
	if err != nil {
		t.Fatal(err)
	}
	installed := strings.ReplaceAll(string(unit), "/usr/bin/logbahn", os.Args[0])
	name := filepath.Join(t.TempDir(), "logbahn.service")
	if err := os.WriteFile(name, []byte(installed), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(verifier, "verify", name).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
