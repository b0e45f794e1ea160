package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Dir is a file system in memory that ends with the sandbox.
const Dir = "/run"

// inside is the variable that tells the second run of the program that it is inside.
const inside = "LOGBAHN_CHAOS_SANDBOX"

// ErrUnsupported wraps what this machine lacks.
var ErrUnsupported = errors.New("chaos cannot run here")

// Missing names what this machine lacks of what the sandbox and the given tools need, or returns nil.
func Missing(tools ...string) error {
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root (for namespaces, mounts and nftables)")
	}
	if _, err := os.Stat("/dev/fuse"); err != nil {
		missing = append(missing, "/dev/fuse (modprobe fuse; in a container --device /dev/fuse)")
	}
	for _, tool := range tools {
		name, packaged, _ := strings.Cut(tool, "@")
		if _, err := exec.LookPath(name); err != nil {
			missing = append(missing, fmt.Sprintf("%s (Debian's package %s)", name, packaged))
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w, it lacks: %s", ErrUnsupported, strings.Join(missing, "; "))
	}
	return nil
}

// Enter returns true inside the sandbox. Outside it runs the program again inside, waits for its end and returns false
// and the exit code. The first SIGINT and SIGTERM are left to the program inside; a second one ends it at once.
func Enter() (within bool, code int, err error) {
	if os.Getenv(inside) != "" {
		return true, 0, settle()
	}
	// Pdeathsig comes when the thread ends that started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET,
		Pdeathsig:  unix.SIGKILL,
		// Of its own, so that what a terminal sends to the whole group ends neither the nodes nor the clients.
		Setpgid: true,
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	defer signal.Stop(signals)
	if err := cmd.Start(); err != nil {
		return false, 1, fmt.Errorf("%w: the kernel gives no namespaces: %w", ErrUnsupported, err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var first time.Time
	for {
		select {
		case s := <-signals:
			switch {
			case first.IsZero():
				first = time.Now()
			case time.Since(first) < SecondAfter:
				continue // a program such as timeout sends one to this process and one to its group
			default:
				s = unix.SIGKILL
			}
			_ = cmd.Process.Signal(s)
		case <-done:
			return false, exitCode(cmd.ProcessState), nil
		}
	}
}

// SecondAfter is what makes a signal a second one.
const SecondAfter = time.Second

// exitCode is the program's, or what a shell shows of a program that a signal has ended.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// settle gives the namespaces what they need: nothing that is mounted here may be seen outside, /proc has to show this
// process namespace, and loopback has to be up.
func settle() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("%w: mounts cannot be made private: %w", ErrUnsupported, err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("%w: /proc: %w", ErrUnsupported, err)
	}
	if err := unix.Mount("tmpfs", Dir, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrUnsupported, Dir, err)
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("%w: ip link set lo up: %w: %s", ErrUnsupported, err, out)
	}
	return nil
}
