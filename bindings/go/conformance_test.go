//go:build cgo

package reqbus

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The scripts of tests/conformance, as Go sees them: the same files that every language runs. The format is in the README
// there. Each case of a bus runs with batches of 1, 3 and 256 items: what is read must not depend on them. Each case of a
// pool runs by each face of a wait, and once more on a store behind a line; each of a runner ends in either order.

const casesFolder = "../../tests/conformance"

type testCase map[string]any

func (c testCase) name() string { return c["name"].(string) }

func (c testCase) steps() []any { steps, _ := c["steps"].([]any); return steps }

// has says whether a step of this sort is there.
func (c testCase) has(word string) bool {
	for _, step := range c.steps() {
		if _, ok := step.(map[string]any)[word]; ok {
			return true
		}
	}
	return false
}

func readCases(t testing.TB, file, list string) []testCase {
	t.Helper()
	raw, err := os.Open(filepath.Join(casesFolder, file))
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	decoder := json.NewDecoder(raw)
	decoder.UseNumber()
	var all map[string]any
	if err := decoder.Decode(&all); err != nil {
		t.Fatal(err)
	}
	var cases []testCase
	for _, one := range all[list].([]any) {
		cases = append(cases, one.(map[string]any))
	}
	if len(cases) == 0 {
		t.Fatalf("%s holds no case", file)
	}
	return cases
}

// wrong is what a step of a script finds; it travels as a panic, so that steps read as a list.
type wrong string

func fail(format string, args ...any) { panic(wrong(fmt.Sprintf(format, args...))) }

// attempt runs a step, and returns what it found wrong.
func attempt(step func()) (said error) {
	defer func() {
		switch found := recover().(type) {
		case nil:
		case wrong:
			said = fmt.Errorf("%s", string(found))
		default:
			panic(found)
		}
	}()
	step()
	return nil
}

func shortened(step any) string {
	text, _ := json.Marshal(step)
	return string(text[:min(len(text), 300)])
}

// oneStep is the word and the fields of a step.
func oneStep(step any) (string, *fields) {
	all, _ := step.(map[string]any)
	if len(all) != 1 {
		fail("not one step")
	}
	for word, value := range all {
		return word, fieldsOf(value)
	}
	panic("unreachable")
}

func TestConformance(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(casesFolder, "*.json"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	names := map[string]bool{}
	for _, path := range files {
		file := filepath.Base(path)
		if file == "encodings.json" {
			continue // TestConformanceEncodings
		}
		t.Run(strings.TrimSuffix(file, ".json"), func(t *testing.T) {
			for _, c := range readCases(t, file, "cases") {
				if names[c.name()] {
					t.Errorf("%s: said twice", c.name())
				}
				names[c.name()] = true
				t.Run(c.name(), func(t *testing.T) {
					if (c.has("advance") || strings.HasPrefix(file, "runner_")) && !hasTestClock {
						t.Skip("it moves the clock, which this library cannot")
					}
					switch {
					case strings.HasPrefix(file, "slots_"):
						runPoolCase(t, c)
					case strings.HasPrefix(file, "runner_"):
						for _, isFirstClosed := range []bool{false, true} {
							if err := runRunnerCase(c, isFirstClosed); err != nil {
								t.Errorf("%v\n    (closed first: %v)", err, isFirstClosed)
							}
						}
					default:
						batches := []int{256, 1, 3}
						if isCollecting {
							batches = batches[2:] // the calls are the same
						}
						for _, most := range batches {
							if err := runBusCase(c, most); err != nil {
								t.Errorf("%v\n    (batches of %d)", err, most)
							}
						}
					}
				})
			}
		})
	}
}

// runSteps does the steps of a case in order; check runs after each.
func runSteps(c testCase, do func(word string, f *fields), check func()) error {
	for at, step := range c.steps() {
		err := attempt(func() {
			word, f := oneStep(step)
			do(word, f)
			f.done()
			check()
		})
		if err != nil {
			return fmt.Errorf("%s, step %d: %w\n    the step: %s", c.name(), at+1, err, shortened(step))
		}
	}
	return nil
}
