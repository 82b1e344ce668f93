// capture records the frames between Go's ttRPC client and server and prints them as JSON: the golden file
// ../frames.json, with which our own client and server are compared.
//
//	node tests/dist/golden/capture.js        builds this program, runs it and writes the file
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"

	"descriptors"
	"interopservice"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/dynamicpb"
)

// frame is one frame with its header, and its sender.
type frame struct {
	From     string `json:"from"`
	StreamID uint32 `json:"streamId"`
	Type     uint8  `json:"type"`
	Flags    uint8  `json:"flags"`
	Hex      string `json:"hex"`
}

type conversation struct {
	Name   string  `json:"name"`
	About  string  `json:"about"`
	Frames []frame `json:"frames"`
}

const headerLength = 10

// recorder records the bytes of a client's connection, in order.
type recorder struct {
	net.Conn
	lock   sync.Mutex
	chunks []chunk
}

type chunk struct {
	from  string
	bytes []byte
}

func (r *recorder) keep(from string, b []byte) {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.chunks = append(r.chunks, chunk{from, bytes.Clone(b)})
}

// Write records before it sends: otherwise a response could be recorded before its request.
func (r *recorder) Write(b []byte) (int, error) {
	r.keep("client", b)
	return r.Conn.Write(b)
}

func (r *recorder) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.keep("server", b[:n])
	return n, err
}

// frames splits the chunks into frames, ordered by the position of their last bytes.
func (r *recorder) frames() []frame {
	r.lock.Lock()
	defer r.lock.Unlock()
	list := []frame{}
	pending := map[string][]byte{}
	for _, chunk := range r.chunks {
		rest := append(pending[chunk.from], chunk.bytes...)
		for len(rest) >= headerLength {
			total := headerLength + int(binary.BigEndian.Uint32(rest))
			if len(rest) < total {
				break
			}
			list = append(list, frame{
				From: chunk.from, StreamID: binary.BigEndian.Uint32(rest[4:]), Type: rest[8], Flags: rest[9],
				Hex: hex.EncodeToString(rest[:total]),
			})
			rest = rest[total:]
		}
		pending[chunk.from] = rest
	}
	return list
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: capture INTEROP.BINPB")
		os.Exit(2)
	}
	if err := capture(descriptors.MustLoad(os.Args[1])); err != nil {
		fmt.Fprintf(os.Stderr, "capture: %v\n", err)
		os.Exit(1)
	}
}

func capture(set *descriptors.Set) error {
	directory, err := os.MkdirTemp("", "capture-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(directory)
	listener, err := net.Listen("unix", filepath.Join(directory, "socket"))
	if err != nil {
		return err
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	interopservice.Register(server, set)
	go server.Serve(context.Background(), listener)
	defer server.Close()

	conversations := []conversation{}
	for _, it := range scripts {
		conn, err := net.Dial("unix", listener.Addr().String())
		if err != nil {
			return err
		}
		recorder := &recorder{Conn: conn}
		client := ttrpc.NewClient(recorder, ttrpc.WithUnaryClientInterceptor(fixTimeout))
		if err := it.run(caller{set, client}); err != nil {
			return fmt.Errorf("%s: %w", it.name, err)
		}
		client.Close()
		conversations = append(conversations, conversation{it.name, it.about, recorder.frames()})
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", "  ")
	return encoder.Encode(conversations)
}

type caller struct {
	set    *descriptors.Set
	client *ttrpc.Client
}

type fields map[string]any

func (c caller) message(name string, value fields) *dynamicpb.Message {
	message := c.set.New("interop." + name)
	if err := c.set.Fill(message, value); err != nil {
		panic(err)
	}
	return message
}

func (c caller) call(ctx context.Context, method, input, output string, value fields) error {
	return c.client.Call(ctx, interopservice.Name, method,
		descriptors.Ordered(c.message(input, value)), c.set.New("interop."+output))
}

// mustFail returns nil for a failed call, and an error for a successful one.
func mustFail(err error) error {
	if err == nil {
		return errors.New("the call should have failed")
	}
	return nil
}

func (c caller) stream(method string, first *dynamicpb.Message, client, server bool) (ttrpc.ClientStream, error) {
	var request interface{}
	if first != nil {
		request = descriptors.Ordered(first)
	}
	return c.client.NewStream(context.Background(),
		&ttrpc.StreamDesc{StreamingClient: client, StreamingServer: server}, interopservice.Name, method, request)
}

// until reads a stream until an error that end accepts.
func (c caller) until(stream ttrpc.ClientStream, end func(error) bool) error {
	for {
		if err := stream.RecvMsg(c.set.New("interop.Number")); err != nil {
			if end(err) {
				return nil
			}
			return err
		}
	}
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) }
