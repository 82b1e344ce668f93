// Package interopservice is the Go server of interop.Interop (tests/interop/proto/interop.proto).
package interopservice

import (
	"context"
	"errors"
	"io"
	"sort"
	"time"

	"descriptors"

	"github.com/containerd/ttrpc"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
)

// Name is the service's full name.
const Name = "interop.Interop"

type service struct{ set *descriptors.Set }

// Register adds the service to a server.
func Register(server *ttrpc.Server, set *descriptors.Set) {
	s := service{set}
	server.RegisterService(Name, &ttrpc.ServiceDesc{
		Methods: map[string]ttrpc.Method{
			"Echo":  s.unary("interop.EchoRequest", s.echo),
			"Fail":  s.unary("interop.FailRequest", s.fail),
			"Sleep": s.unary("interop.SleepRequest", s.sleep),
			"Blob":  s.unary("interop.BlobRequest", s.blob),
		},
		Streams: map[string]ttrpc.Stream{
			"Sum":   {Handler: s.sum, StreamingClient: true},
			"Count": {Handler: s.count, StreamingServer: true},
			"Chat":  {Handler: s.chat, StreamingClient: true, StreamingServer: true},
		},
	})
}

func (s service) unary(
	input string, handler func(context.Context, *dynamicpb.Message) (*dynamicpb.Message, error),
) ttrpc.Method {
	return func(ctx context.Context, unmarshal func(interface{}) error) (interface{}, error) {
		request := s.set.New(input)
		if err := unmarshal(request); err != nil {
			return nil, err
		}
		reply, err := handler(ctx, request)
		if err != nil {
			return nil, err
		}
		return descriptors.Ordered(reply), nil
	}
}

func (s service) echo(ctx context.Context, request *dynamicpb.Message) (*dynamicpb.Message, error) {
	reply := s.set.New("interop.EchoReply")
	descriptors.SetField(reply, "text", descriptors.Field(request, "text").Interface())
	descriptors.SetField(reply, "data", descriptors.Field(request, "data").Interface())
	_, hasTimeout := ctx.Deadline()
	descriptors.SetField(reply, "has_timeout", hasTimeout)
	metadata, _ := ttrpc.GetMetadata(ctx)
	keys := make([]string, 0, len(metadata))
	for key := range metadata {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	pairs := reply.Mutable(reply.Descriptor().Fields().ByName("metadata")).List()
	for _, key := range keys {
		for _, value := range metadata[key] {
			pair := pairs.NewElement()
			descriptors.SetField(pair.Message().Interface().(*dynamicpb.Message), "key", key)
			descriptors.SetField(pair.Message().Interface().(*dynamicpb.Message), "value", value)
			pairs.Append(pair)
		}
	}
	return reply, nil
}

func (s service) fail(_ context.Context, request *dynamicpb.Message) (*dynamicpb.Message, error) {
	st := &spb.Status{
		Code:    int32(descriptors.Field(request, "code").Int()),
		Message: descriptors.Field(request, "message").String(),
	}
	texts := descriptors.Field(request, "details").List()
	for i := 0; i < texts.Len(); i++ {
		detail := s.set.New("interop.Detail")
		descriptors.SetField(detail, "text", texts.Get(i).String())
		packed := &anypb.Any{}
		if err := anypb.MarshalFrom(packed, detail, proto.MarshalOptions{Deterministic: true}); err != nil {
			return nil, err
		}
		st.Details = append(st.Details, packed)
	}
	return nil, status.ErrorProto(st)
}

func (s service) sleep(ctx context.Context, request *dynamicpb.Message) (*dynamicpb.Message, error) {
	timer := time.NewTimer(time.Duration(descriptors.Field(request, "milliseconds").Uint()) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return s.set.New("interop.SleepReply"), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (s service) blob(_ context.Context, request *dynamicpb.Message) (*dynamicpb.Message, error) {
	reply := s.set.New("interop.BlobReply")
	descriptors.SetField(reply, "data", make([]byte, descriptors.Field(request, "size").Uint()))
	return reply, nil
}

func (s service) sum(_ context.Context, stream ttrpc.StreamServer) (interface{}, error) {
	var sum, count int64
	for {
		number := s.set.New("interop.Number")
		if err := stream.RecvMsg(number); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		sum += descriptors.Field(number, "value").Int()
		count++
	}
	total := s.set.New("interop.Total")
	descriptors.SetField(total, "sum", sum)
	descriptors.SetField(total, "count", count)
	return descriptors.Ordered(total), nil
}

func (s service) count(_ context.Context, stream ttrpc.StreamServer) (interface{}, error) {
	request := s.set.New("interop.CountRequest")
	if err := stream.RecvMsg(request); err != nil {
		return nil, err
	}
	failAfter := descriptors.Field(request, "fail_after").Int()
	padding := make([]byte, descriptors.Field(request, "padding").Uint())
	for value := int64(1); value <= descriptors.Field(request, "up_to").Int(); value++ {
		number := s.set.New("interop.Number")
		descriptors.SetField(number, "value", value)
		if len(padding) > 0 {
			descriptors.SetField(number, "padding", padding)
		}
		if err := stream.SendMsg(descriptors.Ordered(number)); err != nil {
			return nil, err
		}
		if value == failAfter {
			return nil, status.ErrorProto(&spb.Status{
				Code:    int32(descriptors.Field(request, "fail_code").Int()),
				Message: "counted far enough",
			})
		}
	}
	return nil, nil
}

func (s service) chat(_ context.Context, stream ttrpc.StreamServer) (interface{}, error) {
	for {
		number := s.set.New("interop.Number")
		if err := stream.RecvMsg(number); errors.Is(err, io.EOF) {
			return nil, nil
		} else if err != nil {
			return nil, err
		}
		doubled := s.set.New("interop.Number")
		descriptors.SetField(doubled, "value", 2*descriptors.Field(number, "value").Int())
		if err := stream.SendMsg(descriptors.Ordered(doubled)); err != nil {
			return nil, err
		}
	}
}
