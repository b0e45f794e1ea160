package sandbox_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logbahn/logbahn/chaos/sandbox"
	"github.com/logbahn/logbahn/chaos/sandbox/sandboxtest"
)

// role is the variable that makes this test's program do something else than testing.
const role = "LOGBAHN_SANDBOX_TEST"

// TestMain is also the program that the tests run: it enters, starts a child that sleeps, mounts something, and waits.
func TestMain(m *testing.M) {
	what := os.Getenv(role)
	if what == "" {
		os.Exit(m.Run())
	}
	within, code, err := sandbox.Enter()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(99)
	}
	if !within {
		os.Exit(code)
	}
	if err := os.WriteFile(sandbox.Dir+"/mark", nil, 0o644); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(98)
	}
	if err := exec.Command("sleep", sleepSeconds).Start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(97)
	}
	signal.Ignore(syscall.SIGINT)
	fmt.Println("pid", os.Getpid())
	if what == "panic" {
		panic("as told")
	}
	time.Sleep(time.Hour)
}

// sleepSeconds tells the child from every other process of the machine.
const sleepSeconds = "86397.25"

func running(t *testing.T) bool {
	t.Helper()
	out, err := exec.Command("ps", "-eo", "stat,args").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "sleep "+sleepSeconds) && !strings.HasPrefix(line, "Z") {
			return true
		}
	}
	return false
}

// TestNothingStays ends the program in each way and looks for what is left.
func TestNothingStays(t *testing.T) {
	sandboxtest.Skip(t, sandbox.Missing("ip@iproute2", "ps@procps", "sleep@coreutils"))
	for _, way := range []struct {
		name, role string
		end        func(cmd *exec.Cmd)
	}{
		{"panic", "panic", func(*exec.Cmd) {}},
		{"kill -9", "wait", func(cmd *exec.Cmd) { _ = cmd.Process.Kill() }},
		{"two signals", "wait", func(cmd *exec.Cmd) {
			_ = cmd.Process.Signal(syscall.SIGINT)
			time.AfterFunc(sandbox.SecondAfter+100*time.Millisecond, func() { _ = cmd.Process.Signal(syscall.SIGINT) })
		}},
	} {
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), role+"="+way.role)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "pid 1\n" {
			t.Fatalf("%s: inside it says %q, %v", way.name, line, err)
		}
		way.end(cmd)
		if err := cmd.Wait(); err == nil {
			t.Errorf("%s: the program ended well", way.name)
		}
		for deadline := time.Now().Add(10 * time.Second); running(t); {
			if time.Now().After(deadline) {
				t.Fatalf("%s: the child is still there", way.name)
			}
			time.Sleep(20 * time.Millisecond)
		}
		if _, err := os.Stat(sandbox.Dir + "/mark"); err == nil {
			t.Errorf("%s: the file system of the sandbox is seen outside", way.name)
		}
	}
}
