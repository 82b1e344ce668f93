// bench-container times create and start of a container, and both with its removal, through the agent and through plain
// runc, turn and turn about.
//
//	bench-container -address SOCKET -rootfs DIR -bundle DIR -n N
//
// Plain runc gets the config.json that the agent itself wrote for its first container, with a cgroup and an id of its
// own, so that both do the same work. Output: {"agentMs": […], "runcMs": […], "agentWholeMs": […], "runcWholeMs": […]}
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

// bundles is where the agent, whose state lies beside the root file system, keeps a container's config.json.
func (b bench) bundles() string { return filepath.Join(filepath.Dir(b.rootfs), "state", "bundles") }

type bench struct {
	client *ttrpc.Client
	rootfs string
	bundle string
}

func main() {
	address := flag.String("address", "", "the agent's unix socket")
	rootfs := flag.String("rootfs", "", "root file system with busybox's commands")
	bundle := flag.String("bundle", "", "an empty folder for plain runc's bundle")
	n := flag.Int("n", 10, "containers each")
	flag.Parse()
	conn, err := net.Dial("unix", *address)
	if err == nil {
		b := bench{ttrpc.NewClient(conn), *rootfs, *bundle}
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
	result := map[string][]float64{}
	for i := 0; i < n; i++ {
		begin := time.Now()
		started, err := b.agentOnce(fmt.Sprintf("bench-agent-%d-%d", os.Getpid(), i), i == 0)
		if err != nil {
			return err
		}
		result["agentMs"] = append(result["agentMs"], started)
		result["agentWholeMs"] = append(result["agentWholeMs"], milliseconds(time.Since(begin)))
		begin = time.Now()
		if started, err = b.runcOnce(fmt.Sprintf("bench-runc-%d-%d", os.Getpid(), i)); err != nil {
			return err
		}
		result["runcMs"] = append(result["runcMs"], started)
		result["runcWholeMs"] = append(result["runcWholeMs"], milliseconds(time.Since(begin)))
	}
	if err := b.call("DestroySandbox", &kata.DestroySandboxRequest{}); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(result)
}

func (b bench) call(method string, request proto.Message) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := b.client.Call(ctx, "grpc.AgentService", method, request, &emptypb.Empty{}); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (b bench) agentOnce(id string, keepSpec bool) (float64, error) {
	request := &kata.CreateContainerRequest{ContainerId: id, ExecId: id, OCI: b.spec(id)}
	begin := time.Now()
	if err := b.call("CreateContainer", request); err != nil {
		return 0, err
	}
	if err := b.call("StartContainer", &kata.StartContainerRequest{ContainerId: id}); err != nil {
		return 0, err
	}
	took := milliseconds(time.Since(begin))
	if keepSpec {
		if err := b.keepSpec(id); err != nil {
			return 0, err
		}
	}
	return took, b.call("RemoveContainer", &kata.RemoveContainerRequest{ContainerId: id})
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
		linux["cgroupsPath"] = fmt.Sprintf("/bench-runc-%d", os.Getpid())
	}
	if text, err = json.Marshal(spec); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.bundle, "config.json"), text, 0o600)
}

func (b bench) runcOnce(id string) (float64, error) {
	begin := time.Now()
	if err := runc("create", "--bundle", b.bundle, "--pid-file", filepath.Join(b.bundle, "pid"), id); err != nil {
		return 0, err
	}
	if err := runc("start", id); err != nil {
		return 0, err
	}
	return milliseconds(time.Since(begin)), runc("delete", "--force", id)
}

// runc runs a command of runc's with no output kept: a container inherits it, and a pipe would be waited for.
func runc(args ...string) error {
	command := exec.Command("runc", args...)
	if err := command.Run(); err != nil {
		return fmt.Errorf("runc %v: %w", args, err)
	}
	return nil
}
