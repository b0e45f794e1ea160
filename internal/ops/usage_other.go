//go:build !unix

package ops

import "time"

func processorTime() (time.Duration, bool) { return 0, false }
