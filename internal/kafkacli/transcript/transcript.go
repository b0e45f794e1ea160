// Package transcript reads, compares and records what command-line tools print. Tests use it: those of kafkacli for
// these tools, those of interop for Kafka's own.
//
// A transcript is a text file. A command line, what it reads, and what it printed:
//
//	# a comment
//	                             {testdata} is the folder of the transcript
//	% plan.csv                   a file that the commands below can name as {dir}/plan.csv
//	: rides,0,2                  one line of it
//	@ member g1 rides            a member joins group g1 and stays until the end of the file, or until @ leave g1
//	@ stop 3                     broker 3 is stopped as its operator does it, or with @ kill 3 at once; @ start 3 starts it again
//	$ kafka-topics --bootstrap-server {server} --list
//	? until: text                the command is run again and again until it prints the text, or all of several
//	? soon                       a moment after what is above: it is run again and again until it prints what is recorded
//	? unordered                  lines may come in any order
//	? throughput                 nor the throughput of the verifiable producer
//	? numbers                    numbers are not compared
//	? id                         a line that is an id of 22 characters is not compared
//	? versions                   nor are the versions of the APIs that a broker serves
//	? new group: why             nor the record of a group that has had no member yet, and how many records there were
//	? text differs: why          only the exit code is compared, for the reason given
//	? differs: why               nothing is compared, for the reason given
//	< a line of standard input
//	exit 0
//	| a line of standard output
//	! a line of standard error
//
// Everything from exit on is written by Record. What differs from run to run is masked on both sides: see mask.go.
package transcript

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Result is what one run of a tool gave.
type Result struct {
	Code           int
	Stdout, Stderr string
}

// Target is tools and the cluster that they talk to.
type Target struct {
	Server string // host:port
	Run    func(stdin string, args []string) Result
	// Join makes a member of a group and returns when it has partitions; leave ends it. Nil: scripts with members are
	// skipped.
	Join func(group, topic string) (leave func())
	// Broker stops, kills or starts a broker, whose id it is told, and returns when that is done. Nil: there is one only.
	Broker func(what string, id int)
}

// Script is a transcript file.
type Script struct {
	path  string
	steps []*step
}

type step struct {
	lines   []string // as written, without results
	file    string   // of a % step
	content strings.Builder
	member  []string // of an @ step
	args    []string // of a $ step
	stdin   strings.Builder
	options []string
	want    Result
	code    string // the exit line, "" before the first recording
}

// Load reads a transcript.
func Load(path string) (*Script, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s := &Script{path: path}
	current := &step{}
	s.steps = append(s.steps, current)
	for number, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
		kind, rest, _ := strings.Cut(line, " ")
		if strings.Contains("$ % @ #", kind) && kind != "" && (kind != "#" || current.code != "") {
			current = &step{}
			s.steps = append(s.steps, current)
		}
		if err := current.add(kind, rest, line); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, number+1, err)
		}
	}
	return s, nil
}

func (s *step) add(kind, rest, line string) error {
	switch kind {
	case "|":
		s.want.Stdout += rest + "\n"
		return nil
	case "!":
		s.want.Stderr += rest + "\n"
		return nil
	case "exit":
		s.code = line
		_, err := fmt.Sscan(rest, &s.want.Code)
		return err
	}
	s.lines = append(s.lines, line)
	switch kind {
	case "", "#":
	case "%":
		s.file = rest
	case ":":
		s.content.WriteString(rest + "\n")
	case "@":
		s.member = strings.Fields(rest)
	case "$":
		args, err := split(rest)
		s.args = args
		return err
	case "<":
		s.stdin.WriteString(rest + "\n")
	case "?":
		s.options = append(s.options, rest)
	default:
		return fmt.Errorf("what is %q?", line)
	}
	return nil
}

// split splits a command line at blanks outside of double quotes.
func split(line string) ([]string, error) {
	var args []string
	var word strings.Builder
	inWord, quoted := false, false
	for _, r := range line {
		switch {
		case r == '"':
			quoted, inWord = !quoted, true
		case r == ' ' && !quoted:
			if inWord {
				args = append(args, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quoted {
		return nil, fmt.Errorf("a quotation mark is missing: %s", line)
	}
	if inWord {
		args = append(args, word.String())
	}
	return args, nil
}

func (s *step) has(option string) bool {
	return slices.ContainsFunc(s.options, func(o string) bool { return o == option || strings.HasPrefix(o, option+":") })
}

// awaited tells whether a command has printed all texts for which it is run again.
func (s *step) awaited(printed string) bool {
	return !slices.ContainsFunc(s.options, func(o string) bool {
		text, until := strings.CutPrefix(o, "until: ")
		return until && !strings.Contains(printed, text)
	})
}

// untilPatience is how long a command is run again.
const untilPatience = time.Minute

// run runs the command, again and again until what it gives is good.
func (s *step) run(target Target, m mask, args []string, good func(*step, Result) bool) Result {
	for end := time.Now().Add(untilPatience); ; <-time.After(100 * time.Millisecond) {
		got := m.result(target.Run(s.stdin.String(), args), s)
		if s.awaited(got.Stdout) && good(s, got) || time.Now().After(end) {
			return got
		}
	}
}

// Compare runs every command and compares what it gives with what the file says.
func (s *Script) Compare(t *testing.T, target Target) {
	t.Helper()
	soon := func(st *step, got Result) bool { return !st.has("soon") || got == mask{}.result(st.want, st) }
	s.run(t, target, soon, func(st *step, got Result) {
		t.Helper()
		if st.code == "" {
			t.Errorf("%s: $ %s\nis not recorded", s.path, strings.Join(st.args, " "))
			return
		}
		if st.has("differs") {
			return
		}
		want := mask{}.result(st.want, st) // the masks may have grown since
		if got.Code != want.Code {
			t.Errorf("%s: $ %s\nexits with %d, want %d\nstdout:\n%s\nstderr:\n%s", s.path, strings.Join(st.args, " "), got.Code, want.Code, got.Stdout, got.Stderr)
			return
		}
		if st.has("text differs") {
			return
		}
		for _, stream := range [][3]string{{"stdout", got.Stdout, want.Stdout}, {"stderr", got.Stderr, want.Stderr}} {
			if stream[1] != stream[2] {
				t.Errorf("%s: $ %s\n%s differs: got\n%s\nwant\n%s", s.path, strings.Join(st.args, " "), stream[0], stream[1], stream[2])
			}
		}
	})
}

// Record runs every command and writes what it gives into the file.
func (s *Script) Record(t *testing.T, target Target) {
	t.Helper()
	s.run(t, target, func(*step, Result) bool { return true }, func(st *step, got Result) {
		st.want, st.code = got, fmt.Sprintf("exit %d", got.Code)
	})
	var out strings.Builder
	for _, st := range s.steps {
		for _, line := range st.lines {
			out.WriteString(line + "\n")
		}
		if st.args == nil {
			continue
		}
		fmt.Fprintln(&out, st.code)
		for prefix, text := range map[string]string{"|": st.want.Stdout} {
			writeLines(&out, prefix, text)
		}
		writeLines(&out, "!", st.want.Stderr)
	}
	if err := os.WriteFile(s.path, []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func writeLines(out *strings.Builder, prefix, text string) {
	for line := range strings.Lines(text) {
		out.WriteString(prefix + " " + strings.TrimSuffix(line, "\n") + "\n")
	}
}

func (s *Script) run(t *testing.T, target Target, good func(*step, Result) bool, done func(*step, Result)) {
	t.Helper()
	dir := t.TempDir()
	members := map[string]func(){}
	defer func() {
		for _, leave := range members {
			leave()
		}
	}()
	testdata, err := filepath.Abs(filepath.Dir(s.path))
	if err != nil {
		t.Fatal(err)
	}
	fill := strings.NewReplacer("{server}", target.Server, "{dir}", dir, "{testdata}", testdata)
	m := mask{server: target.Server, dir: dir, testdata: testdata}
	for _, st := range s.steps {
		switch {
		case st.file != "":
			if err := os.WriteFile(filepath.Join(dir, st.file), []byte(fill.Replace(st.content.String())), 0o644); err != nil {
				t.Fatal(err)
			}
		case len(st.member) == 3 && st.member[0] == "member":
			members[st.member[1]] = target.Join(st.member[1], st.member[2])
		case len(st.member) == 2 && st.member[0] == "leave":
			members[st.member[1]]()
			delete(members, st.member[1])
		case len(st.member) == 2 && slices.Contains([]string{"stop", "kill", "start"}, st.member[0]):
			id, err := strconv.Atoi(st.member[1])
			if err != nil {
				t.Fatalf("%s: @ %s: %v", s.path, strings.Join(st.member, " "), err)
			}
			target.Broker(st.member[0], id)
		case st.member != nil:
			t.Fatalf("%s: @ %s: there are member GROUP TOPIC, leave GROUP, and stop, kill and start ID", s.path, strings.Join(st.member, " "))
		case st.args != nil:
			args := make([]string, len(st.args))
			for i, a := range st.args {
				args[i] = fill.Replace(a)
			}
			done(st, st.run(target, m, args, good))
		}
	}
}
