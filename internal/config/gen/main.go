// Command gen writes docs/configuration.md from the tables of keys.
//
//	go generate ./internal/config
package main

import (
	"fmt"
	"os"

	"github.com/logbahn/logbahn/internal/config"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen FILE")
		os.Exit(2)
	}
	if err := os.WriteFile(os.Args[1], []byte(config.Markdown()), 0o644); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
