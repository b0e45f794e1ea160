//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a node of the logbahn binary: its settings, and its process while it runs.
type process struct {
	binary   string
	settings []string
	ops      string // where its operations endpoint is
	log      *os.File

	cmd   *exec.Cmd
	ended chan struct{}
}

// newProcess returns a node that does not run, with its data below dir.
func newProcess(binary, dir string, settings ...string) (*process, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	ops, err := freeAddress()
	if err != nil {
		return nil, err
	}
	settings = append(slices.Clone(settings), "log.dirs="+filepath.Join(dir, "data"), "ops.listener="+ops)
	return &process{binary: binary, settings: settings, ops: ops, log: log}, nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// readyPoll is how often a starting process is looked at.
const readyPoll = 5 * time.Millisecond

// start starts the node and returns when it says that it is ready.
func (p *process) start(ctx context.Context) error {
	began, err := p.log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	args := []string{"start"}
	for _, s := range p.settings {
		args = append(args, "--override", s)
	}
	cmd := exec.Command(p.binary, args...)
	cmd.Stdout, cmd.Stderr = p.log, p.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} // whatever becomes of this program
	if err := cmd.Start(); err != nil {
		return err
	}
	p.cmd, p.ended = cmd, make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(p.ended)
	}()
	for {
		said := make([]byte, 1<<16)
		n, err := p.log.ReadAt(said, began)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if bytes.Contains(said[:n], []byte("msg=ready")) {
			return nil
		}
		select {
		case <-p.ended:
			return fmt.Errorf("a node has ended before it was ready:\n%s", said[max(0, n-2000):n])
		case <-ctx.Done():
			return fmt.Errorf("a node is not ready: %w:\n%s", ctx.Err(), said[max(0, n-2000):n])
		case <-time.After(readyPoll):
		}
	}
}

// kill ends the node as a power cut does, but for what the kernel has.
func (p *process) kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		<-p.ended
		p.cmd = nil
	}
}

func (p *process) close() {
	p.kill()
	p.log.Close()
}

// clockTick is the unit of /proc/PID/stat, USER_HZ, which Linux fixes at 100 per second.
const clockTick = 10 * time.Millisecond

// cpu returns the processor time that the node has used, in user and kernel mode.
func (p *process) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:]) // the name before it may hold anything
	if len(fields) < 13 {
		return 0, errors.New("/proc/PID/stat has too few fields")
	}
	user, err := strconv.ParseInt(string(fields[11]), 10, 64)
	if err != nil {
		return 0, err
	}
	kernel, err := strconv.ParseInt(string(fields[12]), 10, 64)
	return time.Duration(user+kernel) * clockTick, err
}

// resident returns the node's resident memory, now and at most, in bytes.
func (p *process) resident() (now, most float64, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(status)) {
		for field, value := range map[string]*float64{"VmRSS:": &now, "VmHWM:": &most} {
			if text, ok := strings.CutPrefix(line, field); ok {
				kib, err := strconv.ParseFloat(strings.Fields(text)[0], 64)
				if err != nil {
					return 0, 0, err
				}
				*value = kib * 1024
			}
		}
	}
	return now, most, nil
}

// collect has the node collect its garbage, so that its memory is what it needs.
func (p *process) collect() error {
	return p.get("/debug/pprof/heap?gc=1&debug=1", io.Discard)
}

// get asks the node's operations endpoint.
func (p *process) get(path string, to io.Writer) error {
	resp, err := http.Get("http://" + p.ops + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	_, err = io.Copy(to, resp.Body)
	return err
}
