//go:build cgo

package reqbus

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"
)

// tests/conformance/encodings.json: the texts that every language must produce, byte for byte. The id is the one that the
// bus gave; control items cannot be made here, and are in the scripts of texts.json.
func TestConformanceEncodings(t *testing.T) {
	number := func(f *fields, name string) int64 {
		number, err := strconv.ParseInt(f.needText(name), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return number
	}
	cases := readCases(t, "encodings.json", "events")
	if len(cases) < 25 {
		t.Fatal(len(cases), "cases")
	}
	for _, c := range cases {
		t.Run(c.name(), func(t *testing.T) {
			bus := newBus(t)
			err := attempt(func() {
				f := fieldsOf(map[string]any(c))
				payload := f.object("payload")
				at := time.Unix(0, number(f, "time_ns"))
				key := f.needText("key")
				event := NewEvent{Kind: f.needText("kind"), Key: key, Time: at}
				var subs []*Subscription
				for range 4 {
					subs = append(subs, subscribe(t, bus, SubscribeOptions{Overflow: CatchUp}))
				}
				var err error
				switch payload.needText("sort") {
				case "request":
					if number(payload, "latency_ms") > int64(math.MaxInt64/time.Millisecond) {
						t.Skip("no time.Duration is that long")
					}
					err = bus.Publish(RequestEvent{
						Timestamp: at, Method: payload.needText("method"), Path: payload.needText("path"),
						Model: payload.needText("model"), AccountID: number(payload, "account_id"), Key: key,
						Status: RequestStatus(payload.needText("status")), Extra: payload.text("extra", ""),
						Latency: time.Duration(number(payload, "latency_ms")) * time.Millisecond,
					})
				case "json":
					event.Sort, event.Payload = JSON, []byte(payload.needText("json"))
					_, err = bus.PublishEvent(event)
				case "text":
					event.Sort, event.Payload = Text, []byte(payload.needText("text"))
					_, err = bus.PublishEvent(event)
				case "bytes":
					event.Sort = Bytes
					event.Payload, _ = base64.StdEncoding.DecodeString(payload.needText("base64"))
					_, err = bus.PublishEvent(event)
				}
				if err != nil {
					fail("%v", err)
				}
				id, expect := f.needText("id"), f.object("expect")
				for form, name := range []string{"json", "envelope", "ndjson", "sse"} {
					want := strings.ReplaceAll(expect.needText(name), id, bus.Newest().String())
					some, err := subs[form].TryTexts(Form(form), ReadLimits{}, func(texts Texts) error {
						if got := string(texts.Buffer); got != want {
							fail("%s: %q\n  not %q", name, got, want)
						}
						return nil
					})
					if !some || err != nil {
						fail("%v %v", some, err)
					}
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}
