// Command bench measures the Go package beside what gateways write by hand, in one run on one machine: ours and the peer
// take turns. It prints a table and puts its rows into target/bench.json.
//
//	go run . [-quick] [-only name] [-out file]
package main

import (
	"flag"
	"log"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	r := &report{}
	out := flag.String("out", "../../../target/bench.json", "the file that the rows go to")
	flag.BoolVar(&r.quick, "quick", false, "an eighth of the rounds")
	flag.StringVar(&r.only, "only", "", "rows whose name holds this")
	flag.Parse()

	if r.wants("go/publish/1") {
		publishRow(r, 1, 2.5)
	}
	publishRow(r, 64, 0.2)
	if r.wants("go/dashboards/64") {
		dashboardsRow(r)
	}
	acquireReleaseRow(r)
	handOverRow(r)
	waitAfterReleaseRow(r)
	r.print()
	if err := r.write(*out); err != nil {
		log.Fatal(err)
	}
}
