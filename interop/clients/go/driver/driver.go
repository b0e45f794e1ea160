package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

// ErrUnsupported says that the library has no such feature.
var ErrUnsupported = errors.New("unsupported")

// Unsupported is the error for what a library lacks.
func Unsupported(what string) error { return fmt.Errorf("%s: %w", what, ErrUnsupported) }

// Facts are what the client saw of the broker, under the names of README.md.
type Facts map[string]any

// Params is the second argument.
type Params struct {
	Bootstrap      string `json:"bootstrap"`
	Topic          string `json:"topic"`
	Group          string `json:"group"`
	TimeoutMillis  int    `json:"timeout_ms"`
	Replicas       int    `json:"replication_factor"` // of the topics that a check makes
	TopicLogAppend string `json:"topic_log_append"`
	TopicSmall     string `json:"topic_small"`
}

// Addresses are the brokers of Bootstrap.
func (p Params) Addresses() []string { return strings.Split(p.Bootstrap, ",") }

type answer struct {
	Status string `json:"status"`
	Detail string `json:"detail,omitempty"`
	Facts  Facts  `json:"facts"`
}

// Main is a driver's main: open connects the library to params.Bootstrap; module is its path, whose version is told.
func Main(client, module string, open func(context.Context, Params) (Library, error)) {
	if len(os.Args) == 2 && os.Args[1] == "version" {
		print(answer{Status: "ok", Facts: Facts{"client": client, "version": version(module)}})
		return
	}
	if len(os.Args) != 3 {
		fmt.Fprintf(os.Stderr, "usage: %s CHECK PARAMS | version\n", client)
		os.Exit(2)
	}
	params := Params{Replicas: 1}
	if err := json.Unmarshal([]byte(os.Args[2]), &params); err != nil {
		fmt.Fprintln(os.Stderr, "PARAMS:", err)
		os.Exit(2)
	}
	check, ok := checks[os.Args[1]]
	if !ok {
		fmt.Fprintf(os.Stderr, "no check %q\n", os.Args[1])
		os.Exit(2)
	}
	print(run(params, check, open))
}

func run(params Params, check func(*Run) error, open func(context.Context, Params) (Library, error)) answer {
	// A tenth of the time is kept back to say what went wrong.
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(params.TimeoutMillis)*time.Millisecond*9/10)
	defer cancel()
	r := &Run{Context: ctx, Params: params, Facts: Facts{}}
	library, err := open(ctx, params)
	if err == nil {
		r.Library = library
		err = check(r)
		library.Close()
	}
	switch {
	case err == nil:
		return answer{Status: "ok", Facts: r.Facts}
	case errors.Is(err, ErrUnsupported):
		return answer{Status: "unsupported", Detail: strings.TrimSuffix(err.Error(), ": "+ErrUnsupported.Error()), Facts: Facts{}}
	default:
		return answer{Status: "failed", Detail: strings.ReplaceAll(err.Error(), "\n", " "), Facts: r.Facts}
	}
}

func print(a answer) {
	line, err := json.Marshal(a)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%s\n", line)
}

func version(module string) string {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == module {
			return strings.TrimPrefix(m.Version, "v")
		}
	}
	return "unknown"
}

// Run is one check under way.
type Run struct {
	Context context.Context
	Params
	Library Library
	Facts   Facts
}

// fail is what a check returns when it saw something else than it had to.
func fail(what string, saw, want any) error {
	return fmt.Errorf("%s: %v, expected %v", what, saw, want)
}

// until asks again and again, with short pauses, until the condition holds or the check's time is over.
func (r *Run) until(what string, holds func() (bool, error)) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := holds()
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if ok {
			return nil
		}
		select {
		case <-r.Context.Done():
			return fmt.Errorf("%s: not before the time was over", what)
		case <-tick.C:
		}
	}
}

// Name is an error under Kafka's name for it: that of the code that the library shows, else the library's own.
func (r *Run) Name(err error) string {
	if err == nil {
		return "NONE"
	}
	if code, ok := r.Library.ErrorCode(err); ok {
		return CodeName(code)
	}
	var root = err
	for errors.Unwrap(root) != nil {
		root = errors.Unwrap(root)
	}
	return "client:" + root.Error()
}

// CodeName is Kafka's name of an error code.
func CodeName(code int16) string {
	if code == 0 {
		return "NONE"
	}
	var e *kerr.Error
	if errors.As(kerr.ErrorForCode(code), &e) {
		return e.Message
	}
	return fmt.Sprintf("code %d", code)
}
