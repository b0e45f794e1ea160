package kafka

import (
	"os/exec"
	"syscall"
)

// Bind has the kernel kill a process that is not started yet when this one ends before it, as go test does when its time is over:
// brokers and clients would go on for ever.
func Bind(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
