package kafka

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// process is one JVM. output is read only after done.
type process struct {
	cmd    *exec.Cmd
	output *bytes.Buffer
	done   chan struct{} // closed when the process is gone
}

// stop interrupts the JVM, which lets a broker close its logs, and kills it when that takes too long.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.done:
		return nil
	case <-time.After(30 * time.Second):
	}
	if err := p.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill %d: %w", p.cmd.Process.Pid, err)
	}
	<-p.done
	return nil
}
