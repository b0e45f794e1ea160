package config

import (
	"os"
	"strings"
	"testing"
)

func TestDocumentIsCurrent(t *testing.T) {
	onDisk, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if strings.ReplaceAll(string(onDisk), "\r\n", "\n") != Markdown() {
		t.Error("docs/configuration.md is stale: go generate ./internal/config")
	}
}

func TestDocumentHasEveryKey(t *testing.T) {
	text := Markdown()
	for _, d := range append(BrokerKeys(), TopicKeys()...) {
		if !strings.Contains(text, "| `"+d.Name+"` |") {
			t.Errorf("%s is missing", d.Name)
		}
	}
}
