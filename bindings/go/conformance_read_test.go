//go:build cgo

package reqbus

import (
	"encoding/base64"
	"errors"
	"fmt"
)

// numbered is a name, or the numbered names, of a step or an expectation.
func numbered(f *fields, name string) []string {
	count, ok := f.number("numbered")
	if !ok {
		return []string{name}
	}
	var all []string
	for number := range count {
		all = append(all, fmt.Sprint(name, number+1))
	}
	return all
}

func sameCounts(f *fields, stats ReadStats) {
	f.sameNumber("matched", stats.Matched)
	f.sameNumber("delivered", stats.Delivered)
	f.sameNumber("lost_full", stats.LostFull)
	f.sameNumber("lost_window", stats.LostWindow)
	f.sameNumber("lost_evicted", stats.LostEvicted)
	f.sameNumber("pending", stats.Pending)
}

func form(f *fields) Form {
	forms := map[string]Form{"json": FormJSON, "envelope": FormEnvelope, "ndjson": FormNDJSON, "sse": FormSSE}
	form, ok := forms[f.needText("form")]
	if !ok {
		fail("no such form")
	}
	return form
}

func (s *busScript) recv(f *fields) {
	want := wantedItems(f.needList("expect"))
	sub := s.sub(f, "from")
	var got []any
	s.read(f, func(limits ReadLimits) (bool, ID, error) {
		batch, err := sub.TryBatch(limits)
		if batch == nil {
			return false, ID{}, err
		}
		for _, item := range batch.Items {
			got = append(got, itemAsJSON(item, s.bus.Epoch()))
		}
		return true, batch.Settled, err
	})
	compareItems(want, got)
}

func (s *busScript) recvTexts(f *fields) {
	form := form(f)
	var want, got []any
	f.needList("expect")
	for _, text := range f.texts("expect") {
		want = append(want, s.fillIn(text))
	}
	sub := s.sub(f, "from")
	s.read(f, func(limits ReadLimits) (some bool, settled ID, err error) {
		some, err = sub.TryTexts(form, limits, func(texts Texts) error {
			settled = texts.Settled
			return texts.Each(func(text []byte) error {
				got = append(got, string(text))
				return nil
			})
		})
		return some, settled, err
	})
	compareItems(want, got)
}

// read tries once if the step has a limit, else until there is nothing more.
func (s *busScript) read(f *fields, try func(ReadLimits) (bool, ID, error)) {
	items, byItems := f.number("max_items")
	bytes, byBytes := f.number("max_bytes")
	once := byItems || byBytes
	then := f.text("then", "empty")
	if _, ok := f.get("then"); ok && once || then != "empty" && then != "closed" {
		fail("then is not allowed beside a limit, or unknown")
	}
	limits := ReadLimits{Items: int(items), Bytes: int(bytes)}
	if !once {
		limits.Items = s.most
	}
	end := "once"
	for settled := (ID{}); ; {
		some, at, err := try(limits)
		if some {
			settled = at
		}
		if errors.Is(err, ErrClosed) {
			end = "closed"
		} else if err != nil {
			fail("%v", err)
		} else if !some {
			end = "empty"
		}
		if !some || once {
			if settled != (ID{}) {
				f.sameNumber("settled", settled.Seq)
			}
			f.get("settled")
			break
		}
	}
	if !once && end != then {
		fail("after all items it is %s", end)
	}
}

func itemAsJSON(item Item, epoch uint64) map[string]any {
	switch item := item.(type) {
	case *Event:
		if item.ID.Epoch != epoch {
			fail("%v has another epoch than its bus", item.ID)
		}
		value := map[string]any{"event": item.ID.Seq, "n": item.N, "kind": item.Kind, "key": item.Key}
		switch item.Sort {
		case JSON:
			value["json"] = string(item.Payload)
		case Text:
			value["text"] = string(item.Payload)
		case Bytes:
			value["base64"] = base64.StdEncoding.EncodeToString(item.Payload)
		case Request:
			if item.Request == nil {
				fail("a request without its record")
			}
		}
		return value
	case Lost:
		return map[string]any{"lost": item.Missed, "reason": string(item.Reason), "next_n": item.NextN}
	case Resync:
		if item.Head.Epoch != epoch {
			fail("%v has another epoch than its bus", item.Head)
		}
		return map[string]any{"resync": string(item.Reason), "head": item.Head.Seq}
	case Status:
		return map[string]any{"status": item.Source, "state": item.State, "detail": item.Detail}
	}
	fail("an unknown item: %v", item)
	return nil
}

// wantedItems are the items that expect says, one by one.
func wantedItems(expect []any) (all []any) {
	for _, raw := range expect {
		f := fieldsOf(raw)
		pick := func(names ...string) map[string]any {
			item := map[string]any{}
			for _, name := range names {
				if value, ok := f.get(name); ok {
					item[name] = value
				}
			}
			return item
		}
		first, isEvent := f.number("event")
		last := first
		if ends, ok := f.list("events"); ok && len(ends) == 2 && !isEvent {
			isEvent, first, last = true, numberOf("events", ends[0]), numberOf("events", ends[1])
		}
		if isEvent {
			n, hasN := f.number("n")
			for seq := first; seq <= last; seq++ {
				item := pick("kind", "key", "text", "json", "base64")
				item["event"] = seq
				if hasN {
					item["n"] = n + seq - first
				}
				all = append(all, item)
			}
		} else if _, ok := f.get("status"); ok {
			f.needText("state")
			for _, source := range numbered(f, f.needText("status")) {
				item := pick("state", "detail")
				item["status"] = source
				all = append(all, item)
			}
		} else if _, ok := f.get("resync"); ok {
			f.needNumber("head")
			all = append(all, pick("resync", "head"))
		} else {
			f.needNumber("lost")
			f.needText("reason")
			f.needNumber("next_n")
			all = append(all, pick("lost", "reason", "next_n"))
		}
		f.done()
	}
	return all
}

// compareItems compares at each place only the fields that the expectation names.
func compareItems(want, got []any) {
	for at, want := range want {
		if at >= len(got) {
			fail("item %d is missing: %v", at, want)
		}
		isSame := equal(want, got[at])
		if wants, ok := want.(map[string]any); ok {
			isSame = true
			gots := got[at].(map[string]any)
			for name, value := range wants {
				field, ok := gots[name]
				isSame = isSame && ok && equal(value, field)
			}
		}
		if !isSame {
			fail("item %d is %v, not %v", at, got[at], want)
		}
	}
	if len(got) > len(want) {
		fail("item %d is one too many: %v", len(want), got[len(want)])
	}
}

func (s *busScript) consumers(f *fields) {
	list, err := s.bus.Consumers()
	if err != nil {
		fail("%v", err)
	}
	var got []any
	for _, c := range list {
		got = append(got, map[string]any{
			"label": c.Label, "pid": c.PID, "overflow": c.Overflow.String(), "audience": c.Audience, "closed": c.Closed,
			"matched": c.Stats.Matched, "delivered": c.Stats.Delivered, "lost": c.Stats.Lost(), "pending": c.Stats.Pending,
		})
	}
	compareItems(f.needList("expect"), got)
}
