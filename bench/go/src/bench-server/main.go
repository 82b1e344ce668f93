// bench-server is Go's ttRPC server with the two methods that the benchmark calls, in generated code. Our server is
// compared with it.
//
//	bench-server -listen SOCKET
//
// It prints "ready" when it listens, and exits at the end of its standard input.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"

	kata "kata/grpc"

	"github.com/containerd/ttrpc"
)

func main() {
	listen := flag.String("listen", "", "path of the unix socket to listen on")
	flag.Parse()
	if err := run(*listen); err != nil {
		fmt.Fprintf(os.Stderr, "bench-server: %v\n", err)
		os.Exit(1)
	}
}

func run(listen string) error {
	server, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	output := make([]byte, 1<<20)
	server.RegisterService("grpc.AgentService", &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
		"WaitProcess": func(_ context.Context, unmarshal func(interface{}) error) (interface{}, error) {
			request := &kata.WaitProcessRequest{}
			if err := unmarshal(request); err != nil {
				return nil, err
			}
			return &kata.WaitProcessResponse{Status: 7}, nil
		},
		"ReadStdout": func(_ context.Context, unmarshal func(interface{}) error) (interface{}, error) {
			request := &kata.ReadStreamRequest{}
			if err := unmarshal(request); err != nil {
				return nil, err
			}
			return &kata.ReadStreamResponse{Data: output[:request.Len]}, nil
		},
	}})
	// An agent in forward mode asks for it before it listens.
	server.RegisterService("grpc.Health", &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
		"Check": func(_ context.Context, unmarshal func(interface{}) error) (interface{}, error) {
			if err := unmarshal(&kata.CheckRequest{}); err != nil {
				return nil, err
			}
			return &kata.HealthCheckResponse{Status: kata.HealthCheckResponse_SERVING}, nil
		},
	}})
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
