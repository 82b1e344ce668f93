// peer-client is Go's ttRPC client of interop.Interop, for tests of a server written in another language.
//
//	peer-client -descriptors interop.binpb -address /path/of/socket [SCENARIO…]
//
// It runs the named scenarios, or all of them, each on a separate connection, and prints its observations as one JSON
// object by scenario. The test checks them.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"sort"

	"descriptors"

	"github.com/containerd/ttrpc"
	"github.com/sirupsen/logrus"
)

// peer is one connection to the server under test.
type peer struct {
	set    *descriptors.Set
	client *ttrpc.Client
}

type scenario func(peer) any

func main() {
	descriptorSet := flag.String("descriptors", "", "FileDescriptorSet of interop.proto")
	address := flag.String("address", "", "path of the server's unix socket")
	flag.Parse()
	// The library logs a line for each late response; the scenarios cause such responses.
	logrus.SetOutput(io.Discard)
	set := descriptors.MustLoad(*descriptorSet)

	names := flag.Args()
	if len(names) == 0 {
		for name := range scenarios {
			names = append(names, name)
		}
		sort.Strings(names)
	}
	results := map[string]any{}
	for _, name := range names {
		run, ok := scenarios[name]
		if !ok {
			fail(fmt.Errorf("no scenario %s", name))
		}
		conn, err := net.Dial("unix", *address)
		if err != nil {
			fail(err)
		}
		client := ttrpc.NewClient(conn, ttrpc.WithUnaryClientInterceptor(setWireTimeout))
		results[name] = run(peer{set, client})
		client.Close()
	}
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintf(os.Stderr, "peer-client: %v\n", err)
	os.Exit(1)
}
