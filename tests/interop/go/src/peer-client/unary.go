package main

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"descriptors"
	"interopservice"
	"outcome"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
)

// frameLimit is the maximum size of the data of one frame, in bytes.
const frameLimit = 4 << 20

// scenarios by name; streaming.go adds those with streams.
var scenarios = map[string]scenario{
	"echo": func(p peer) any {
		return p.call(context.Background(), "Echo", map[string]any{"text": "héllo", "data": []byte{0, 1, 255}})
	},
	"echo-empty": func(p peer) any { return p.call(context.Background(), "Echo", map[string]any{}) },
	"metadata": func(p peer) any {
		metadata := ttrpc.MD{}
		metadata.Set("Color", "red", "green")
		metadata.Set("empty", "")
		return p.call(ttrpc.WithMetadata(context.Background(), metadata), "Echo", map[string]any{})
	},
	"timeout-seen": func(p peer) any {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		return p.call(ctx, "Echo", map[string]any{})
	},
	"fail": func(p peer) any {
		return p.call(context.Background(), "Fail",
			map[string]any{"code": 9, "message": "not now", "details": []string{"one", "two"}})
	},
	"fail-unnamed-code": func(p peer) any {
		return p.call(context.Background(), "Fail", map[string]any{"code": 77, "message": "no such code"})
	},
	"unknown-method": func(p peer) any {
		return outcome.Of(p.client.Call(context.Background(), interopservice.Name, "Nope",
			p.set.New("interop.EchoRequest"), p.set.New("interop.EchoReply")))
	},
	"unknown-service": func(p peer) any {
		return outcome.Of(p.client.Call(context.Background(), "interop.Nope", "Echo",
			p.set.New("interop.EchoRequest"), p.set.New("interop.EchoReply")))
	},
	"deadline": deadline,
	"cancel":   cancelled,
	"largest":  largest,
	"oversize": oversize,
	"blob-largest": func(p peer) any {
		// Tag and length of data take 5 bytes, and so do those of the response's payload.
		return p.blob(frameLimit - 10)
	},
	"blob-oversize": func(p peer) any {
		first := p.blob(frameLimit + 1)
		return map[string]any{"reply": first, "after": p.call(context.Background(), "Echo", map[string]any{"text": "still here"})}
	},
	"concurrent": concurrent,
}

// observed is the status of a call, and its reply if it succeeded.
type observed struct {
	outcome.Outcome
	Reply any `json:"reply,omitempty"`
}

func (p peer) messages(method string) (*dynamicpb.Message, *dynamicpb.Message) {
	descriptor, err := p.set.Method(interopservice.Name, method)
	if err != nil {
		panic(err)
	}
	return dynamicpb.NewMessage(descriptor.Input()), dynamicpb.NewMessage(descriptor.Output())
}

func (p peer) call(ctx context.Context, method string, value map[string]any) observed {
	request, reply := p.messages(method)
	if err := p.set.Fill(request, value); err != nil {
		panic(err)
	}
	if err := p.client.Call(ctx, interopservice.Name, method, request, reply); err != nil {
		return observed{Outcome: outcome.Of(err)}
	}
	return p.answered(reply)
}

func (p peer) answered(reply *dynamicpb.Message) observed {
	json, err := p.set.JSON(reply)
	if err != nil {
		panic(err)
	}
	return observed{Outcome: outcome.Of(nil), Reply: json}
}

// deadline makes a call exceed its deadline. The server's status (DEADLINE_EXCEEDED) and the client's (CONTEXT_DEADLINE)
// race; afterwards the connection must still work.
func deadline(p peer) any {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	slept := p.call(ctx, "Sleep", map[string]any{"milliseconds": 600_000})
	// The server's own deadline: the client waits longer than the timeout in its request.
	response := p.call(withWireTimeout(context.Background(), 50*time.Millisecond), "Sleep",
		map[string]any{"milliseconds": 600_000})
	return map[string]any{
		"client": slept, "server": response,
		"after": p.call(context.Background(), "Echo", map[string]any{"text": "still here"}),
	}
}

type wireTimeout struct{}

// withWireTimeout sends the server a timeout that the client does not apply itself.
func withWireTimeout(ctx context.Context, timeout time.Duration) context.Context {
	return context.WithValue(ctx, wireTimeout{}, timeout)
}

func setWireTimeout(
	ctx context.Context, request *ttrpc.Request, reply *ttrpc.Response, _ *ttrpc.UnaryClientInfo, next ttrpc.Invoker,
) error {
	if timeout, ok := ctx.Value(wireTimeout{}).(time.Duration); ok {
		request.TimeoutNano = timeout.Nanoseconds()
	}
	return next(ctx, request, reply)
}

// cancelled cancels a call and uses the connection again; the response to the cancelled call is late.
func cancelled(p peer) any {
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(20*time.Millisecond, cancel)
	gone := p.call(ctx, "Sleep", map[string]any{"milliseconds": 200})
	waited := p.call(context.Background(), "Sleep", map[string]any{"milliseconds": 400})
	return map[string]any{
		"cancelled": gone, "waited": waited,
		"after": p.call(context.Background(), "Echo", map[string]any{"text": "still here"}),
	}
}

// requestOf returns an Echo request whose frame has exactly the given length.
func (p peer) requestOf(length int) *dynamicpb.Message {
	request, _ := p.messages("Echo")
	for size := length - 64; ; size++ {
		descriptors.SetField(request, "data", make([]byte, size))
		envelope := &ttrpc.Request{Service: interopservice.Name, Method: "Echo", Payload: make([]byte, proto.Size(request))}
		if got := proto.Size(envelope); got == length {
			return request
		} else if got > length {
			panic(fmt.Sprintf("no Echo has a frame of %d bytes", length))
		}
	}
}

// largest sends a frame of exactly 4 MiB. The reply is shorter: it has the same bytes without service and method.
func largest(p peer) any {
	request := p.requestOf(frameLimit)
	reply := p.set.New("interop.EchoReply")
	err := p.client.Call(context.Background(), interopservice.Name, "Echo", request, reply)
	sent, got := descriptors.Field(request, "data").Bytes(), descriptors.Field(reply, "data").Bytes()
	return map[string]any{"outcome": outcome.Of(err), "same": len(got) > 0 && bytes.Equal(sent, got)}
}

// oversize sends a frame that is one byte over the limit.
func oversize(p peer) any {
	err := p.client.Call(context.Background(), interopservice.Name, "Echo",
		p.requestOf(frameLimit+1), p.set.New("interop.EchoReply"))
	return map[string]any{
		"outcome": outcome.Of(err),
		"after":   p.call(context.Background(), "Echo", map[string]any{"text": "still here"}),
	}
}

func (p peer) blob(size int) any {
	request, reply := p.messages("Blob")
	descriptors.SetField(request, "size", uint32(size))
	err := p.client.Call(context.Background(), interopservice.Name, "Blob", request, reply)
	return map[string]any{"outcome": outcome.Of(err), "length": len(descriptors.Field(reply, "data").Bytes())}
}

// concurrent runs 64 callers on one connection, each with different texts, and counts wrong replies.
func concurrent(p peer) any {
	const callers, each = 64, 50
	var wrong, failed atomic.Int64
	var group sync.WaitGroup
	for caller := 0; caller < callers; caller++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := 0; i < each; i++ {
				request, reply := p.messages("Echo")
				text := fmt.Sprintf("caller %d call %d", caller, i)
				descriptors.SetField(request, "text", text)
				descriptors.SetField(request, "data", bytes.Repeat([]byte{byte(i)}, 1+caller*i))
				if err := p.client.Call(context.Background(), interopservice.Name, "Echo", request, reply); err != nil {
					failed.Add(1)
				} else if descriptors.Field(reply, "text").String() != text ||
					len(descriptors.Field(reply, "data").Bytes()) != 1+caller*i {
					wrong.Add(1)
				}
			}
		}()
	}
	group.Wait()
	return map[string]any{"calls": callers * each, "wrong": wrong.Load(), "failed": failed.Load()}
}
