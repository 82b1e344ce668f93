// bench-client calls a ttRPC server over one connection, as a Kata runtime does, and prints the rate and latencies.
//
//	bench-client -address SOCKET -method WaitProcess|ReadStdout -callers N -for 1s
//
// Output: {"calls": …, "seconds": …, "p50us": …, "p99us": …}
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"sort"
	"sync"
	"time"

	kata "kata/grpc"

	"github.com/containerd/ttrpc"
)

const readLength = 32 << 10

func main() {
	address := flag.String("address", "", "the server's unix socket")
	method := flag.String("method", "WaitProcess", "WaitProcess or ReadStdout")
	callers := flag.Int("callers", 1, "number of concurrent callers")
	length := flag.Duration("for", time.Second, "duration of the measurement")
	flag.Parse()
	result, err := run(*address, *method, *callers, *length)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench-client: %v\n", err)
		os.Exit(1)
	}
}

type result struct {
	Calls   int     `json:"calls"`
	Seconds float64 `json:"seconds"`
	P50     float64 `json:"p50us"`
	P99     float64 `json:"p99us"`
}

func run(address, method string, callers int, length time.Duration) (*result, error) {
	conn, err := net.Dial("unix", address)
	if err != nil {
		return nil, err
	}
	client := ttrpc.NewClient(conn)
	defer client.Close()
	call, ok := calls[method]
	if !ok {
		return nil, fmt.Errorf("no method %s", method)
	}

	times := make([][]time.Duration, callers)
	failures := make([]error, callers)
	var group sync.WaitGroup
	begin := time.Now()
	end := begin.Add(length)
	for i := 0; i < callers; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for last := time.Now(); last.Before(end); {
				if failures[i] = call(client); failures[i] != nil {
					return
				}
				now := time.Now()
				times[i] = append(times[i], now.Sub(last))
				last = now
			}
		}()
	}
	group.Wait()
	seconds := time.Since(begin).Seconds()

	all := []time.Duration{}
	for i := range times {
		if failures[i] != nil {
			return nil, failures[i]
		}
		all = append(all, times[i]...)
	}
	sort.Slice(all, func(i, j int) bool { return all[i] < all[j] })
	at := func(share float64) float64 {
		return float64(all[int(share*float64(len(all)-1))].Nanoseconds()) / 1000
	}
	return &result{Calls: len(all), Seconds: seconds, P50: at(0.5), P99: at(0.99)}, nil
}

var calls = map[string]func(*ttrpc.Client) error{
	"WaitProcess": func(client *ttrpc.Client) error {
		request := &kata.WaitProcessRequest{ContainerId: "3f1c2b7d9e8a4f60", ExecId: "3f1c2b7d9e8a4f60"}
		return client.Call(context.Background(), "grpc.AgentService", "WaitProcess", request, &kata.WaitProcessResponse{})
	},
	"ReadStdout": func(client *ttrpc.Client) error {
		request := &kata.ReadStreamRequest{
			ContainerId: "3f1c2b7d9e8a4f60", ExecId: "3f1c2b7d9e8a4f60", Len: readLength,
		}
		reply := &kata.ReadStreamResponse{}
		if err := client.Call(context.Background(), "grpc.AgentService", "ReadStdout", request, reply); err != nil {
			return err
		}
		if len(reply.Data) != readLength {
			return fmt.Errorf("a read of %d bytes answered %d", readLength, len(reply.Data))
		}
		return nil
	},
}
