package wire

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"
)

// TestAnEventIsWrittenAsItsTagsSay fills every field there is, so that a new one which
// is not written by hand is missed here.
func TestAnEventIsWrittenAsItsTagsSay(t *testing.T) {
	var full Event
	fill(reflect.ValueOf(&full).Elem())
	full.Data = json.RawMessage(`{"a":[1,null,"<x>"]}`)
	for name, e := range map[string]Event{"with everything": full, "with nothing": {}} {
		t.Run(name, func(t *testing.T) {
			var back Event
			if err := json.Unmarshal(e.append(nil), &back); err != nil {
				t.Fatal(err)
			}
			if len(e.Data) == 0 {
				e.Data = json.RawMessage("null")
			}
			if !reflect.DeepEqual(back, e) {
				t.Errorf("an event came back as %+v, was %+v", back, e)
			}
			if want, err := json.Marshal(e); err != nil || !sameJSON(t, e.append(nil), want) {
				t.Errorf("%s is written as %s: %v", want, e.append(nil), err)
			}
		})
	}
}

func TestValuesAreWrittenAsTheLibraryWouldWriteThem(t *testing.T) {
	for _, v := range []any{
		nil, true, false, "", "plain", "a\"b\\c\n\t\x01\u2028\u2029<&>é\U0001F600", "broken \xff utf", int64(math.MinInt64), 7, 1.5, 1e21, 1e-7, 0.1,
		json.Number("12"), json.RawMessage(`{"x":1}`), []any{"a", nil, 1.0}, map[string]any{"b": []any{}, "a": map[string]any{}}, []string{"x"}, map[string]string{"k": "v"},
	} {
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if got := AppendValue(nil, v); !sameJSON(t, got, want) {
			t.Errorf("%#v is written as %s, not as %s", v, got, want)
		}
	}
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Errorf("%s is no JSON: %v", a, err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Errorf("%s is no JSON: %v", b, err)
	}
	return reflect.DeepEqual(x, y)
}

func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.String:
		v.SetString("é\"<" + v.Type().Name())
	case reflect.Int, reflect.Int64:
		v.SetInt(1700000000123)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		if v.Type().Elem().Kind() == reflect.String {
			v.Index(0).SetString("one")
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(reflect.ValueOf("k"), reflect.ValueOf("v"))
	}
}
