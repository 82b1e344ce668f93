package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"descriptors"
	"outcome"

	"github.com/containerd/ttrpc"
	"google.golang.org/protobuf/types/dynamicpb"
)

const (
	agentService  = "grpc.AgentService"
	healthService = "grpc.Health"
	// patience is the timeout of calls that do not wait for an event, so that a hang fails the test instead of blocking it.
	patience = 60 * time.Second
)

type agent struct {
	set    *descriptors.Set
	client *ttrpc.Client
	rootfs string
}

// fields is a request as a JSON object with the names of the .proto file; bytes are a []byte.
type fields map[string]any

// ended is the status of a call, and its reply if it succeeded.
type ended struct {
	outcome.Outcome
	Reply json.RawMessage `json:"reply,omitempty"`
}

func (a *agent) try(ctx context.Context, service, method string, request fields) (*dynamicpb.Message, error) {
	descriptor, err := a.set.Method(service, method)
	if err != nil {
		return nil, err
	}
	input, output := dynamicpb.NewMessage(descriptor.Input()), dynamicpb.NewMessage(descriptor.Output())
	if err := a.set.Fill(input, request); err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	if err := a.client.Call(ctx, service, method, input, output); err != nil {
		return nil, err
	}
	return output, nil
}

// do calls a method of the agent, and returns an error if it fails.
func (a *agent) do(ctx context.Context, method string, request fields) (*dynamicpb.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	reply, err := a.try(ctx, agentService, method, request)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	return reply, nil
}

// end calls a method and returns its status.
func (a *agent) end(ctx context.Context, service, method string, request fields) ended {
	reply, err := a.try(ctx, service, method, request)
	if err != nil {
		return ended{Outcome: outcome.Of(err)}
	}
	text, err := a.set.JSON(reply)
	return ended{Outcome: outcome.Of(err), Reply: text}
}

// callJSON calls METHOD of the agent, or of Health for its two methods.
func (a *agent) callJSON(method, text string) (any, error) {
	var request fields
	if err := json.Unmarshal([]byte(text), &request); err != nil {
		return nil, fmt.Errorf("the request is not a JSON object: %w", err)
	}
	service := agentService
	if _, err := a.set.Method(healthService, method); err == nil {
		service = healthService
	} else if _, err := a.set.Method(agentService, method); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return a.end(ctx, service, method, request), nil
}

// sweep calls every method with an empty request, DestroySandbox last since it can end the agent. A method that waits
// for an event (GetOOMEvent) ends with its deadline, which shows that it is served.
func (a *agent) sweep() (any, error) {
	result := map[string]ended{}
	for _, name := range []string{healthService, agentService} {
		service, err := a.set.Service(name)
		if err != nil {
			return nil, err
		}
		for i := 0; i < service.Methods().Len(); i++ {
			if method := string(service.Methods().Get(i).Name()); method != "DestroySandbox" {
				result[method] = a.endSoon(name, method)
			}
		}
	}
	result["DestroySandbox"] = a.endSoon(agentService, "DestroySandbox")
	return result, nil
}

func (a *agent) endSoon(service, method string) ended {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return a.end(ctx, service, method, fields{})
}
