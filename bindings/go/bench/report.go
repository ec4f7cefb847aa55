package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// row is one line of the report: ours beside a peer, and the ratio that it must not exceed.
type row struct {
	name, peer, unit string
	target           float64
}

// outcome is what was measured: the medians of both, and the quartiles of the ratios of single rounds.
type outcome struct {
	ours, peer float64
	spread     [2]float64
}

type report struct {
	only  string
	quick bool
	rows  []row
	outs  []outcome
}

func (r *report) wants(name string) bool { return strings.Contains(name, r.only) }

// rounds is how many rounds to make of full.
func (r *report) rounds(full int) int {
	if r.quick {
		return (full + 7) / 8
	}
	return full
}

// measure makes rounds of ours and the peer in turn, so that both meet the same machine.
func (r *report) measure(of row, rounds int, ours, peer func() float64) {
	if !r.wants(of.name) {
		return
	}
	ours()
	peer()
	var us, them, ratios []float64
	for range r.rounds(rounds) {
		one, other := ours(), peer()
		us, them, ratios = append(us, one), append(them, other), append(ratios, one/other)
	}
	r.add(of, outcome{middle(us), middle(them), [2]float64{quantile(ratios, 0.25), quantile(ratios, 0.75)}})
}

func (r *report) add(of row, out outcome) {
	fmt.Fprintf(os.Stderr, "%-32s %.2f\n", of.name, out.ours/out.peer)
	r.rows, r.outs = append(r.rows, of), append(r.outs, out)
}

func quantile(all []float64, at float64) float64 {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[int(at*float64(len(sorted)-1)+0.5)]
}

func middle(all []float64) float64 { return quantile(all, 0.5) }

func (r *report) print() {
	fmt.Printf("%-31s %9s %9s  %-11s %6s %6s        %-11s peer\n", "row", "ours", "peer", "unit", "ratio", "target", "rounds")
	for at, row := range r.rows {
		out := r.outs[at]
		met := "met"
		if out.ours/out.peer > row.target {
			met = "MISSED"
		}
		fmt.Printf("%-31s %9s %9s  %-11s %6.3f %6v %-6s %.2f-%.2f   %s\n", row.name, short(out.ours), short(out.peer), row.unit,
			out.ours/out.peer, row.target, met, out.spread[0], out.spread[1], row.peer)
	}
}

// short has three digits or more.
func short(value float64) string {
	switch {
	case value >= 100:
		return fmt.Sprintf("%.0f", value)
	case value >= 10:
		return fmt.Sprintf("%.1f", value)
	}
	return fmt.Sprintf("%.2f", value)
}

type fileRow struct {
	Name     string  `json:"name"`
	Ours     float64 `json:"ours"`
	Peer     float64 `json:"peer"`
	PeerName string  `json:"peer_name"`
	Unit     string  `json:"unit"`
	Ratio    float64 `json:"ratio"`
}

// write puts the rows among those of the file, which other languages write to as well.
func (r *report) write(path string) error {
	var file struct {
		Rows []fileRow `json:"rows"`
	}
	if text, err := os.ReadFile(path); err == nil {
		if err := json.Unmarshal(text, &file); err != nil {
			return err
		}
	}
	for at, row := range r.rows {
		out := r.outs[at]
		file.Rows = slices.DeleteFunc(file.Rows, func(old fileRow) bool { return old.Name == row.name })
		file.Rows = append(file.Rows, fileRow{row.name, out.ours, out.peer, row.peer, row.unit, out.ours / out.peer})
	}
	text, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o666)
}
