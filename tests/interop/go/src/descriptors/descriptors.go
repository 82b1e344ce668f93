// Package descriptors provides the messages and methods of .proto files without generated code: it reads
// FileDescriptorSets, as `buf build` or `protoc --descriptor_set_out` write them, and converts messages from and to JSON.
package descriptors

import (
	"encoding/json"
	"fmt"
	"os"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/runtime/protoiface"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// Set contains the declarations of the loaded FileDescriptorSets.
type Set struct {
	files *protoregistry.Files
	types *dynamicpb.Types
}

// Load reads FileDescriptorSets. A file that is in several of them is registered once.
func Load(paths ...string) (*Set, error) {
	all := &descriptorpb.FileDescriptorSet{}
	seen := map[string]bool{}
	for _, path := range paths {
		bytes, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		one := &descriptorpb.FileDescriptorSet{}
		if err := proto.Unmarshal(bytes, one); err != nil {
			return nil, fmt.Errorf("%s is not a FileDescriptorSet: %w", path, err)
		}
		for _, file := range one.File {
			if !seen[file.GetName()] {
				seen[file.GetName()] = true
				all.File = append(all.File, file)
			}
		}
	}
	files, err := protodesc.NewFiles(all)
	if err != nil {
		return nil, err
	}
	return &Set{files: files, types: dynamicpb.NewTypes(files)}, nil
}

// MustLoad is like Load, but ends the program if loading fails.
func MustLoad(paths ...string) *Set {
	set, err := Load(paths...)
	if err != nil {
		fmt.Fprintf(os.Stderr, "descriptors: %v\n", err)
		os.Exit(2)
	}
	return set
}

// Service finds a service by its full name, for example grpc.AgentService.
func (s *Set) Service(name string) (protoreflect.ServiceDescriptor, error) {
	found, err := s.files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		return nil, fmt.Errorf("service %s: %w", name, err)
	}
	service, ok := found.(protoreflect.ServiceDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is not a service", name)
	}
	return service, nil
}

// Method finds a method by the full name of its service and its own name.
func (s *Set) Method(service, method string) (protoreflect.MethodDescriptor, error) {
	found, err := s.Service(service)
	if err != nil {
		return nil, err
	}
	descriptor := found.Methods().ByName(protoreflect.Name(method))
	if descriptor == nil {
		return nil, fmt.Errorf("service %s has no method %s", service, method)
	}
	return descriptor, nil
}

// New returns an empty message of an existing type; it panics for an unknown one.
func (s *Set) New(name string) *dynamicpb.Message {
	found, err := s.files.FindDescriptorByName(protoreflect.FullName(name))
	if err != nil {
		panic(fmt.Sprintf("message %s: %v", name, err))
	}
	return dynamicpb.NewMessage(found.(protoreflect.MessageDescriptor))
}

// Fill sets the fields of a message from value, converted by encoding/json.
func (s *Set) Fill(message proto.Message, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return s.Parse(message, text)
}

// Parse sets a message's fields from ProtoJSON text; names may be those of the .proto file.
func (s *Set) Parse(message proto.Message, text []byte) error {
	return protojson.UnmarshalOptions{Resolver: s.types}.Unmarshal(text, message)
}

// JSON renders a message as ProtoJSON with the names of the .proto file.
func (s *Set) JSON(message proto.Message) (json.RawMessage, error) {
	return protojson.MarshalOptions{Resolver: s.types, UseProtoNames: true}.Marshal(message)
}

// Field returns the value of an existing field of a message.
func Field(message *dynamicpb.Message, name string) protoreflect.Value {
	descriptor := message.Descriptor().Fields().ByName(protoreflect.Name(name))
	if descriptor == nil {
		panic(fmt.Sprintf("%s has no field %s", message.Descriptor().FullName(), name))
	}
	return message.Get(descriptor)
}

// SetField sets an existing field of a message.
func SetField(message *dynamicpb.Message, name string, value any) {
	descriptor := message.Descriptor().Fields().ByName(protoreflect.Name(name))
	if descriptor == nil {
		panic(fmt.Sprintf("%s has no field %s", message.Descriptor().FullName(), name))
	}
	message.Set(descriptor, protoreflect.ValueOf(value))
}

// ordered is a message whose fields are encoded in the order of their numbers, as by generated code. Dynamic messages
// are encoded in any order, so that their bytes cannot be compared.
type ordered struct{ protoreflect.Message }

// Ordered returns a dynamic message as an ordered one.
func Ordered(message *dynamicpb.Message) proto.Message {
	return ordered{message.ProtoReflect()}
}

func (o ordered) ProtoReflect() protoreflect.Message { return o }

func (o ordered) Interface() protoreflect.ProtoMessage { return o }

func (o ordered) ProtoMethods() *protoiface.Methods {
	return &protoiface.Methods{
		Marshal: func(in protoiface.MarshalInput) (protoiface.MarshalOutput, error) {
			buf, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(in.Buf, o.Message.Interface())
			return protoiface.MarshalOutput{Buf: buf}, err
		},
	}
}
