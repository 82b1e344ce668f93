package podclient

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Memory returns the proportional set size of a process, in MiB.
func Memory(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(text), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Pss:" {
			kibibytes, err := strconv.ParseFloat(fields[1], 64)
			return kibibytes / 1024, err
		}
	}
	return 0, fmt.Errorf("/proc/%d/smaps_rollup has no Pss", pid)
}

// Descriptors returns the number of open file descriptors of a process.
func Descriptors(pid int) (int, error) {
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(names), err
}

// Processor is what a process has had of the processors since its start, in seconds.
type Processor struct {
	// Used is the time on a processor, of all threads.
	Used float64
	// Waited is the time in which the main thread waited for one.
	Waited float64
}

// ProcessorOf returns the times of a process.
func ProcessorOf(pid int) (Processor, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Processor{}, err
	}
	// After the name, which may contain spaces: utime and stime, in hundredths of a second on every Linux of the benchmark.
	fields := strings.Fields(string(text)[strings.LastIndex(string(text), ")")+1:])
	user, err := strconv.ParseFloat(fields[11], 64)
	if err != nil {
		return Processor{}, err
	}
	system, err := strconv.ParseFloat(fields[12], 64)
	if err != nil {
		return Processor{}, err
	}
	// Nanoseconds on a processor, and in the queue for one.
	schedule, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", pid))
	if err != nil {
		return Processor{}, err
	}
	waited, err := strconv.ParseFloat(strings.Fields(string(schedule))[1], 64)
	return Processor{(user + system) / 100, waited / 1e9}, err
}

// RemoveCgroups removes the empty parents of the containers' cgroups.
func RemoveCgroups(name string) {
	parents, _ := filepath.Glob("/sys/fs/cgroup/*/" + name)
	for _, parent := range append(parents, "/sys/fs/cgroup/"+name) {
		os.Remove(parent)
	}
}
