// Package podclient calls an agent as a Kata runtime does, and reads what its process uses.
package podclient

import (
	"context"
	"fmt"
	"net"
	"path"
	"time"

	kata "kata/grpc"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"
)

// processTime is how long a call may wait for a process.
const processTime = 10 * time.Minute

// ReadLength is the number of bytes that a Kata runtime asks for.
const ReadLength = 32 << 10

// Client is a connection to an agent.
type Client struct {
	conn   *ttrpc.Client
	rootfs string
	cgroup string
}

// Dial connects to an agent's unix socket. Containers have the root file system, and cgroups below the given one; "": below the root.
func Dial(address, rootfs, cgroup string) (*Client, error) {
	conn, err := net.Dial("unix", address)
	if err != nil {
		return nil, err
	}
	return &Client{ttrpc.NewClient(conn), rootfs, cgroup}, nil
}

// Close ends the connection.
func (c *Client) Close() { c.conn.Close() }

// Check calls Health.Check.
func (c *Client) Check() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return c.conn.Call(ctx, "grpc.Health", "Check", &kata.CheckRequest{}, &kata.HealthCheckResponse{})
}

// Call calls a method whose reply is empty.
func (c *Client) Call(method string, request proto.Message) error {
	return c.CallFor(method, request, &emptypb.Empty{})
}

// CallFor calls a method and fills its reply.
func (c *Client) CallFor(method string, request, reply proto.Message) error {
	return c.callWithin(time.Minute, method, request, reply)
}

func (c *Client) callWithin(limit time.Duration, method string, request, reply proto.Message) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := c.conn.Call(ctx, "grpc.AgentService", method, request, reply); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	return nil
}

// CreateSandbox begins a sandbox.
func (c *Client) CreateSandbox() error {
	return c.Call("CreateSandbox", &kata.CreateSandboxRequest{Hostname: "bench", SandboxId: "bench"})
}

// DestroySandbox ends it. An agent may end before it answers; that is an error.
func (c *Client) DestroySandbox() error {
	return c.Call("DestroySandbox", &kata.DestroySandboxRequest{})
}

// Start creates and starts a container whose process sleeps.
func (c *Client) Start(id string) error {
	request := &kata.CreateContainerRequest{ContainerId: id, ExecId: id, OCI: c.spec(id)}
	if err := c.Call("CreateContainer", request); err != nil {
		return err
	}
	return c.Call("StartContainer", &kata.StartContainerRequest{ContainerId: id})
}

// Exec starts a process in a container.
func (c *Client) Exec(id, exec string, args ...string) error {
	return c.Call("ExecProcess", &kata.ExecProcessRequest{ContainerId: id, ExecId: exec, Process: process(args...)})
}

// End kills a process and waits for it. The exec of a container's own process is the container's id.
func (c *Client) End(id, exec string) error {
	if err := c.Signal(id, exec, 9); err != nil {
		return err
	}
	return c.Wait(id, exec)
}

// Signal sends a signal to a process; 0 sends none.
func (c *Client) Signal(id, exec string, signal uint32) error {
	request := &kata.SignalProcessRequest{ContainerId: id, Signal: signal}
	if exec != id {
		request.ExecId = exec
	}
	return c.Call("SignalProcess", request)
}

// Wait waits until a process has ended.
func (c *Client) Wait(id, exec string) error {
	request := &kata.WaitProcessRequest{ContainerId: id, ExecId: exec}
	return c.callWithin(processTime, "WaitProcess", request, &kata.WaitProcessResponse{})
}

// ReadStdout returns the next output of a process.
func (c *Client) ReadStdout(id, exec string) ([]byte, error) {
	request := &kata.ReadStreamRequest{ContainerId: id, ExecId: exec, Len: ReadLength}
	reply := &kata.ReadStreamResponse{}
	err := c.callWithin(processTime, "ReadStdout", request, reply)
	return reply.Data, err
}

// Details calls GetGuestDetails.
func (c *Client) Details() error {
	return c.CallFor("GetGuestDetails", &kata.GuestDetailsRequest{}, &kata.GuestDetailsResponse{})
}

// Stats calls StatsContainer.
func (c *Client) Stats(id string) error {
	return c.CallFor("StatsContainer", &kata.StatsContainerRequest{ContainerId: id}, &kata.StatsContainerResponse{})
}

// Remove removes a container.
func (c *Client) Remove(id string) error {
	return c.Call("RemoveContainer", &kata.RemoveContainerRequest{ContainerId: id})
}

func process(args ...string) *kata.Process {
	return &kata.Process{User: &kata.User{}, Args: args, Env: []string{"PATH=/bin"}, Cwd: "/"}
}

// spec has no pid namespace: Kata's runtimes leave it out, and the agent adds one.
func (c *Client) spec(id string) *kata.Spec {
	return &kata.Spec{
		Version: "1.0.2",
		Process: process("sleep", "100000"),
		Root:    &kata.Root{Path: c.rootfs},
		Mounts: []*kata.Mount{
			{Destination: "/proc", Source: "proc", Type: "proc"},
			{Destination: "/dev", Source: "tmpfs", Type: "tmpfs", Options: []string{"nosuid", "mode=755"}},
		},
		Linux: &kata.Linux{
			CgroupsPath: path.Join("/", c.cgroup, id),
			Namespaces:  []*kata.LinuxNamespace{{Type: "ipc"}, {Type: "uts"}, {Type: "mount"}},
			Resources:   &kata.LinuxResources{Memory: &kata.LinuxMemory{Limit: 256 << 20}},
		},
	}
}
