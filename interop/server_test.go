package interop

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/logbahn/logbahn/interop/kafka"
)

// built is where binary puts what it builds; "" when no test has asked for it.
var built string

// binary builds cmd/logbahn once for the whole package.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "logbahn-interop")
	if err != nil {
		return "", err
	}
	built = dir
	path := filepath.Join(dir, "logbahn")
	out, err := exec.Command("go", "build", "-o", path, "../cmd/logbahn").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	os.Exit(code)
}

// server is one running `logbahn start`.
type server struct {
	t    testing.TB
	cmd  *exec.Cmd
	dir  string // data directory
	addr string // host:port of the Kafka listener
	log  *syncBuffer
	done chan struct{}

	address chan string // what the ready line says
	told    atomic.Bool // to end
}

const startTimeout = 20 * time.Second

var ready = regexp.MustCompile(`kafka=([^\s]+)`)

// start runs `logbahn start` on dir and waits until it says that it is ready. addr "" means a free port.
func start(t testing.TB, dir, addr string, overrides ...string) *server {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	s := spawn(t, dir, addr, overrides...)
	s.await()
	return s
}

// spawn runs `logbahn start` on dir and does not wait for it.
func spawn(t testing.TB, dir, addr string, overrides ...string) *server {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"start", "--override", "listeners=PLAINTEXT://" + addr, "--override", "log.dirs=" + dir}
	for _, o := range overrides {
		args = append(args, "--override", o)
	}
	s := &server{t: t, dir: dir, log: &syncBuffer{}, done: make(chan struct{}), address: make(chan string, 1)}
	s.cmd = exec.Command(path, args...)
	kafka.Bind(s.cmd)
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go s.read(stderr)
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("the log of the node on %s is in %s and ends with\n%s", addr, keep(t, "node", s.log.tail(math.MaxInt)), s.log.tail(8<<10))
		}
	})
	return s
}

// keep writes what a failed test was told to a file that outlives it, and returns the file's name, or why there is none.
func keep(t testing.TB, what, text string) string {
	dir := filepath.Join(os.TempDir(), "logbahn-interop-failed", strings.ReplaceAll(t.Name(), "/", "-"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err.Error()
	}
	f, err := os.CreateTemp(dir, what+"-*.log")
	if err != nil {
		return err.Error()
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return err.Error()
	}
	return f.Name()
}

// await returns when the server has said that it is ready.
func (s *server) await() {
	s.t.Helper()
	select {
	case s.addr = <-s.address:
	case <-s.done:
		s.t.Fatalf("logbahn start ended:\n%s", s.log.tail(8<<10))
	case <-time.After(startTimeout):
		s.t.Fatalf("logbahn start is not ready after %v:\n%s", startTimeout, s.log.tail(8<<10))
	}
}

// read copies the server's log and reports the address of its ready line. It ends with the process, and one that nobody has told
// to end, or that does not end well when it is asked to, fails the test: clients may not notice, where others take over.
func (s *server) read(stderr io.Reader) {
	defer close(s.done)
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		fmt.Fprintln(s.log, lines.Text())
		if m := ready.FindStringSubmatch(lines.Text()); m != nil && strings.Contains(lines.Text(), "ready") {
			s.address <- m[1]
		}
	}
	err := s.cmd.Wait()
	var exit *exec.ExitError
	switch killed := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signaled(); {
	case !s.told.Load():
		s.t.Errorf("logbahn start has ended by itself: %v", err)
	case err != nil && !killed:
		s.t.Errorf("logbahn start was told to end, and: %v", err)
	}
}

// kill is kill -9; it returns when the process is gone.
func (s *server) kill() { s.end(syscall.SIGKILL) }

// stop asks the server to stop as systemd does and returns when it has.
func (s *server) stop() { s.end(syscall.SIGTERM) }

func (s *server) end(sig syscall.Signal) {
	s.told.Store(true)
	_ = s.cmd.Process.Signal(sig)
	select {
	case <-s.done:
	case <-time.After(20 * time.Second):
		s.t.Errorf("logbahn start still runs 20 s after %v", sig)
		_ = s.cmd.Process.Kill()
		<-s.done
	}
}

// client returns a path below the directory that install.sh has filled, $LOGBAHN_INTEROP, and skips the test, or fails it
// under LOGBAHN_REQUIRE, when it is missing. Without that variable no client of another language is run, so that a plain
// go test stays quick wherever it runs.
func client(t testing.TB, elem ...string) string {
	t.Helper()
	dir := os.Getenv("LOGBAHN_INTEROP")
	if dir == "" {
		missing(t, "LOGBAHN_INTEROP is not set: make interop installs the clients and runs this")
	}
	path := filepath.Join(append([]string{dir}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		missing(t, path+" is missing: run interop/install.sh")
	}
	return path
}

// tool is client for a program on the PATH.
func tool(t testing.TB, name string) string {
	t.Helper()
	client(t)
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, name+" is missing: run interop/install.sh")
	}
	return path
}

func missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("LOGBAHN_REQUIRE") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// run runs a client to its end and returns its standard output; a client that fails, or that is still running after
// a minute, fails the test with all that it printed.
func run(t testing.TB, stdin string, env []string, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	cmd.Env = append(os.Environ(), env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\nstdout: %s\nstderr: %s", name, strings.Join(args, " "), err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// noting is a test that goes on when it has failed.
type noting struct {
	testing.TB
	mu     sync.Mutex
	errors []string
}

func (n *noting) Errorf(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.errors = append(n.errors, fmt.Sprintf(format, args...))
}

// A node that ends by itself is seen, one that is killed or stopped is what was wanted.
func TestEndsAreNoticed(t *testing.T) {
	for name, c := range map[string]struct {
		setting string
		end     func(*server)
		wrong   int
	}{
		"by itself": {"process.roles=nonsense", func(*server) {}, 1},
		"killed":    {"num.partitions=1", func(s *server) { s.await(); s.kill() }, 0},
		"stopped":   {"num.partitions=1", func(s *server) { s.await(); s.stop() }, 0},
	} {
		n := &noting{TB: t}
		s := spawn(n, t.TempDir(), "127.0.0.1:0", c.setting)
		c.end(s)
		<-s.done
		if len(n.errors) != c.wrong {
			t.Errorf("%s: %q", name, n.errors)
		}
	}
}

type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) tail(n int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.buf.String()
	return s[max(0, len(s)-n):]
}
