// peer-server is Go's ttRPC server of interop.Interop, for tests of a client written in another language.
//
//	peer-server -descriptors interop.binpb -listen /path/of/socket
//
// It prints "ready" when it listens, and exits at the end of its standard input, so that it cannot outlive a test.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"

	"descriptors"
	"interopservice"

	"github.com/containerd/ttrpc"
)

func main() {
	descriptorSet := flag.String("descriptors", "", "FileDescriptorSet of interop.proto")
	listen := flag.String("listen", "", "path of the unix socket to listen on")
	flag.Parse()
	if err := run(*descriptorSet, *listen); err != nil {
		fmt.Fprintf(os.Stderr, "peer-server: %v\n", err)
		os.Exit(1)
	}
}

func run(descriptorSet, listen string) error {
	set, err := descriptors.Load(descriptorSet)
	if err != nil {
		return err
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	interopservice.Register(server, set)
	listener, err := net.Listen("unix", listen)
	if err != nil {
		return err
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		server.Close()
	}()
	fmt.Println("ready")
	if err := server.Serve(context.Background(), listener); !errors.Is(err, ttrpc.ErrServerClosed) {
		return err
	}
	return nil
}
