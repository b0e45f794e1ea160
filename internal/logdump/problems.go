package logdump

import "fmt"

// problems are what does not fit together, in the order of Kafka's report.
type problems struct {
	indexes, timestamps, orders, unfound, gaps []problem
}

type problem struct {
	file string
	a, b int64
}

func (p *problems) index(file string, indexed, found int64) {
	p.indexes = append(p.indexes, problem{file, indexed, found})
}

func (p *problems) timestamp(file string, indexed, found int64) {
	p.timestamps = append(p.timestamps, problem{file, indexed, found})
}

func (p *problems) order(file string, timestamp, before int64) {
	p.orders = append(p.orders, problem{file, timestamp, before})
}

func (p *problems) notFound(file string, indexed, found int64) {
	p.unfound = append(p.unfound, problem{file, indexed, found})
}

func (p *problems) gap(file string, last, next int64) {
	p.gaps = append(p.gaps, problem{file, last, next})
}

// Problems prints to Err what the files that were printed contradict each other in.
func (d *Dumper) Problems() {
	p := &d.problems
	for _, kind := range []struct {
		list       []problem
		head, line string
		withName   bool
	}{
		{p.indexes, "Mismatches in :", "  Index offset: %d, log offset: %d", true},
		{p.timestamps, "Found timestamp mismatch in :", "  Index timestamp: %d, log timestamp: %d", true},
		{p.orders, "Found out of order timestamp in :", "  Index timestamp: %d, Previously indexed timestamp: %d", true},
		{p.unfound, "The following indexed offsets are not found in the log.", "Indexed offset: %d, found log offset: %d", false},
		{p.gaps, "Non-consecutive offsets in ", "  %d is followed by %d", true},
	} {
		file := ""
		for i, found := range kind.list {
			if found.file != file || i == 0 {
				file = found.file
				head := kind.head
				if kind.withName {
					head += file
				}
				fmt.Fprintln(d.Err, head)
			}
			fmt.Fprintf(d.Err, kind.line+"\n", found.a, found.b)
		}
	}
}
