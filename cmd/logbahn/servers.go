package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/logbahn/logbahn/internal/kafkacli"
	"github.com/logbahn/logbahn/internal/vfs"
)

// kafka-server-start and kafka-server-stop find each other through a folder of the user: one lock a server, named by its
// process id and held as long as it runs. A lock that is free belongs to a process that is gone, whoever has its id now.
const (
	serverSuffix = ".server"
	stopLock     = "stop.lock"
)

func serversFolder() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "logbahn", "servers")
	return folder, os.MkdirAll(folder, 0o700)
}

// announceServer makes this process one that kafka-server-stop stops, until withdraw.
func announceServer() (withdraw func(), err error) {
	folder, err := serversFolder()
	if err != nil {
		return nil, err
	}
	name := filepath.Join(folder, strconv.Itoa(os.Getpid())+serverSuffix)
	lock, err := vfs.Disk().Lock(filepath.ToSlash(name))
	if err != nil {
		return nil, err
	}
	return func() {
		_ = os.Remove(name)
		_ = lock.Close()
	}, nil
}

// startServer is kafka-server-start: `logbahn start` with the file, here or in the background.
func startServer(ctx context.Context, s kafkacli.ServerStart, stdout, stderr io.Writer) int {
	args := []string{s.File}
	for _, o := range s.Overrides {
		args = append(args, "--override", o)
	}
	if s.Daemon {
		if err := startDaemon(append([]string{"kafka-server-start"}, args...)); err != nil {
			fmt.Fprintln(stderr, err)
			return exitError
		}
		return exitOK
	}
	withdraw, err := announceServer()
	if err != nil {
		fmt.Fprintf(stderr, "kafka-server-stop will not find this server: %v\n", err)
	} else {
		defer withdraw()
	}
	if code := run(ctx, append([]string{"start"}, args...), nil, stdout, stderr); code != exitOK {
		return exitError
	}
	return exitOK
}

// startDaemon runs this program in the background. What it prints goes where Kafka's script has it: kafkaServer.out in
// LOG_DIR, else in logs beside the folder of the aliases.
func startDaemon(args []string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	logs := os.Getenv("LOG_DIR")
	if logs == "" {
		logs = filepath.Join(filepath.Dir(os.Args[0]), "..", "logs")
	}
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(filepath.Join(logs, "kafkaServer.out"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = out, out, detached()
	if err := cmd.Start(); err != nil {
		return err
	}
	return cmd.Process.Release()
}

// stopServers sends SIGTERM to every server of this user that kafka-server-start runs, and to no other process.
func stopServers() (int, error) {
	folder, err := serversFolder()
	if err != nil {
		return 0, err
	}
	// One at a time: another one that tries a lock would look like a server that holds it.
	alone, err := vfs.Disk().Lock(filepath.ToSlash(filepath.Join(folder, stopLock)))
	if err != nil {
		return 0, fmt.Errorf("another kafka-server-stop is running: %w", err)
	}
	defer alone.Close()
	names, err := filepath.Glob(filepath.Join(folder, "*"+serverSuffix))
	if err != nil {
		return 0, err
	}
	stopped := 0
	for _, name := range names {
		pid, err := strconv.Atoi(strings.TrimSuffix(filepath.Base(name), serverSuffix))
		if err != nil {
			continue
		}
		lock, err := vfs.Disk().Lock(filepath.ToSlash(name))
		if err == nil {
			_ = os.Remove(name)
			_ = lock.Close()
			continue
		}
		if !errors.Is(err, vfs.ErrLocked) {
			return stopped, err
		}
		process, err := os.FindProcess(pid)
		if err != nil {
			return stopped, err
		}
		if err := process.Signal(syscall.SIGTERM); err != nil {
			return stopped, fmt.Errorf("server %d: %w", pid, err)
		}
		stopped++
	}
	return stopped, nil
}
