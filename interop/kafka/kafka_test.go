package kafka_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/logbahn/logbahn/interop/kafka"
)

// TestStart starts each release that is installed and ends it again.
func TestStart(t *testing.T) {
	installed := os.Getenv("LOGBAHN_INTEROP")
	if installed == "" {
		t.Skip("LOGBAHN_INTEROP is not set: make interop installs the releases and runs this")
	}
	if _, err := os.Stat(filepath.Join(installed, "java.done")); err != nil && os.Getenv("LOGBAHN_REQUIRE") == "" {
		t.Skip("no release of Kafka is in LOGBAHN_INTEROP: make interop installs them and runs this")
	}
	for _, version := range []string{kafka.V43, kafka.V39, kafka.V09} {
		t.Run(version, func(t *testing.T) {
			b, err := kafka.Start(t.Context(), installed, version, t.TempDir(), 1, "num.partitions=4")
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
