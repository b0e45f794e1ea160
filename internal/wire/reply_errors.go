package wire

import (
	"reflect"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ErrorCounter counts the error codes of replies.
type ErrorCounter interface {
	CountError(code int16)
}

// ErrorLister is a Response that knows its error codes.
type ErrorLister interface {
	// CountErrors tells to of every error code in the reply that is not None. It must be called before AppendTo.
	CountErrors(to ErrorCounter)
}

// CountErrors tells to of every error code in a reply that is not None, at whatever depth it stands. It must be called
// before the reply is encoded; a nil reply has none.
func CountErrors(r Response, to ErrorCounter) {
	if lister, ok := r.(ErrorLister); ok {
		lister.CountErrors(to)
	}
}

// CountErrors implements [ErrorLister].
func (r *ProduceResponse) CountErrors(to ErrorCounter) {
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			if e := r.Topics[i].Partitions[j].Error; e != None {
				to.CountError(e.Code())
			}
		}
	}
}

// CountErrors implements [ErrorLister].
func (r *FetchResponse) CountErrors(to ErrorCounter) {
	if r.Error != None {
		to.CountError(r.Error.Code())
	}
	for i := range r.Topics {
		for j := range r.Topics[i].Partitions {
			if e := r.Topics[i].Partitions[j].Error; e != None {
				to.CountError(e.Code())
			}
		}
	}
}

// CountErrors implements [ErrorLister].
func (m message) CountErrors(to ErrorCounter) {
	v := reflect.ValueOf(m.Response).Elem()
	codesOf(v.Type()).count(v, to)
}

// codePlan says where a struct of kmsg's keeps error codes: in fields of its own, and in the elements of its slices.
type codePlan struct {
	codes  []int
	slices []codeSlice
}

type codeSlice struct {
	field int
	plan  *codePlan
}

// codePlans holds a *codePlan for each type that was met. The types are kmsg's responses, a closed set.
var codePlans sync.Map

func codesOf(t reflect.Type) *codePlan {
	if p, ok := codePlans.Load(t); ok {
		return p.(*codePlan)
	}
	p, _ := codePlans.LoadOrStore(t, planCodes(t))
	return p.(*codePlan)
}

func planCodes(t reflect.Type) *codePlan {
	p := &codePlan{}
	for i := range t.NumField() {
		f := t.Field(i)
		switch {
		case f.Name == "ErrorCode" && f.Type.Kind() == reflect.Int16:
			p.codes = append(p.codes, i)
		case f.Type.Kind() == reflect.Slice && f.Type.Elem().Kind() == reflect.Struct:
			if inner := planCodes(f.Type.Elem()); len(inner.codes)+len(inner.slices) > 0 {
				p.slices = append(p.slices, codeSlice{i, inner})
			}
		}
	}
	return p
}

func (p *codePlan) count(v reflect.Value, to ErrorCounter) {
	for _, i := range p.codes {
		if code := int16(v.Field(i).Int()); code != 0 {
			to.CountError(code)
		}
	}
	for _, s := range p.slices {
		elements := v.Field(s.field)
		for i := range elements.Len() {
			s.plan.count(elements.Index(i), to)
		}
	}
}

var _ = []ErrorLister{(*ProduceResponse)(nil), (*FetchResponse)(nil), message{kmsg.Response(nil)}}
