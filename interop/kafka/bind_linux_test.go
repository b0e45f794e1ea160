package kafka_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/logbahn/logbahn/interop/kafka"
)

// dieVariable has TestBind start a child and die.
const dieVariable = "LOGBAHN_INTEROP_DIE"

func TestBind(t *testing.T) {
	if os.Getenv(dieVariable) != "" {
		child := exec.Command("sleep", "600")
		kafka.Bind(child)
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		fmt.Println("child", child.Process.Pid)
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	dying := exec.Command(os.Args[0], "-test.run=^TestBind$")
	dying.Env = append(os.Environ(), dieVariable+"=1")
	said, err := dying.Output()
	if err == nil {
		t.Fatalf("it lives: %s", said)
	}
	_, pid, _ := strings.Cut(strings.TrimSpace(string(said)), "child ")
	if _, err := strconv.Atoi(pid); err != nil {
		t.Fatalf("it says %q", said)
	}
	for deadline := time.Now().Add(10 * time.Second); lives(pid); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("process %s is still there", pid)
		}
	}
}

// lives tells whether there is a process that has not ended.
func lives(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !bytes.Contains(stat, []byte(") Z "))
}
