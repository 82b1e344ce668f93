package main

import (
	"context"
	"errors"
	"io"
	"time"

	"descriptors"
	"interopservice"
	"outcome"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/dynamicpb"
)

func init() {
	scenarios["sum"] = func(p peer) any { return p.sum(10_000) }
	scenarios["sum-none"] = func(p peer) any { return p.sum(0) }
	scenarios["count"] = func(p peer) any { return p.count(map[string]any{"up_to": 1000}, 0) }
	scenarios["count-none"] = func(p peer) any { return p.count(map[string]any{}, 0) }
	scenarios["count-fails"] = func(p peer) any {
		return p.count(map[string]any{"up_to": 10, "fail_after": 3, "fail_code": 8}, 0)
	}
	// 32 MiB to a reader that pauses before it reads: the writer must wait, and nothing may be lost.
	scenarios["count-slow-reader"] = func(p peer) any {
		return p.count(map[string]any{"up_to": 512, "padding": 65_536}, 200*time.Millisecond)
	}
	scenarios["chat"] = func(p peer) any { return p.chat(100) }
	scenarios["chat-none"] = func(p peer) any { return p.chat(0) }
	scenarios["chat-beside-unary"] = chatBesideUnary
	scenarios["streams-together"] = streamsTogether
}

func (p peer) stream(method string, request *dynamicpb.Message, client, server bool) ttrpc.ClientStream {
	var first interface{}
	if request != nil {
		first = request
	}
	stream, err := p.client.NewStream(context.Background(),
		&ttrpc.StreamDesc{StreamingClient: client, StreamingServer: server}, interopservice.Name, method, first)
	if err != nil {
		panic(err)
	}
	return stream
}

func (p peer) number(value int64) *dynamicpb.Message {
	number := p.set.New("interop.Number")
	descriptors.SetField(number, "value", value)
	return number
}

func (p peer) sum(upTo int64) any {
	stream := p.stream("Sum", nil, true, false)
	for value := int64(1); value <= upTo; value++ {
		if err := stream.SendMsg(p.number(value)); err != nil {
			return outcome.Of(err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		return outcome.Of(err)
	}
	total := p.set.New("interop.Total")
	if err := stream.RecvMsg(total); err != nil {
		return outcome.Of(err)
	}
	return p.answered(total)
}

// received describes the messages of a stream until its end. InOrder: each value was the expected next one.
type received struct {
	End     outcome.Outcome `json:"end"`
	Count   int64           `json:"count"`
	InOrder bool            `json:"inOrder"`
}

func (p peer) count(value map[string]any, rest time.Duration) any {
	request := p.set.New("interop.CountRequest")
	if err := p.set.Fill(request, value); err != nil {
		panic(err)
	}
	stream := p.stream("Count", request, false, true)
	time.Sleep(rest)
	return p.drain(stream, 1)
}

func (p peer) drain(stream ttrpc.ClientStream, step int64) received {
	result := received{InOrder: true}
	for {
		number := p.set.New("interop.Number")
		if err := stream.RecvMsg(number); err != nil {
			result.End = outcome.Of(err)
			return result
		}
		result.Count++
		if descriptors.Field(number, "value").Int() != result.Count*step {
			result.InOrder = false
		}
	}
}

func (p peer) chat(turns int64) any {
	stream := p.stream("Chat", nil, true, true)
	inOrder := true
	for turn := int64(1); turn <= turns; turn++ {
		if err := stream.SendMsg(p.number(turn)); err != nil {
			return outcome.Of(err)
		}
		answer := p.set.New("interop.Number")
		if err := stream.RecvMsg(answer); err != nil {
			return outcome.Of(err)
		}
		inOrder = inOrder && descriptors.Field(answer, "value").Int() == 2*turn
	}
	if err := stream.CloseSend(); err != nil {
		return outcome.Of(err)
	}
	err := stream.RecvMsg(p.set.New("interop.Number"))
	return map[string]any{"turns": turns, "inOrder": inOrder, "end": outcome.Of(err)}
}

// chatBesideUnary keeps a stream open during unary calls on the same connection.
func chatBesideUnary(p peer) any {
	stream := p.stream("Chat", nil, true, true)
	echo := p.call(context.Background(), "Echo", map[string]any{"text": "beside"})
	if err := stream.SendMsg(p.number(21)); err != nil {
		return outcome.Of(err)
	}
	answer := p.set.New("interop.Number")
	if err := stream.RecvMsg(answer); err != nil {
		return outcome.Of(err)
	}
	if err := stream.CloseSend(); err != nil {
		return outcome.Of(err)
	}
	err := stream.RecvMsg(p.set.New("interop.Number"))
	return map[string]any{"echo": echo, "answer": descriptors.Field(answer, "value").Int(), "ended": errors.Is(err, io.EOF)}
}

// streamsTogether opens 16 streams on one connection, with 200 messages in each direction.
func streamsTogether(p peer) any {
	const streams, messages = 16, 200
	results := make(chan received, streams)
	for i := 0; i < streams; i++ {
		stream := p.stream("Chat", nil, true, true)
		go func() {
			for value := int64(1); value <= messages; value++ {
				if err := stream.SendMsg(p.number(value)); err != nil {
					return
				}
			}
			stream.CloseSend()
		}()
		go func() { results <- p.drain(stream, 2) }()
	}
	all := make([]received, 0, streams)
	for i := 0; i < streams; i++ {
		all = append(all, <-results)
	}
	return all
}
