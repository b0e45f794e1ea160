//go:build linux

package system

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Process is one node of a system. It may be ended and started again on its directory.
type Process struct {
	System
	ID   int // from 1
	Addr string
	Dir  string
	PID  int // of the latest run

	at     seat
	env    *Env
	cmd    *exec.Cmd
	done   chan struct{} // closed when the latest run has ended; nil before the first
	exit   error         // of the latest run, after done
	output *os.File
}

// OpsAddr returns the address of a Logbahn's operations endpoint.
func (p *Process) OpsAddr() string { return p.at.ops() }

// Launch starts the process and does not wait for it.
func (p *Process) Launch() (err error) {
	if p.output == nil {
		if p.output, err = os.Create(filepath.Join(p.Dir, "output")); err != nil {
			return err
		}
	}
	cmd := p.command(p.env, p.at)
	cmd.Stdout, cmd.Stderr = p.output, p.output
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // whatever becomes of the benchmark
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.PID, p.done = cmd, cmd.Process.Pid, make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		p.exit = cmd.Wait()
		close(done)
	}(p.cmd, p.done)
	return nil
}

// AwaitAnswer asks again and again until there is an answer: a listening socket alone is not ready.
func (p *Process) AwaitAnswer(ctx context.Context) error {
	pause := time.Millisecond
	if p.Size > 0 { // they start together, and asking takes time from them
		pause = 10 * time.Millisecond
	}
	for {
		err := p.Protocol.ask(p.Addr)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("node %d ended before it was ready: %w; it printed:\n%s", p.ID, p.exit, p.tail())
		case <-ctx.Done():
			return fmt.Errorf("node %d is not ready: %w; it printed:\n%s", p.ID, err, p.tail())
		case <-time.After(pause):
		}
	}
}

// ask makes the smallest request that a client would begin with.
func (p Protocol) ask(addr string) error {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	reply := make([]byte, 4)
	switch p {
	case JetStream: // the server speaks first
		_, err = conn.Read(reply)
	default: // ApiVersions version 0
		if _, err = conn.Write([]byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff}); err == nil {
			_, err = conn.Read(reply)
		}
	}
	return err
}

func (p *Process) tail() string {
	b, _ := os.ReadFile(p.output.Name())
	return string(b[max(0, len(b)-2000):])
}

// Kill ends the process as kill -9 does and returns when it is gone. Its data stays.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.done
}

// Terminate asks the process to stop, as an operator does, and returns when it has.
func (p *Process) Terminate(ctx context.Context) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("node %d does not stop: %w; it printed:\n%s", p.ID, ctx.Err(), p.tail())
	}
}

// stopPatience is how long a system may take to stop before it is killed: its data is thrown away anyhow.
const stopPatience = 2 * time.Second

// remove ends the process and removes its data.
func (p *Process) remove() {
	if p.done != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
		if p.Terminate(ctx) != nil {
			p.Kill()
		}
		cancel()
	}
	if p.output != nil {
		p.output.Close()
	}
	_ = os.RemoveAll(p.Dir)
}
