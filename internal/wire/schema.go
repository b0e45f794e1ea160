package wire

import "math"

//go:generate go run schema_gen.go

// DecodeSlackBytes is what a decoded request may take in memory beyond twice its body. It lets short requests be as
// wide as they like, and stops long ones made of nothing but empty elements, which would take thirty times their size.
const DecodeSlackBytes = 1 << 20

// api is what the framing knows of one API: the layout of its request in every version.
type api struct {
	name         string
	maxVersion   int16
	flexibleFrom int16 // first version with compact lengths and tagged fields
	size         uintptr
	fields       []field
}

// field is one field of a request. It is there in versions from <= v < to.
type field struct {
	from, to     int16
	tag          int32 // -1 when not tagged
	kind         kind
	nullable     bool
	nullableFrom int16
	structs      bool    // of an array: the elements are structs, which end with tagged fields
	size         uintptr // of a decoded element of an array, or of a nullable struct
	fields       []field // of a struct, or of an array's elements
}

type kind uint8

const (
	kindInt8 kind = iota
	kindInt16
	kindInt32
	kindInt64
	kindUUID
	kindString
	kindBytes
	kindArray
	kindStruct
)

// never is a version that does not come.
const never int16 = math.MaxInt16

func apiOf(key int16) (*api, bool) {
	if n := int(key) - privateKeys; n >= 0 && n < len(private) {
		return &private[n], true
	}
	if key < 0 || int(key) >= len(apis) || apis[key].name == "" {
		return &api{}, false
	}
	return &apis[key], true
}

// APIName returns Kafka's name for an API key, such as Fetch, or "unknown".
func APIName(key int16) string {
	if a, ok := apiOf(key); ok {
		return a.name
	}
	return "unknown"
}

func (a *api) flexible(version int16) bool { return version >= a.flexibleFrom }

func (a *api) requestHeader(version int16) int8 {
	switch {
	case a == &apis[KeyControlledShutdown] && version == 0:
		return 0
	case a.flexible(version):
		return 2
	}
	return 1
}

// A surveyor walks over a request before it is decoded: it checks every length and adds up what decoding will allocate,
// and allocates nothing itself. kmsg checks that a count does not exceed the remaining bytes, and then makes that many
// elements of up to some hundred bytes, and it loops over as many tagged fields as are claimed (up to 2^32): after the
// survey neither can be abused.
type surveyor struct {
	reader
	version int16
	weight  int  // bytes that decoding will allocate
	limit   int  // of weight
	aliases bool // decoding will keep parts of the source
}

// Costs of decoded things beyond their bytes, measured with kmsg.
const (
	nullableStringWeight = 16  // the header that the pointer points to
	firstTagWeight       = 400 // the map of unknown tagged fields
	tagWeight            = 100 // another entry in it
)

func (s *surveyor) charge(count int, size uintptr) {
	s.weight += count * int(size)
	if s.weight > s.limit {
		s.fail()
	}
}

func (s *surveyor) structure(fields []field) {
	for i := range fields {
		f := &fields[i]
		if f.tag < 0 && s.version >= f.from && s.version < f.to {
			s.field(f)
		}
	}
	if s.flexible {
		s.tags(fields)
	}
}

func (s *surveyor) field(f *field) {
	switch f.kind {
	case kindInt8:
		s.span(1)
	case kindInt16:
		s.span(2)
	case kindInt32:
		s.span(4)
	case kindInt64:
		s.span(8)
	case kindUUID:
		s.span(16)
	case kindString:
		s.text(f)
	case kindBytes:
		s.blob(f)
	case kindArray:
		s.array(f)
	case kindStruct:
		if f.nullable && s.int8() == -1 {
			return
		}
		s.charge(1, f.size)
		s.structure(f.fields)
	}
}

// mayBeNull tells whether null is allowed for f in this version.
func (s *surveyor) mayBeNull(f *field) bool { return f.nullable && s.version >= f.nullableFrom }

func (s *surveyor) text(f *field) {
	n := s.length(true)
	if n < 0 {
		if !s.mayBeNull(f) {
			s.fail()
		}
		return
	}
	s.span(n)
	s.charge(1, uintptr(n))
	if f.nullable {
		s.charge(1, nullableStringWeight)
	}
}

// blob passes over bytes. Null is let through where it is not allowed: kmsg takes it for empty, and old clients send it.
func (s *surveyor) blob(f *field) {
	if n := s.length(false); n >= 0 {
		s.span(n)
		s.aliases = s.aliases || n > 0
	}
}

func (s *surveyor) array(f *field) {
	n := s.length(false)
	if n < 0 {
		if !s.mayBeNull(f) {
			s.fail()
		}
		return
	}
	s.charge(n, f.size)
	for i := 0; i < n && !s.bad; i++ {
		if f.structs {
			s.structure(f.fields)
		} else {
			s.field(&f.fields[0])
		}
	}
}

// tags walks over the tagged fields that end a struct.
func (s *surveyor) tags(fields []field) {
	unknown := 0
	for n := s.tagCount(); n > 0 && !s.bad; n-- {
		number, value := s.tag()
		if f := tagged(fields, number); f != nil {
			s.within(value, f)
			continue
		}
		s.aliases = true
		if unknown++; unknown == 1 {
			s.charge(1, firstTagWeight)
		} else {
			s.charge(1, tagWeight)
		}
	}
}

// within walks over the value of a tagged field that is known. Bytes after it are ignored, as kmsg does.
func (s *surveyor) within(value reader, f *field) {
	outer := s.reader
	s.reader = value
	s.field(f)
	outer.bad = outer.bad || s.bad
	s.reader = outer
	if s.bad {
		s.fail()
	}
}

func tagged(fields []field, number uint32) *field {
	for i := range fields {
		if fields[i].tag >= 0 && uint32(fields[i].tag) == number {
			return &fields[i]
		}
	}
	return nil
}
