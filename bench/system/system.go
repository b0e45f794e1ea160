//go:build linux

package system

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Protocol is what a system's clients speak.
type Protocol int

// The protocols.
const (
	Kafka Protocol = iota
	JetStream
	Bare // frames as long as Kafka's, with replies that say nothing
)

// System is a program with one way of keeping what it acknowledges.
type System struct {
	Key      string // unique, as results name it
	Name     string // as tables name it
	Protocol Protocol
	// Slow systems need longer to start and to warm up: the JVM's.
	Slow bool
	// prepare makes the directory ready before the clock starts; nil when nothing has to be done.
	prepare func(ctx context.Context, env *Env, dir string, port int) error
	command func(env *Env, dir string, port int) *exec.Cmd
}

// Env says where the programs are.
type Env struct {
	Logbahn string // the binary
	Self    string // this benchmark's binary
	KafkaCP string // Kafka's class path, "" when it is not installed
	Scratch string // where data directories are made
}

// ErrNotInstalled is returned for a system whose program is not there.
var ErrNotInstalled = errors.New("not installed")

// Process is a running system.
type Process struct {
	System
	Addr    string
	Dir     string
	Started time.Duration // from exec to the first answer
	PID     int
	port    int
	cmd     *exec.Cmd
	ended   chan error
	output  *os.File
}

// startPatience is how long a system may take to answer.
const startPatience = 60 * time.Second

// Start runs a system in a fresh directory and returns when it has answered.
func (s System) Start(ctx context.Context, env *Env) (*Process, error) {
	dir, err := os.MkdirTemp(env.Scratch, s.Key+"-")
	if err != nil {
		return nil, err
	}
	p := &Process{System: s, Dir: dir, ended: make(chan error, 1)}
	if err := p.start(ctx, env); err != nil {
		p.Stop()
		return nil, fmt.Errorf("%s: %w", s.Key, err)
	}
	return p, nil
}

func (p *Process) start(ctx context.Context, env *Env) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	p.port = port
	p.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	if p.prepare != nil {
		if err := p.prepare(ctx, env, p.Dir, port); err != nil {
			return err
		}
	}
	if p.output, err = os.Create(filepath.Join(p.Dir, "output")); err != nil {
		return err
	}
	p.cmd = p.command(env, filepath.Join(p.Dir, "data"), port)
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // whatever becomes of the benchmark
	begin := time.Now()
	if err := p.cmd.Start(); err != nil {
		return err
	}
	p.PID = p.cmd.Process.Pid
	go func() { p.ended <- p.cmd.Wait() }()
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	if err := p.awaitAnswer(ctx); err != nil {
		return fmt.Errorf("%w; it printed:\n%s", err, p.tail())
	}
	p.Started = time.Since(begin)
	return nil
}

// awaitAnswer asks again and again until there is an answer: a listening socket alone is not ready.
func (p *Process) awaitAnswer(ctx context.Context) error {
	for {
		err := p.Protocol.ask(p.Addr)
		if err == nil {
			return nil
		}
		select {
		case ended := <-p.ended:
			p.ended <- ended
			return fmt.Errorf("it ended before it was ready: %w", ended)
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", err)
		case <-time.After(time.Millisecond):
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

// stopPatience is how long a system may take to stop before it is killed: its data is thrown away anyhow.
const stopPatience = 2 * time.Second

// Stop ends the system and removes its data.
func (p *Process) Stop() {
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.ended:
		case <-time.After(stopPatience):
			_ = p.cmd.Process.Kill()
			<-p.ended
		}
	}
	if p.output != nil {
		p.output.Close()
	}
	_ = os.RemoveAll(p.Dir)
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Versions returns what is compared, a line each.
func Versions(env *Env) []string {
	out, err := exec.Command(env.Logbahn, "version").CombinedOutput()
	lines := []string{"Logbahn: " + strings.TrimSpace(string(out))}
	if err != nil {
		lines[0] = "Logbahn: " + err.Error()
	}
	return append(lines, libraryVersions(env)...)
}
