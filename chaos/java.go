//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/logbahn/logbahn/chaos/sandbox"
)

// compileJava compiles the Java client and returns its class path.
func (r *run) compileJava() (string, error) {
	jars := filepath.Join(r.options.interop, "java-clients-4", "lib")
	if _, err := os.Stat(jars); err != nil {
		return "", fmt.Errorf("the Java client is not installed (interop/install.sh does that): %w", err)
	}
	classes := filepath.Join(sandbox.Dir, "classes")
	classPath := filepath.Join(jars, "*")
	out, err := exec.Command("javac", "-d", classes, "-cp", classPath, "clients/Chaos.java").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("javac: %w: %s", err, out)
	}
	return classes + ":" + classPath, nil
}
