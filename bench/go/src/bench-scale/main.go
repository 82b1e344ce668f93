// bench-scale starts an agent, measures it under the load of many containers, execs, streams or calls, and ends it.
//
//	bench-scale -address SOCKET -rootfs DIR -cgroup NAME [OPTIONS] MEASUREMENT AGENT [ARGUMENT…]
//
//	containers  -containers 64 -execs 32: all of them at once
//	streams     -streams 200 -bytes 16777216: processes whose output is read at once, of at most so many bytes each
//	lives       -lives 10000 -group 100 -runtime PROGRAM -state DIR -bundle DIR: containers in turn, of which the first group is the
//	            warm-up; beside one of the plain runtime in each group, with an empty directory for its bundle, and the agent's state
//	            directory
//	calls       -rate 1000 -period 1m -periods 60 -log FILE: mixed calls of a pod at a steady rate, and the audit log
//
// Progress is on standard error. Output: one JSON object of numbers and lists of numbers, by what was measured: times in ms,
// those of many containers in s, rates in MiB/s, memory (PSS) in MiB. As bench-agent, it is the first process of a pid namespace,
// and exits when its standard input ends.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"

	"podclient"
)

type bench struct {
	address, rootfs, cgroup string
	pid                     int
	client                  *podclient.Client
	results                 map[string][]float64

	containers, execs      int
	streams, bytes         int
	lives, group           int
	runtime, state, bundle string
	rate, periods          int
	period                 time.Duration
	log                    string
}

func main() {
	b := &bench{results: map[string][]float64{}}
	flag.StringVar(&b.address, "address", "", "the agent's unix socket")
	flag.StringVar(&b.rootfs, "rootfs", "", "root file system with busybox's commands")
	flag.StringVar(&b.cgroup, "cgroup", "", "parent of the containers' cgroups, which is removed at the end")
	flag.IntVar(&b.containers, "containers", 64, "number of containers at once")
	flag.IntVar(&b.execs, "execs", 32, "number of execs in each")
	flag.IntVar(&b.streams, "streams", 200, "number of streams at once")
	flag.IntVar(&b.bytes, "bytes", 16<<20, "bytes of the first stream, a multiple of 16; each further one has 16 less")
	flag.IntVar(&b.lives, "lives", 10000, "number of containers in turn")
	flag.IntVar(&b.group, "group", 100, "number of containers of which a figure is")
	flag.StringVar(&b.runtime, "runtime", "crun", "the plain OCI runtime")
	flag.StringVar(&b.state, "state", "", "the agent's state directory")
	flag.StringVar(&b.bundle, "bundle", "", "an empty directory for the plain runtime's bundle")
	flag.IntVar(&b.rate, "rate", 1000, "calls a second")
	flag.DurationVar(&b.period, "period", time.Minute, "the time of which a figure is")
	flag.IntVar(&b.periods, "periods", 60, "number of periods")
	flag.StringVar(&b.log, "log", "", "the audit log")
	flag.Parse()
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	measures := map[string]func(*bench) error{
		"containers": (*bench).measureContainers,
		"streams":    (*bench).measureStreams,
		"lives":      (*bench).measureLives,
		"calls":      (*bench).measureCalls,
	}
	err := fmt.Errorf("%q is not one of the measurements, or no agent follows", flag.Arg(0))
	if measure, ok := measures[flag.Arg(0)]; ok && flag.NArg() > 1 {
		err = b.run(measure, exec.Command(flag.Arg(1), flag.Args()[2:]...))
	}
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(b.results)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench-scale: %v\n", err)
		os.Exit(1)
	}
}

// run measures an agent from the beginning of a sandbox to its end.
func (b *bench) run(measure func(*bench) error, command *exec.Cmd) error {
	defer podclient.RemoveCgroups(b.cgroup)
	return podclient.WithAgent(command, b.dial, func(agent podclient.Agent) error {
		b.client, b.pid = agent.Client, agent.Pid
		if err := b.client.CreateSandbox(); err != nil {
			return err
		}
		err := measure(b)
		// The agent may end before it answers.
		b.client.DestroySandbox()
		return err
	})
}

func (b *bench) dial() (*podclient.Client, error) {
	return podclient.Dial(b.address, b.rootfs, b.cgroup)
}

// add adds a figure to the results.
func (b *bench) add(name string, value float64) { b.results[name] = append(b.results[name], value) }

// usage adds the agent's memory and its file descriptors.
func (b *bench) usage(name string) error {
	memory, err := podclient.Memory(b.pid)
	if err != nil {
		return err
	}
	descriptors, err := podclient.Descriptors(b.pid)
	b.add("memory "+name, memory)
	b.add("descriptors "+name, float64(descriptors))
	return err
}

// progress prints a line for people.
func progress(format string, values ...any) { fmt.Fprintf(os.Stderr, "  "+format+"\n", values...) }

// firstError keeps the first of several errors.
type firstError struct {
	mutex sync.Mutex
	err   error
}

func (f *firstError) set(err error) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.err == nil {
		f.err = err
	}
}

func (f *firstError) get() error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	return f.err
}
