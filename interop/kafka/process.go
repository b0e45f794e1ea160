package kafka

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// process is one JVM. output is read only after done.
type process struct {
	args   []string // the last one is a file, whose folder the JVM runs in
	cmd    *exec.Cmd
	output *bytes.Buffer
	done   chan struct{} // closed when the process is gone
}

func startProcess(args []string) (*process, error) {
	p := &process{args: args, cmd: exec.Command("java", args...), output: &bytes.Buffer{}, done: make(chan struct{})}
	p.cmd.Dir = filepath.Dir(args[len(args)-1])
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	Bind(p.cmd)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait()
	}()
	return p, nil
}

// stop interrupts the JVM, which lets a broker close its logs, and kills it when that takes too long.
func (p *process) stop() error {
	_ = p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.done:
		return nil
	case <-time.After(30 * time.Second):
	}
	return p.kill()
}

// kill returns when the JVM is gone.
func (p *process) kill() error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := p.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill %d: %w", p.cmd.Process.Pid, err)
	}
	<-p.done
	return nil
}
