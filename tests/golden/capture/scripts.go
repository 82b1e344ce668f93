package main

import (
	"context"
	"time"

	"github.com/containerd/ttrpc"
)

// wireTimeout is the timeout in the request of the call with a deadline. The library would write the remaining time,
// which differs in each run.
const wireTimeout = 1500 * time.Millisecond

func fixTimeout(
	ctx context.Context, request *ttrpc.Request, reply *ttrpc.Response, _ *ttrpc.UnaryClientInfo, next ttrpc.Invoker,
) error {
	if request.TimeoutNano != 0 {
		request.TimeoutNano = wireTimeout.Nanoseconds()
	}
	return next(ctx, request, reply)
}

// scripts are the captured conversations.
var scripts = []struct {
	name, about string
	run         func(caller) error
}{
	{"unary", "a call and its reply", func(c caller) error {
		return c.call(context.Background(), "Echo", "EchoRequest", "EchoReply", fields{"text": "hello", "data": []byte{0, 1, 255}})
	}},
	{"unary-empty", "a request without payload and a reply without one", func(c caller) error {
		return c.call(context.Background(), "Sleep", "SleepRequest", "SleepReply", fields{})
	}},
	{"unary-twice", "two calls, one after the other", func(c caller) error {
		if err := c.call(context.Background(), "Echo", "EchoRequest", "EchoReply", fields{"text": "one"}); err != nil {
			return err
		}
		return c.call(context.Background(), "Echo", "EchoRequest", "EchoReply", fields{"text": "two"})
	}},
	{"status-details", "a status with a message and two details", func(c caller) error {
		return mustFail(c.call(context.Background(), "Fail", "FailRequest", "EchoReply",
			fields{"code": 9, "message": "not now", "details": []string{"one", "two"}}))
	}},
	{"metadata-timeout", "two values of one key, and a timeout of 1.5 s", func(c caller) error {
		metadata := ttrpc.MD{}
		metadata.Set("color", "red", "green")
		ctx, cancel := context.WithTimeout(ttrpc.WithMetadata(context.Background(), metadata), time.Minute)
		defer cancel()
		return c.call(ctx, "Echo", "EchoRequest", "EchoReply", fields{"text": "hello"})
	}},
	{"unknown-method", "a method that the service does not have", func(c caller) error {
		return mustFail(c.call(context.Background(), "Nope", "EchoRequest", "EchoReply", fields{}))
	}},
	{"client-stream", "three numbers, the client's close, their sum", func(c caller) error {
		stream, err := c.stream("Sum", nil, true, false)
		if err != nil {
			return err
		}
		for value := 1; value <= 3; value++ {
			if err := stream.SendMsg(c.message("Number", fields{"value": value})); err != nil {
				return err
			}
		}
		if err := stream.CloseSend(); err != nil {
			return err
		}
		return stream.RecvMsg(c.message("Total", fields{}))
	}},
	{"client-stream-empty", "a client's stream that is closed at once", func(c caller) error {
		stream, err := c.stream("Sum", nil, true, false)
		if err != nil {
			return err
		}
		if err := stream.CloseSend(); err != nil {
			return err
		}
		return stream.RecvMsg(c.message("Total", fields{}))
	}},
	{"server-stream", "three numbers and the server's close", func(c caller) error {
		stream, err := c.stream("Count", c.message("CountRequest", fields{"up_to": 3}), false, true)
		if err != nil {
			return err
		}
		return c.until(stream, isEOF)
	}},
	{"server-stream-error", "two numbers and then a status", func(c caller) error {
		request := c.message("CountRequest", fields{"up_to": 3, "fail_after": 2, "fail_code": 8})
		stream, err := c.stream("Count", request, false, true)
		if err != nil {
			return err
		}
		return c.until(stream, func(err error) bool { return !isEOF(err) })
	}},
	{"bidirectional", "each number is answered before the next; then both close", func(c caller) error {
		stream, err := c.stream("Chat", nil, true, true)
		if err != nil {
			return err
		}
		for _, value := range []int{5, 7} {
			if err := stream.SendMsg(c.message("Number", fields{"value": value})); err != nil {
				return err
			}
			if err := stream.RecvMsg(c.message("Number", fields{})); err != nil {
				return err
			}
		}
		if err := stream.CloseSend(); err != nil {
			return err
		}
		return c.until(stream, isEOF)
	}},
	{"bidirectional-empty", "the client closes without a word", func(c caller) error {
		stream, err := c.stream("Chat", nil, true, true)
		if err != nil {
			return err
		}
		if err := stream.CloseSend(); err != nil {
			return err
		}
		return c.until(stream, isEOF)
	}},
}
