package node

import (
	"os"
	"strings"
	"testing"

	"github.com/logbahn/logbahn/internal/config"
	"github.com/logbahn/logbahn/internal/vfs"
)

func shipped(t *testing.T, name string) config.Settings {
	t.Helper()
	data, err := os.ReadFile("../config/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := config.ParseProperties(name, data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestShippedFilesBoot: the files that Kafkas of three epochs ship start a node as they are, without a word of warning.
func TestShippedFilesBoot(t *testing.T) {
	for _, name := range []string{
		"server-0.8.properties", "server-0.9.0.1.properties", "server-2.8.2.properties", "server-3.7.0.properties", "server-4.properties",
	} {
		log := &logLines{}
		n, err := Start(t.Context(), Config{FS: vfs.NewMem(), InProcess: true, Settings: shipped(t, name), Log: textLog(log)})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		produce(t, n, "orders", "a")
		stop(t, n)
		if text := log.String(); strings.Contains(text, "level=WARN") || strings.Contains(text, "level=ERROR") {
			t.Errorf("%s: %s", name, text)
		}
	}
}

// TestBrokerWithoutSocketsIsRefused: it could not reach its controllers.
func TestBrokerWithoutSocketsIsRefused(t *testing.T) {
	for name, want := range map[string]string{
		"broker-4.properties": "others could not reach it",
	} {
		n, err := Start(t.Context(), Config{FS: vfs.NewMem(), InProcess: true, Settings: shipped(t, name)})
		if err == nil {
			stop(t, n)
			t.Errorf("%s starts", name)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
