package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	kata "kata/grpc"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

const agentService = "grpc.AgentService"

type bench struct {
	address, shared, rootfs, cgroup string
	lives                           int
	length                          time.Duration

	client  *ttrpc.Client
	pid     int
	results map[string][]float64
}

// add adds a figure to the results.
func (b bench) add(name string, value float64) { b.results[name] = append(b.results[name], value) }

// run measures an agent from its start to its end. Its output is part of an error.
func (b bench) run(agent *exec.Cmd) error {
	output := &bytes.Buffer{}
	agent.Stdout, agent.Stderr = output, output
	begin := time.Now()
	if err := agent.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		agent.Wait()
		close(exited)
	}()
	err := b.connect(exited)
	if err == nil {
		b.add("start", milliseconds(begin))
		b.pid = agent.Process.Pid
		err = b.measure()
	}
	// An agent may end with its sandbox.
	agent.Process.Signal(syscall.SIGTERM)
	select {
	case <-exited:
	case <-time.After(10 * time.Second):
		agent.Process.Kill()
		<-exited
	}
	b.removeCgroups()
	if err != nil {
		text := output.String()
		return fmt.Errorf("%w\n%s", err, text[max(0, len(text)-4096):])
	}
	return nil
}

// connect waits until the agent answers Health.Check.
func (b *bench) connect(exited <-chan struct{}) error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		select {
		case <-exited:
			return fmt.Errorf("the agent ended before it answered")
		default:
		}
		conn, err := net.Dial("unix", b.address)
		if err != nil {
			continue
		}
		b.client = ttrpc.NewClient(conn)
		if b.check() == nil {
			return nil
		}
		b.client.Close()
	}
	return fmt.Errorf("the agent did not answer in a minute")
}

func (b bench) measure() error {
	time.Sleep(300 * time.Millisecond)
	if err := b.memory("memory at start"); err != nil {
		return err
	}
	if err := b.call("CreateSandbox", &kata.CreateSandboxRequest{Hostname: "bench", SandboxId: "bench"}); err != nil {
		return err
	}
	for i := 0; i < b.lives; i++ {
		if err := b.life(fmt.Sprintf("life-%d", i)); err != nil {
			return err
		}
	}
	if err := b.start("main"); err != nil {
		return err
	}
	if err := b.rates("main"); err != nil {
		return err
	}
	for _, stream := range []func(string) error{b.readStdout, b.writeStdin} {
		if err := stream("main"); err != nil {
			return err
		}
	}
	if err := b.copyFile(); err != nil {
		return err
	}
	if err := b.memory("memory after calls"); err != nil {
		return err
	}
	if err := b.manyContainers(20); err != nil {
		return err
	}
	if err := b.remove("main"); err != nil {
		return err
	}
	// The agent may end before it answers.
	b.call("DestroySandbox", &kata.DestroySandboxRequest{})
	return nil
}

// memory adds the proportional set size of the agent's process.
func (b bench) memory(name string) error {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", b.pid))
	if err != nil {
		return err
	}
	for _, line := range strings.Split(string(text), "\n") {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "Pss:" {
			kibibytes, err := strconv.ParseFloat(fields[1], 64)
			b.add(name, kibibytes/1024)
			return err
		}
	}
	return fmt.Errorf("/proc/%d/smaps_rollup has no Pss", b.pid)
}

func (b bench) check() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return b.client.Call(ctx, "grpc.Health", "Check", &kata.CheckRequest{}, &kata.HealthCheckResponse{})
}

// call calls a method whose reply is empty.
func (b bench) call(method string, request proto.Message) error {
	return b.callFor(method, request, &emptypb.Empty{})
}

func (b bench) callFor(method string, request, reply proto.Message) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.client.Call(ctx, agentService, method, request, reply); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

// removeCgroups removes the empty parents of the containers' cgroups.
func (b bench) removeCgroups() {
	parents, _ := filepath.Glob("/sys/fs/cgroup/*/" + b.cgroup)
	for _, parent := range append(parents, "/sys/fs/cgroup/"+b.cgroup) {
		os.Remove(parent)
	}
}

func milliseconds(since time.Time) float64 { return float64(time.Since(since).Microseconds()) / 1000 }
