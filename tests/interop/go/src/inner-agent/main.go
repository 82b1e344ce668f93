// inner-agent is a ttRPC server of all methods of AgentService and Health, as the agent behind forward mode.
//
//	inner-agent -descriptors kata.binpb -listen /path/of/socket [-not-serving]
//	inner-agent --config /path/of/agent.toml
//
// The second form is that of Kata's agent: the file has server_addr = "unix://…". The descriptors are in kata.binpb beside it.
//
// A reply carries, in fields that no reply of Kata's has, the bytes of the request as received (1000), the method (1001),
// the metadata as JSON (1002) and the remaining time in milliseconds (1003). The container that a request names can ask for more:
//
//	fail:CODE:TEXT   an error with this code, this message and a detail
//	slow:MS          the reply after this time
//	block            no reply until the connection ends
//	large:BYTES      1000 has this many bytes
//	data:BYTES       this many bytes in field 1 too, as the output of a process
//
// It prints "ready" when it listens, then a line for each call of AgentService, and exits, unless it has a --config, at the end
// of its standard input.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"descriptors"

	"github.com/containerd/ttrpc"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/emptypb"
)

func main() {
	descriptorSet := flag.String("descriptors", "", "FileDescriptorSet of agent.proto")
	listen := flag.String("listen", "", "path of the unix socket to listen on")
	notServing := flag.Bool("not-serving", false, "Check answers NOT_SERVING")
	config := flag.String("config", "", "file of Kata's agent, with server_addr")
	flag.Parse()
	if *config != "" {
		address, err := serverAddress(*config)
		if err != nil {
			fmt.Fprintf(os.Stderr, "inner-agent: %v\n", err)
			os.Exit(1)
		}
		*listen = address
		*descriptorSet = filepath.Join(filepath.Dir(*config), "kata.binpb")
	}
	if err := run(*descriptorSet, *listen, *notServing, *config == ""); err != nil {
		fmt.Fprintf(os.Stderr, "inner-agent: %v\n", err)
		os.Exit(1)
	}
}

// serverAddress returns the path of the unix socket in a file of Kata's agent.
func serverAddress(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	found := regexp.MustCompile(`(?m)^server_addr = "unix://(.*)"$`).FindSubmatch(text)
	if found == nil {
		return "", fmt.Errorf("%s has no server_addr of a unix socket", path)
	}
	return string(found[1]), nil
}

func run(descriptorSet, listen string, notServing, endsWithInput bool) error {
	set, err := descriptors.Load(descriptorSet)
	if err != nil {
		return err
	}
	agent, err := set.Service("grpc.AgentService")
	if err != nil {
		return err
	}
	server, err := ttrpc.NewServer()
	if err != nil {
		return err
	}
	methods := map[string]ttrpc.Method{}
	for i := 0; i < agent.Methods().Len(); i++ {
		method := agent.Methods().Get(i)
		methods[string(method.Name())] = echo(set, method)
	}
	server.RegisterService("grpc.AgentService", &ttrpc.ServiceDesc{Methods: methods})
	server.RegisterService("grpc.Health", &ttrpc.ServiceDesc{Methods: map[string]ttrpc.Method{
		"Check": func(_ context.Context, unmarshal func(interface{}) error) (interface{}, error) {
			if err := unmarshal(&emptypb.Empty{}); err != nil {
				return nil, err
			}
			reply := set.New("grpc.HealthCheckResponse")
			serving := protoreflect.EnumNumber(1)
			if notServing {
				serving = 2
			}
			descriptors.SetField(reply, "status", serving)
			return descriptors.Ordered(reply), nil
		},
		"Version": func(_ context.Context, unmarshal func(interface{}) error) (interface{}, error) {
			if err := unmarshal(&emptypb.Empty{}); err != nil {
				return nil, err
			}
			reply := set.New("grpc.VersionCheckResponse")
			descriptors.SetField(reply, "agent_version", "inner")
			return descriptors.Ordered(reply), nil
		},
	}})
	listener, err := net.Listen("unix", listen)
	if err != nil {
		return err
	}
	if endsWithInput {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			server.Close()
		}()
	}
	fmt.Println("ready")
	if err := server.Serve(context.Background(), listener); !errors.Is(err, ttrpc.ErrServerClosed) {
		return err
	}
	return nil
}

func echo(set *descriptors.Set, method protoreflect.MethodDescriptor) ttrpc.Method {
	name := string(method.Name())
	return func(ctx context.Context, unmarshal func(interface{}) error) (interface{}, error) {
		// An empty message keeps all fields as unknown ones: the bytes as received.
		request := &emptypb.Empty{}
		if err := unmarshal(request); err != nil {
			return nil, err
		}
		fmt.Println("call", name)
		bytes := request.ProtoReflect().GetUnknown()
		decoded := set.New(string(method.Input().FullName()))
		if err := proto.Unmarshal(bytes, decoded); err != nil {
			return nil, err
		}
		asked := ""
		if field := decoded.Descriptor().Fields().ByName("container_id"); field != nil {
			asked = decoded.Get(field).String()
		}
		word, argument, _ := strings.Cut(asked, ":")
		switch word {
		case "fail":
			code, text, _ := strings.Cut(argument, ":")
			number, _ := strconv.Atoi(code)
			detail, err := anypb.New(request)
			if err != nil {
				return nil, err
			}
			return nil, status.FromProto(
				&spb.Status{Code: int32(number), Message: text, Details: []*anypb.Any{detail}},
			).Err()
		case "slow":
			milliseconds, _ := strconv.Atoi(argument)
			time.Sleep(time.Duration(milliseconds) * time.Millisecond)
		case "block":
			<-ctx.Done()
			return nil, ctx.Err()
		case "large":
			length, _ := strconv.Atoi(argument)
			bytes = make([]byte, length)
		case "data":
			length, _ := strconv.Atoi(argument)
			return reply(ctx, name, bytes, make([]byte, length))
		}
		return reply(ctx, name, bytes, nil)
	}
}

func reply(ctx context.Context, method string, bytes, data []byte) (proto.Message, error) {
	metadata, _ := ttrpc.GetMetadata(ctx)
	text, err := json.Marshal(metadata)
	if err != nil {
		return nil, err
	}
	var fields []byte
	add := func(number protowire.Number, value []byte) {
		fields = protowire.AppendTag(fields, number, protowire.BytesType)
		fields = protowire.AppendBytes(fields, value)
	}
	if data != nil {
		add(1, data)
	}
	add(1000, bytes)
	add(1001, []byte(method))
	add(1002, text)
	if deadline, ok := ctx.Deadline(); ok {
		add(1003, []byte(strconv.FormatInt(time.Until(deadline).Milliseconds(), 10)))
	}
	answer := &emptypb.Empty{}
	answer.ProtoReflect().SetUnknown(fields)
	return answer, nil
}
