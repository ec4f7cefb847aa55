//go:build cgo

package reqbus

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
)

// fields is a JSON object of which every field must be asked for, so that a typo cannot pass.
type fields struct {
	all   map[string]any
	asked map[string]bool
}

func fieldsOf(value any) *fields {
	all, ok := value.(map[string]any)
	if !ok {
		fail("not an object: %v", value)
	}
	return &fields{all, map[string]bool{}}
}

func (f *fields) get(name string) (any, bool) {
	f.asked[name] = true
	value, ok := f.all[name]
	return value, ok
}

func (f *fields) need(name string) any {
	value, ok := f.get(name)
	if !ok {
		fail("field %s is missing", name)
	}
	return value
}

// object is a field that is an object; empty if it is left out.
func (f *fields) object(name string) *fields {
	if value, ok := f.get(name); ok {
		return fieldsOf(value)
	}
	return fieldsOf(map[string]any{})
}

func (f *fields) text(name, otherwise string) string {
	value, ok := f.get(name)
	if !ok {
		return otherwise
	}
	text, ok := value.(string)
	if !ok {
		fail("%s is no text", name)
	}
	return text
}

func (f *fields) needText(name string) string { f.need(name); return f.text(name, "") }

func (f *fields) yes(name string) (answer, ok bool) {
	value, ok := f.get(name)
	if !ok {
		return false, false
	}
	answer, ok = value.(bool)
	if !ok {
		fail("%s is no boolean", name)
	}
	return answer, true
}

func (f *fields) number(name string) (int64, bool) {
	value, ok := f.get(name)
	if !ok {
		return 0, false
	}
	return numberOf(name, value), true
}

func numberOf(name string, value any) int64 {
	number, ok := value.(json.Number)
	if !ok {
		fail("%s is no number", name)
	}
	whole, err := number.Int64()
	if err != nil {
		fail("%s is no whole number", name)
	}
	return whole
}

func (f *fields) numberOr(name string, otherwise int64) int64 {
	if number, ok := f.number(name); ok {
		return number
	}
	return otherwise
}

func (f *fields) needNumber(name string) int64 { f.need(name); return f.numberOr(name, 0) }

func (f *fields) list(name string) ([]any, bool) {
	value, ok := f.get(name)
	if !ok {
		return nil, false
	}
	list, ok := value.([]any)
	if !ok {
		fail("%s is no list", name)
	}
	return list, true
}

func (f *fields) needList(name string) []any { f.need(name); list, _ := f.list(name); return list }

func (f *fields) texts(name string) (texts []string) {
	list, _ := f.list(name)
	for _, value := range list {
		text, ok := value.(string)
		if !ok {
			fail("%s is no list of texts", name)
		}
		texts = append(texts, text)
	}
	return texts
}

// sameNumber compares number name, if it is there, with what the library says.
func (f *fields) sameNumber(name string, got uint64) {
	if want, ok := f.number(name); ok && uint64(want) != got {
		fail("%s is %d, not %d", name, got, want)
	}
}

func (f *fields) sameYes(name string, got bool) {
	if want, ok := f.yes(name); ok && want != got {
		fail("%s is %v, not %v", name, got, want)
	}
}

// done: every field must have been asked for.
func (f *fields) done() {
	for name := range f.all {
		if !f.asked[name] {
			fail("unknown field %s", name)
		}
	}
}

// kindOf is the name of the error kind of an answer; "ok" of none.
func kindOf(err error) string {
	var failed *Error
	if err == nil {
		return "ok"
	}
	if errors.As(err, &failed) {
		return failed.Kind.Name()
	}
	return err.Error()
}

// answered compares a call's answer with fields expect and context; true if it was ok.
func answered(f *fields, err error) bool {
	want, got := f.text("expect", "ok"), kindOf(err)
	if got != want {
		fail("the answer is %s (%v), not %s", got, err, want)
	}
	if context, ok := f.get("context"); ok {
		var failed *Error
		if !errors.As(err, &failed) || failed.Context != context {
			fail("the context is not %v: %v", context, err)
		}
	}
	return err == nil
}

// equal compares JSON values, however their numbers are held.
func equal(want, got any) bool {
	one, err := json.Marshal(want)
	if err != nil {
		fail("%v", err)
	}
	other, err := json.Marshal(got)
	if err != nil {
		fail("%v", err)
	}
	if string(one) == string(other) {
		return true
	}
	var a, b any
	json.Unmarshal(one, &a)
	json.Unmarshal(other, &b)
	return reflect.DeepEqual(a, b)
}

// same compares the fields that the expectation names. An expectation of a time needs a clock that stands still.
func same(want, got any, timed bool) {
	wants, isObject := want.(map[string]any)
	gots, isToo := got.(map[string]any)
	if !isObject || !isToo {
		if !equal(want, got) {
			fail("it is %v, not %v", got, want)
		}
		return
	}
	for name, value := range wants {
		if strings.HasSuffix(name, "_ms") && !timed {
			fail("%s is compared in a case that moves no clock", name)
		}
		field, ok := gots[name]
		if !ok {
			fail("unknown field %s", name)
		}
		if !equal(value, field) {
			fail("%s is %v, not %v\n    all: %v", name, field, value, got)
		}
	}
}

// sameList is same, item by item.
func sameList(want []any, got []any, timed bool) {
	if len(want) != len(got) {
		fail("%d items, not %d: %v", len(got), len(want), got)
	}
	for at := range want {
		if err := attempt(func() { same(want[at], got[at], timed) }); err != nil {
			fail("item %d: %v", at, err)
		}
	}
}
