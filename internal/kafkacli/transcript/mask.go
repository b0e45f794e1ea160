package transcript

import (
	"regexp"
	"slices"
	"strings"
)

// mask takes out of a result what differs from run to run, from machine to machine, or by design.
type mask struct{ server, dir, testdata string }

var (
	topicID    = regexp.MustCompile(`(TopicId: |Cluster ID: |"topicId":")[A-Za-z0-9_-]{22}`)
	throughput = regexp.MustCompile(`"avg_throughput":[0-9.E-]+`)
	wholeID    = regexp.MustCompile(`(?m)^[A-Za-z0-9_-]{22}$`)
	longID     = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	lineEnds   = regexp.MustCompile(` +\n`)
	// Kafka does not name the default of a setting that has another unit than the broker's.
	derived     = regexp.MustCompile(`(, )?DEFAULT_CONFIG:log\.(retention\.hours|flush\.scheduler\.interval\.ms|roll\.jitter\.hours|roll\.hours)=\d+`)
	tracedClass = regexp.MustCompile(`^([a-z]\w*\.)+[A-Z][\w$]*(Exception|Error): `)
	dirList     = regexp.MustCompile(`"log_dirs":\["/[^"\]]*"(,"/[^"\]]*")*\]`)
	dataDir     = regexp.MustCompile(`"logDir":"[^"]*"`)
	millis      = regexp.MustCompile(`\b1[78]\d{11}\b`)
	dateTime    = regexp.MustCompile(`\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}:\d{3}`)
	clientHost  = regexp.MustCompile(`/(127\.0\.0\.1|0:0:0:0:0:0:0:1|in-process)\b`)
	number      = regexp.MustCompile(`-?\d+(\.\d+)?|NaN|Infinity`)
	blanks      = regexp.MustCompile(` +`)
	logLine     = regexp.MustCompile(`^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}\] (WARN|ERROR) `)
	stackLine   = regexp.MustCompile(`^(\s+at |\s+\.\.\. \d+ more|Caused by: |\tSuppressed: )`)
	className   = regexp.MustCompile(`^(Exception in thread "main" )?(([a-z]\w*\.)+[A-Z][\w$]*(Exception|Error|Failure)(: |$))+`)
	deprecation = regexp.MustCompile(`(is|has been) deprecated and will be removed in a future version|^Warning: --messages is deprecated`)
	hashList    = regexp.MustCompile(`\[(\[[a-z-]+\](, )?)+\]|(Valid (states|types) are|Unexpected config names|takes (at most )?(one of these|the following) options): .*`)
	inSync      = regexp.MustCompile(`(\tIsr: )(\d+(?:,\d+)+)`)
	partitions  = regexp.MustCompile(`"partitions":\[\{[^\]]*\}\]`)
	apiVersions = regexp.MustCompile(`(?m)^(\t\w+\(\d+\)): (UNSUPPORTED|\d+( to \d+)? \[usable: \w+\])`)
	newGroup    = regexp.MustCompile(`\{"key":\{"type":2,"data":\{"group":"[^"]*"\}\},"value":\{"version":3,"data":\{"protocolType":"","generation":0,[^\[]*\[\]\}\}\}`)
	processed   = regexp.MustCompile(`(Processed a total of )\d+`)
	csvTrial    = regexp.MustCompile(`^Cannot deserialize value of type |^ at \[Source`)
	helpBegins  = regexp.MustCompile(`^(Option( \(\* = required\))? +Description *|usage: .*)$`)
	// Kafka names a file that is missing, without saying so.
	noSuchFile = regexp.MustCompile(`(?m): no such file$`)
	helpEnds   = regexp.MustCompile(`^[a-z-]+: *error:`)
)

// advertisement is what Kafka's consumers say of a newer protocol.
const advertisement = "The consumer rebalance protocol (KIP-848) is production-ready!"

func (m mask) result(r Result, st *step) Result {
	stdout, moved := m.stdout(r.Stdout)
	r.Stdout = m.values(stdout, st)
	r.Stderr = m.values(m.stderr(moved+r.Stderr), st)
	return r
}

// stdout takes the warnings of old spellings out, which here are on standard error, and stack traces.
func (m mask) stdout(s string) (rest, moved string) {
	var keep strings.Builder
	traced := false
	for line := range strings.Lines(s) {
		switch {
		case deprecation.MatchString(line):
			moved += line
		case tracedClass.MatchString(line), stackLine.MatchString(line):
			traced = true
		case traced && line == "\n": // behind a stack trace
		default:
			keep.WriteString(line)
		}
	}
	return keep.String(), moved
}

// stderr leaves the messages: no stack traces, no names of classes, no log lines, no help texts.
func (m mask) stderr(s string) string {
	var keep []string
	help := false
	for _, line := range strings.Split(s, "\n") {
		line = strings.TrimRight(line, " \r")
		help = (help || helpBegins.MatchString(line)) && !helpEnds.MatchString(line)
		line = className.ReplaceAllString(line, "")
		switch {
		case help, line == "", logLine.MatchString(line), stackLine.MatchString(line), csvTrial.MatchString(line), strings.HasPrefix(line, advertisement),
			slices.ContainsFunc(keep, func(kept string) bool { return strings.HasSuffix(kept, line) }):
		default:
			keep = append(keep, line)
		}
	}
	if len(keep) == 0 {
		return ""
	}
	// The Java copy of argparse breaks lines within words and fills them with blanks.
	if i := slices.IndexFunc(keep, func(line string) bool { return helpEnds.MatchString(line) }); i >= 0 {
		keep = append(keep[:i], strings.ReplaceAll(strings.Join(keep[i:], ""), " ", ""))
	}
	return strings.Join(keep, "\n") + "\n"
}

func (m mask) values(s string, st *step) string {
	if s == "" {
		return ""
	}
	if m.server != "" {
		s = strings.NewReplacer(m.server, "{server}", m.dir, "{dir}", m.testdata, "{testdata}").Replace(s)
		host, port, _ := strings.Cut(m.server, ":")
		if whole := regexp.MustCompile(`(^|[^:.\w])` + port + `\b`); whole.MatchString(s) {
			s = strings.ReplaceAll(whole.ReplaceAllString(s, "${1}{port}"), host, "{host}")
		}
	}
	s = topicID.ReplaceAllString(s, "${1}{id}")
	s = longID.ReplaceAllString(s, "{uuid}")
	s = dateTime.ReplaceAllString(s, "{time}")
	s = lineEnds.ReplaceAllString(s, "\n")
	s = derived.ReplaceAllString(s, "")
	s = noSuchFile.ReplaceAllString(s, "")
	s = dataDir.ReplaceAllString(s, `"logDir":"{dir}"`)
	s = dirList.ReplaceAllString(s, `"log_dirs":["{dir}"]`)
	s = millis.ReplaceAllString(s, "{ms}")
	s = clientHost.ReplaceAllString(s, "/{host}")
	s = hashList.ReplaceAllStringFunc(s, sortList)
	s = partitions.ReplaceAllStringFunc(s, sortPartitions)
	s = inSync.ReplaceAllStringFunc(s, sortInSync)
	if st.has("numbers") {
		s = number.ReplaceAllString(s, "{n}")
	}
	if st.has("throughput") {
		s = throughput.ReplaceAllString(s, `"avg_throughput":{n}`)
	}
	if st.has("versions") {
		s = apiVersions.ReplaceAllString(s, "$1: {versions}")
	}
	if st.has("new group") {
		s = processed.ReplaceAllString(newGroup.ReplaceAllString(s, ""), "${1}{n}")
	}
	if st.has("id") {
		s = wholeID.ReplaceAllString(s, "{id}")
	}
	if strings.Contains(s, "{server}") || strings.Contains(s, "{port}") || strings.Contains(s, "{uuid}") || strings.Contains(s, "/{host}") {
		s = blanks.ReplaceAllString(s, " ") // the width of a column follows its content
	}
	if !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	if st.has("unordered") {
		lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
		slices.Sort(lines)
		s = strings.Join(lines, "\n") + "\n"
	}
	return s
}

// sortList sorts what Kafka prints in the order of a hash table.
func sortList(list string) string {
	head, rest := "", list
	if i := strings.Index(list, ": "); i >= 0 {
		head, rest = list[:i+2], list[i+2:]
	}
	items := strings.Split(strings.TrimSuffix(strings.TrimPrefix(rest, "[["), "]]"), ", ")
	for i := range items {
		items[i] = strings.Trim(items[i], "[]")
	}
	slices.Sort(items)
	return head + "[" + strings.Join(items, ", ") + "]"
}

// sortPartitions sorts the partitions of a log directory, which Kafka prints in the order of a hash table.
func sortPartitions(list string) string {
	head, rest, _ := strings.Cut(list, "[{")
	items := strings.Split(strings.TrimSuffix(rest, "}]"), "},{")
	slices.Sort(items)
	return head + "[{" + strings.Join(items, "},{") + "}]"
}

// sortInSync sorts the in-sync replicas of a partition, whose order means nothing.
func sortInSync(list string) string {
	head, ids, _ := strings.Cut(list, ": ")
	replicas := strings.Split(ids, ",")
	slices.Sort(replicas)
	return head + ": " + strings.Join(replicas, ",")
}
