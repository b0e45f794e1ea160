package procfs

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Thread is one thread of a process.
type Thread struct {
	ID    int
	Name  string
	State string        // one letter, as ps shows it: R runs, S sleeps, D waits for a device, T is stopped
	Used  time.Duration // of a processor
	// Waits is the function of the kernel in which it sleeps; empty when it does not, or when the kernel does not say.
	Waits string
}

func (t Thread) String() string {
	return fmt.Sprintf("%d %s %s, has used %v, sleeps in %q", t.ID, t.State, t.Name, t.Used, t.Waits)
}

// tick is the unit of processor times in /proc, which is the same on all machines that Go runs on.
const tick = time.Second / 100

// Threads returns the threads of a process. Those that end meanwhile are left out.
func Threads(pid int) ([]Thread, error) {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var threads []Thread
	for _, task := range tasks {
		stat, err := os.ReadFile(filepath.Join(dir, task.Name(), "stat"))
		if err != nil {
			continue
		}
		t, err := parseThread(string(stat))
		if err != nil {
			return nil, err
		}
		if waits, err := os.ReadFile(filepath.Join(dir, task.Name(), "wchan")); err == nil && string(waits) != "0" {
			t.Waits = string(waits)
		}
		threads = append(threads, t)
	}
	return threads, nil
}

// parseThread reads the stat of a thread (proc_pid_stat(5)). Its name stands in parentheses, and may hold some itself.
func parseThread(stat string) (Thread, error) {
	begin, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if begin < 1 || end < begin {
		return Thread{}, fmt.Errorf("not a thread: %q", stat)
	}
	id, err := strconv.Atoi(strings.TrimSpace(stat[:begin]))
	fields := strings.Fields(stat[end+1:])
	if err != nil || len(fields) < 13 {
		return Thread{}, fmt.Errorf("not a thread: %q", stat)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	system, failed := strconv.ParseInt(fields[12], 10, 64)
	if err != nil || failed != nil {
		return Thread{}, fmt.Errorf("not a thread: %q", stat)
	}
	return Thread{ID: id, Name: stat[begin+1 : end], State: fields[0], Used: time.Duration(user+system) * tick}, nil
}
