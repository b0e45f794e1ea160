package wire

import (
	"reflect"

	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"
)

// tagsType is the type of UnknownTags in kmsg's structs.
var tagsType = reflect.TypeFor[kmsg.Tags]()

// fill sets every field of a kmsg struct at random: lengths up to three, pointers nil or not.
func fill(t *rapid.T, v reflect.Value, unknownTags bool) {
	switch v.Kind() {
	case reflect.Struct:
		if v.Type() == tagsType {
			if unknownTags && rapid.IntRange(0, 9).Draw(t, "tags") == 0 {
				v.Addr().Interface().(*kmsg.Tags).Set(rapid.Uint32Range(100, 1<<31).Draw(t, "tag"), []byte("value"))
			}
			return
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Name != "Version" {
				fill(t, v.Field(i), unknownTags)
			}
		}
	case reflect.Pointer:
		if rapid.Bool().Draw(t, "set") {
			v.Set(reflect.New(v.Type().Elem()))
			fill(t, v.Elem(), unknownTags)
		}
	case reflect.Slice:
		n := rapid.IntRange(0, 3).Draw(t, "len")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			fill(t, v.Index(i), unknownTags)
		}
	case reflect.Array:
		for i := range v.Len() {
			fill(t, v.Index(i), unknownTags)
		}
	case reflect.String:
		v.SetString(rapid.SampledFrom([]string{"", "a", "telematics", "grüße"}).Draw(t, "string"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Float64:
		v.SetFloat(rapid.Float64().Draw(t, "float"))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32:
		v.SetUint(rapid.Uint64().Draw(t, "uint") & (1<<v.Type().Bits() - 1))
	default:
		v.SetInt(rapid.Int64().Draw(t, "int") >> (64 - v.Type().Bits()))
	}
}

// randomRequest gives a request of the version with every field set at random.
func randomRequest(t *rapid.T, key, version int16) kmsg.Request {
	request := kmsg.RequestForKey(key)
	request.SetVersion(version)
	fill(t, reflect.ValueOf(request).Elem(), request.IsFlexible())
	return request
}

// manyElements encodes request with n zero elements in its first array of structs, or returns nil when it has none.
func manyElements(request kmsg.Request, n int) []byte {
	v := reflect.ValueOf(request).Elem()
	for i := range v.NumField() {
		f := v.Field(i)
		if f.Kind() == reflect.Slice && f.Type().Elem().Kind() == reflect.Struct {
			f.Set(reflect.MakeSlice(f.Type(), n, n))
			return request.AppendTo(nil)
		}
	}
	return nil
}
