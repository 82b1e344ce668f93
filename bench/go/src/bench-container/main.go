// bench-container measures create and start of a container, an exec in it, its removal, and all of it, alternately
// through the agent and with a plain OCI runtime.
//
//	bench-container -address SOCKET -runtime PROGRAM -rootfs DIR -bundle DIR -n N
//
// The plain runtime gets the config.json that the agent itself wrote for its first container, with a cgroup and an id of
// its own, so that both do the same work. Output, in milliseconds: {"agent": TIMES, "plain": TIMES} with TIMES
// {"start": […], "exec": […], "remove": […], "whole": […]}
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	kata "kata/grpc"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// bundles returns the agent's directory of bundles with config.json; its state directory is beside the root file system.
func (b bench) bundles() string { return filepath.Join(filepath.Dir(b.rootfs), "state", "bundles") }

type bench struct {
	client  *ttrpc.Client
	runtime string
	rootfs  string
	bundle  string
}

// idle is the wait before each life, so that both begin alike: the first process that is moved to a cgroup after a while waits
// for an RCU grace period (rcu_sync of the kernel's cgroup_threadgroup_rwsem), one that is moved right after another does not.
const idle = 100 * time.Millisecond

// times are durations in milliseconds, by step.
type times map[string][]float64

// step runs a function and adds its duration.
func (t times) step(name string, run func() error) error {
	begin := time.Now()
	if err := run(); err != nil {
		return err
	}
	t[name] = append(t[name], float64(time.Since(begin).Microseconds())/1000)
	return nil
}

func main() {
	address := flag.String("address", "", "the agent's unix socket")
	runtime := flag.String("runtime", "runc", "the plain OCI runtime")
	rootfs := flag.String("rootfs", "", "root file system with busybox's commands")
	bundle := flag.String("bundle", "", "an empty directory for the plain runtime's bundle")
	n := flag.Int("n", 10, "number of containers for each")
	flag.Parse()
	conn, err := net.Dial("unix", *address)
	if err == nil {
		b := bench{ttrpc.NewClient(conn), *runtime, *rootfs, *bundle}
		err = b.run(*n)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench-container: %v\n", err)
		os.Exit(1)
	}
}

func (b bench) run(n int) error {
	if err := b.call("CreateSandbox", &kata.CreateSandboxRequest{Hostname: "bench", SandboxId: "bench"}); err != nil {
		return err
	}
	agent, plain := times{}, times{}
	for i := 0; i < n; i++ {
		time.Sleep(idle)
		id := fmt.Sprintf("bench-agent-%d-%d", os.Getpid(), i)
		if err := agent.step("whole", func() error { return b.agentOnce(id, agent, i == 0) }); err != nil {
			return err
		}
		time.Sleep(idle)
		id = fmt.Sprintf("bench-plain-%d-%d", os.Getpid(), i)
		if err := plain.step("whole", func() error { return b.plainOnce(id, plain) }); err != nil {
			return err
		}
	}
	if err := b.call("DestroySandbox", &kata.DestroySandboxRequest{}); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]times{"agent": agent, "plain": plain})
}

func (b bench) call(method string, request proto.Message) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.client.Call(ctx, "grpc.AgentService", method, request, &emptypb.Empty{}); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

func (b bench) agentOnce(id string, t times, keepSpec bool) error {
	start := func() error {
		request := &kata.CreateContainerRequest{ContainerId: id, ExecId: id, OCI: b.spec(id)}
		if err := b.call("CreateContainer", request); err != nil {
			return err
		}
		return b.call("StartContainer", &kata.StartContainerRequest{ContainerId: id})
	}
	if err := t.step("start", start); err != nil {
		return err
	}
	if keepSpec {
		if err := b.keepSpec(id); err != nil {
			return err
		}
	}
	exec := func() error {
		process := b.spec(id).Process
		return b.call("ExecProcess", &kata.ExecProcessRequest{ContainerId: id, ExecId: "exec", Process: process})
	}
	if err := t.step("exec", exec); err != nil {
		return err
	}
	return t.step("remove", func() error {
		return b.call("RemoveContainer", &kata.RemoveContainerRequest{ContainerId: id})
	})
}

func (b bench) spec(id string) *kata.Spec {
	return &kata.Spec{
		Version: "1.0.2",
		Process: &kata.Process{
			User: &kata.User{}, Args: []string{"sleep", "1000"}, Env: []string{"PATH=/bin"}, Cwd: "/",
		},
		Root: &kata.Root{Path: b.rootfs},
		Mounts: []*kata.Mount{
			{Destination: "/proc", Source: "proc", Type: "proc"},
			{Destination: "/dev", Source: "tmpfs", Type: "tmpfs", Options: []string{"nosuid", "mode=755"}},
		},
		Linux: &kata.Linux{
			CgroupsPath: "/" + id,
			Namespaces:  []*kata.LinuxNamespace{{Type: "pid"}, {Type: "ipc"}, {Type: "uts"}, {Type: "mount"}},
			Resources:   &kata.LinuxResources{Memory: &kata.LinuxMemory{Limit: 256 << 20}},
		},
	}
}

func (b bench) keepSpec(id string) error {
	text, err := os.ReadFile(filepath.Join(b.bundles(), id, "config.json"))
	if err != nil {
		return err
	}
	spec := map[string]any{}
	if err := json.Unmarshal(text, &spec); err != nil {
		return err
	}
	spec["root"] = map[string]any{"path": b.rootfs}
	if linux, ok := spec["linux"].(map[string]any); ok {
		linux["cgroupsPath"] = fmt.Sprintf("/bench-plain-%d", os.Getpid())
	}
	if err := b.write("process.json", spec["process"]); err != nil {
		return err
	}
	return b.write("config.json", spec)
}

func (b bench) write(name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.bundle, name), text, 0o600)
}

func (b bench) plainOnce(id string, t times) error {
	start := func() error {
		pid := filepath.Join(b.bundle, "pid")
		if err := b.plain("create", "--bundle", b.bundle, "--pid-file", pid, id); err != nil {
			return err
		}
		return b.plain("start", id)
	}
	if err := t.step("start", start); err != nil {
		return err
	}
	process := filepath.Join(b.bundle, "process.json")
	if err := t.step("exec", func() error { return b.plain("exec", "--detach", "--process", process, id) }); err != nil {
		return err
	}
	return t.step("remove", func() error { return b.plain("delete", "--force", id) })
}

// plain runs a command of the runtime without its output: a container would inherit a pipe, and the command would wait for it.
func (b bench) plain(args ...string) error {
	root := filepath.Join(b.bundle, "root")
	command := exec.Command(b.runtime, append([]string{"--root", root}, args...)...)
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s %v: %w", b.runtime, args, err)
	}
	return nil
}
