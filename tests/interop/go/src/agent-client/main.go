// agent-client calls the agent as a Kata runtime does: with a Go ttRPC client, without generated code.
//
//	agent-client -descriptors kata.binpb -address SOCKET call METHOD [JSON]
//	agent-client … sweep
//	agent-client … -rootfs DIR container
//	agent-client … -rootfs DIR [-sequential N] [-parallel N] many
//
// SOCKET is the path of a unix socket, or @name for an abstract one. Each command prints one JSON object; `container`
// and `many` print their observations, which the test checks.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"

	"descriptors"

	"github.com/containerd/ttrpc"
)

func main() {
	descriptorSet := flag.String("descriptors", "", "FileDescriptorSet of the agent's protocol")
	address := flag.String("address", "", "the agent's unix socket")
	rootfs := flag.String("rootfs", "", "root file system for containers, with busybox's commands")
	sequential := flag.Int("sequential", 200, "many: number of sequential containers")
	parallel := flag.Int("parallel", 32, "many: number of concurrent containers")
	flag.Parse()

	conn, err := net.Dial("unix", *address)
	if err != nil {
		fail(err)
	}
	agent := &agent{set: descriptors.MustLoad(*descriptorSet), client: ttrpc.NewClient(conn), rootfs: *rootfs}
	result, err := agent.run(flag.Args(), *sequential, *parallel)
	if err != nil {
		fail(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "agent-client: %v\n", err)
	os.Exit(1)
}

func (a *agent) run(args []string, sequential, parallel int) (any, error) {
	verb := ""
	if len(args) > 0 {
		verb = args[0]
	}
	switch {
	case verb == "call" && (len(args) == 2 || len(args) == 3):
		text := "{}"
		if len(args) == 3 {
			text = args[2]
		}
		return a.callJSON(args[1], text)
	case verb == "sweep" && len(args) == 1:
		return a.sweep()
	case verb == "container" && len(args) == 1:
		return a.container(context.Background())
	case verb == "many" && len(args) == 1:
		return a.many(context.Background(), sequential, parallel)
	}
	return nil, errors.New("no command: call METHOD [JSON], sweep, container or many")
}
