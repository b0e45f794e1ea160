// Command start measures what a user meets first: the time from exec to ready on an empty data directory, the resident
// memory of an idle node, and the size of the binary.
//
//	go run ./bench/start -binary bin/logbahn
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	path := flag.String("binary", "bin/logbahn", "the binary to measure")
	runs := flag.Int("runs", 11, "starts to take the median of, 1 to 1000")
	idle := flag.Duration("idle", 3*time.Second, "how long the node idles before its memory is read")
	flag.Parse()
	if err := measure(*path, min(max(*runs, 1), 1000), *idle); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func measure(path string, runs int, idle time.Duration) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	fresh, again, rss, err := starts(path, runs, idle)
	if err != nil {
		return err
	}
	fmt.Printf("%-42s %12s %12s\n", "what", "measured", "target")
	fmt.Printf("%-42s %9.1f ms %9d ms\n", "exec to ready, empty directory, median", ms(fresh[len(fresh)/2]), 100)
	fmt.Printf("%-42s %9.1f ms\n", "  slowest of "+strconv.Itoa(runs), ms(fresh[len(fresh)-1]))
	fmt.Printf("%-42s %9.1f ms %9d ms\n", "exec to ready, existing directory, median", ms(again[len(again)/2]), 100)
	fmt.Printf("%-42s %8.1f MiB %8d MiB\n", "idle resident memory", float64(rss)/(1<<20), 40)
	fmt.Printf("%-42s %9.1f MB %9d MB\n", "binary", float64(info.Size())/1e6, 40)
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// starts returns the sorted times of first and second starts, and the memory of the last node after idling.
func starts(path string, runs int, idle time.Duration) (fresh, again []time.Duration, rss int64, err error) {
	for i := range runs {
		dir, err := os.MkdirTemp("", "logbahn-start")
		if err != nil {
			return nil, nil, 0, err
		}
		defer os.RemoveAll(dir)
		took, _, err := once(path, filepath.Join(dir, "data"), 0)
		if err != nil {
			return nil, nil, 0, err
		}
		fresh = append(fresh, took)
		pause := time.Duration(0)
		if i == runs-1 {
			pause = idle
		}
		took, rss, err = once(path, filepath.Join(dir, "data"), pause)
		if err != nil {
			return nil, nil, 0, err
		}
		again = append(again, took)
	}
	slices.Sort(fresh)
	slices.Sort(again)
	return fresh, again, rss, nil
}

var ready = regexp.MustCompile(`ready.*kafka=([^\s]+)`)

// once starts a node, waits until it has answered an ApiVersions request, and ends it.
func once(path, dir string, idle time.Duration) (took time.Duration, rss int64, err error) {
	cmd := exec.Command(path, "start", "--override", "listeners=PLAINTEXT://127.0.0.1:0", "--override", "log.dirs="+dir)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_, _ = io.Copy(io.Discard, stderr)
		err = errors.Join(err, cmd.Wait())
	}()
	addr, seen, err := waitReady(stderr)
	if err != nil {
		return 0, 0, fmt.Errorf("%w; it printed:\n%s", err, seen)
	}
	if err := askVersions(addr); err != nil {
		return 0, 0, err
	}
	took = time.Since(begin)
	if idle > 0 {
		time.Sleep(idle)
		rss, err = residentBytes(cmd.Process.Pid)
	}
	return took, rss, err
}

func waitReady(stderr io.Reader) (addr, seen string, err error) {
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		seen += lines.Text() + "\n"
		if m := ready.FindStringSubmatch(lines.Text()); m != nil {
			return m[1], seen, nil
		}
	}
	return "", seen, errors.New("the node ended before it was ready")
}

// askVersions sends ApiVersions v0 and waits for the reply's first bytes: a listening socket alone is not ready.
func askVersions(addr string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	frame := []byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 7, 0xff, 0xff}
	if _, err := c.Write(frame); err != nil {
		return err
	}
	reply := make([]byte, 8)
	if _, err := io.ReadFull(c, reply); err != nil {
		return err
	}
	if id := binary.BigEndian.Uint32(reply[4:]); id != 7 {
		return fmt.Errorf("the reply is to request %d, not 7", id)
	}
	return nil
}

// residentBytes reads VmRSS, which Linux has.
func residentBytes(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("no VmRSS in /proc/PID/status")
}
