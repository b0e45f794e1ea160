package workload

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// external is a client in a process of its own.
type external struct {
	name    string
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	log     *os.File
	record  *recorder
	stopped chan struct{}
	done    chan struct{} // closed when the process has ended and its events are in
	err     error         // after done
}

// StartLibrdkafka starts the client of script under a Python that has confluent-kafka.
func StartLibrdkafka(config Config, history *History, python, script string) (Client, error) {
	return start(config, history, "librdkafka", python, "-u", script)
}

// StartJava starts the compiled client with the given class path.
func StartJava(config Config, history *History, classPath string) (Client, error) {
	return start(config, history, "java", "java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
		"-XX:+DisplayVMOutputToStderr", "-cp", classPath, "Chaos")
}

func start(config Config, history *History, name, program string, args ...string) (Client, error) {
	record, err := newRecorder(config.Dir, name, history)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(config.Dir, name+".log"))
	if err != nil {
		return nil, errors.Join(err, record.close())
	}
	args = append(args, name, config.Bootstrap, config.Topic, strconv.Itoa(config.Partitions), strconv.Itoa(config.Rate),
		strconv.FormatInt(config.Patience.Milliseconds(), 10), strconv.FormatInt(requestTimeout.Milliseconds(), 10), strconv.Itoa(underWayMax), strconv.Itoa(keyBytes))
	x := &external{name: name, cmd: exec.Command(program, args...), log: log, record: record, stopped: make(chan struct{}), done: make(chan struct{})}
	x.cmd.Stderr = log
	stdout, err := x.cmd.StdoutPipe()
	if err == nil {
		x.stdin, err = x.cmd.StdinPipe()
	}
	if err == nil {
		err = x.cmd.Start()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), record.close(), log.Close())
	}
	go x.follow(stdout)
	return x, nil
}

func (x *external) Name() string { return x.name }

func (x *external) PID() int { return x.cmd.Process.Pid }

// How long a client may take to write down its state, and how long it writes nothing when it has done so.
const (
	dissectPatience = 3 * time.Second
	dissectQuiet    = 500 * time.Millisecond
)

func (x *external) Dissect(w io.Writer) error {
	if err := writeLastLines(w, x.log, x.name); err != nil {
		return err
	}
	begin, err := x.log.Stat()
	if err == nil {
		err = x.cmd.Process.Signal(syscall.SIGQUIT)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", x.name, err)
	}
	size, err := x.settled(begin.Size())
	if err == nil && size == begin.Size() {
		err = fmt.Errorf("%s writes no stacks", x.name)
	}
	_, failed := io.Copy(w, io.NewSectionReader(x.log, begin.Size(), size-begin.Size()))
	return errors.Join(err, failed)
}

// settled waits until the log, which had the given size, has grown and grows no more, and returns its size.
func (x *external) settled(begin int64) (size int64, err error) {
	size, grown, until := begin, time.Now(), time.Now().Add(dissectPatience)
	for time.Now().Before(until) && (size == begin || time.Since(grown) < dissectQuiet) {
		time.Sleep(dissectQuiet / 10)
		now, err := x.log.Stat()
		if err != nil {
			return size, err
		}
		if now.Size() > size {
			size, grown = now.Size(), time.Now()
		}
	}
	return size, nil
}

// follow takes in the client's events, and its end.
func (x *external) follow(stdout io.Reader) {
	defer close(x.done)
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			e = Event{Time: nowMicros(), Kind: Problem, Error: fmt.Sprintf("not an event: %q", lines.Text())}
		}
		x.record.add(e)
		if e.Kind == Stopped {
			close(x.stopped)
		}
	}
	x.err = errors.Join(lines.Err(), x.cmd.Wait())
}

// tell writes a line to the client.
func (x *external) tell(what string) error {
	if _, err := fmt.Fprintln(x.stdin, what); err != nil {
		return fmt.Errorf("%s: %w", x.name, err)
	}
	return nil
}

func (x *external) StopSending(ctx context.Context) error {
	if err := x.tell("stop"); err != nil {
		return err
	}
	select {
	case <-x.stopped:
		return nil
	case <-x.done:
		return fmt.Errorf("%s has ended: %w", x.name, errors.Join(x.err, errEarly))
	case <-ctx.Done():
		return fmt.Errorf("%s still has records under way", x.name)
	}
}

var errEarly = errors.New("before it was told to")

func (x *external) End(ctx context.Context) error {
	err := x.tell("end")
	select {
	case <-x.done:
		err = errors.Join(err, x.err)
	case <-ctx.Done():
		_ = x.cmd.Process.Kill()
		<-x.done
		err = errors.Join(err, fmt.Errorf("%s did not end and was killed", x.name))
	}
	return errors.Join(err, x.record.close(), x.log.Close())
}
