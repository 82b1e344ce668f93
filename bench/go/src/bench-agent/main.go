// bench-agent starts an agent, measures it through its API as a Kata runtime uses it, and ends it.
//
//	bench-agent -address SOCKET -shared DIR -rootfs DIR -cgroup NAME [-lives N] [-for 500ms] -- AGENT [ARGUMENT…]
//
// It is the first process of a pid namespace (bench/agent.ts), so that whatever the agent leaves ends with it, and it exits
// when its standard input ends. The agent's process must be the started one, or replace it (exec): its memory is measured.
//
// Output: one JSON object of lists of numbers, by what was measured: times in ms, rates in calls/s or MiB/s, memory (PSS) in
// MiB.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

func main() {
	b := bench{results: map[string][]float64{}}
	flag.StringVar(&b.address, "address", "", "the agent's unix socket")
	flag.StringVar(&b.shared, "shared", "", "Kata's shared directory")
	flag.StringVar(&b.rootfs, "rootfs", "", "root file system with busybox's commands, below the shared directory")
	flag.StringVar(&b.cgroup, "cgroup", "", "parent of the containers' cgroups, which is removed at the end")
	flag.IntVar(&b.lives, "lives", 10, "number of containers in turn")
	flag.DurationVar(&b.length, "for", 500*time.Millisecond, "duration of the measurement of a rate")
	flag.Parse()
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	err := b.run(exec.Command(flag.Arg(0), flag.Args()[1:]...))
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(b.results)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench-agent: %v\n", err)
		os.Exit(1)
	}
}
