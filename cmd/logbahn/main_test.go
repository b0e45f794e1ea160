package main

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/logbahn/logbahn/internal/kafkacli"
)

// TestMain has the scripts run this program under its own name and under those that install-aliases gives it.
func TestMain(m *testing.M) {
	completionPatience = time.Minute // a busy machine's names are late, and not other ones
	commands := map[string]func(){"logbahn": main}
	for _, name := range kafkacli.Names() {
		commands[name], commands[name+".sh"] = main, main
	}
	testscript.Main(m, commands)
}

// TestScripts runs testdata. Seven commands are added to testscript's own:
//
//	spawn NAME REGEXP COMMAND ARG...  runs it in the background, returns when a line of its output matches, and puts the
//	                                  first group of the match into the variable NAME, a named one into that of its name
//	tells NAME REGEXP                 returns when a line of a spawned process's output matches
//	term NAME                         sends SIGTERM; the process must exit with 0, or with ! must not; its output becomes
//	                                  the standard output
//	kill9 NAME                        sends SIGKILL, and waits for the end
//	ports NAME...                     puts a port of this machine that is free into each variable
//	ended NAME                        waits until a spawned process has ended with 0
//	status CODE ARG...                runs logbahn, which must exit with CODE; its standard error can be matched
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:      "testdata",
		Deadline: time.Now().Add(4 * time.Minute),
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Values["spawned"] = map[string]*spawned{}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"spawn": spawn, "term": terminate, "kill9": kill9, "ports": ports, "tells": tells, "ended": endedBy, "status": status},
	})
}

// ports finds ports that nobody listens on.
func ports(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		defer l.Close() // when all are found: each of them is another one
		ts.Setenv(name, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
}

// tells waits for a line, which may have come.
func tells(ts *testscript.TestScript, _ bool, args []string) {
	p, line := ts.Value("spawned").(map[string]*spawned)[args[0]], regexp.MustCompile(args[1])
	for !p.told(line) {
		select {
		case <-p.read:
			if !p.told(line) {
				ts.Fatalf("%s ended without %q", args[0], args[1])
			}
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func kill9(ts *testscript.TestScript, _ bool, args []string) {
	p := ts.Value("spawned").(map[string]*spawned)[args[0]]
	ts.Check(p.cmd.Process.Kill())
	<-p.read
	_ = p.cmd.Wait() // it was killed
}

// spawned is a process in the background; output is complete when read is closed.
type spawned struct {
	cmd    *exec.Cmd
	mu     sync.Mutex // of output, until read is closed
	output strings.Builder
	read   chan struct{}
}

func (p *spawned) told(line *regexp.Regexp) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return line.MatchString(p.output.String())
}

func spawn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: spawn NAME REGEXP COMMAND ARG...")
	}
	ready := regexp.MustCompile(args[1])
	path := args[2]
	if strings.Contains(path, "/") {
		path = ts.MkAbs(path)
	}
	path, err := exec.LookPath(path)
	ts.Check(err)
	r, w, err := os.Pipe()
	ts.Check(err)
	p := &spawned{cmd: exec.Command(path, args[3:]...), read: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = ts.MkAbs("."), w, w
	for _, name := range []string{"HOME", "PATH", "TMPDIR", "LOGBAHN_BROKERS", "GOCOVERDIR", "XDG_CACHE_HOME"} {
		if v := ts.Getenv(name); v != "" {
			p.cmd.Env = append(p.cmd.Env, name+"="+v)
		}
	}
	ts.Check(p.cmd.Start())
	_ = w.Close()
	ts.Defer(func() { _ = p.cmd.Process.Kill(); <-p.read })
	ts.Value("spawned").(map[string]*spawned)[args[0]] = p
	matched := make(chan []string, 1)
	go p.readAll(r, ready, matched)
	if m := <-matched; m == nil {
		<-p.read
		ts.Fatalf("%s ended without %q:\n%s", args[2], args[1], p.output.String())
	} else {
		for i, group := range ready.SubexpNames()[1:] {
			ts.Setenv(cmp.Or(group, args[0]), m[i+1])
		}
	}
}

// readAll is the goroutine that reads the process's output to its end.
func (p *spawned) readAll(r io.ReadCloser, ready *regexp.Regexp, matched chan<- []string) {
	defer close(p.read)
	defer close(matched)
	defer r.Close()
	found := false
	for lines := bufio.NewScanner(r); lines.Scan(); {
		p.mu.Lock()
		p.output.WriteString(lines.Text() + "\n")
		p.mu.Unlock()
		if m := ready.FindStringSubmatch(lines.Text()); m != nil && !found {
			found = true
			matched <- m
		}
	}
}

func terminate(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: term NAME")
	}
	p := ts.Value("spawned").(map[string]*spawned)[args[0]]
	if p == nil {
		ts.Fatalf("nothing was spawned as %s", args[0])
	}
	ts.Check(p.cmd.Process.Signal(syscall.SIGTERM))
	<-p.read
	err := p.cmd.Wait()
	_, _ = io.WriteString(ts.Stdout(), p.output.String())
	if (err != nil) != neg {
		ts.Fatalf("%s: %v\n%s", args[0], err, p.output.String())
	}
}

func endedBy(ts *testscript.TestScript, neg bool, args []string) {
	p := ts.Value("spawned").(map[string]*spawned)[args[0]]
	if neg || p == nil {
		ts.Fatalf("usage: ended NAME of what was spawned")
	}
	<-p.read
	ts.Check(p.cmd.Wait())
}

func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE ARG...")
	}
	code := "0"
	var exit *exec.ExitError
	if err := ts.Exec("logbahn", args[1:]...); errors.As(err, &exit) {
		code = strconv.Itoa(exit.ExitCode())
	}
	if code != args[0] {
		ts.Fatalf("logbahn %v exits with %s, want %s", args[1:], code, args[0])
	}
}
