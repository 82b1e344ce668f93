// Package outcome describes the status of a ttRPC call in a form that a test in another language can compare.
package outcome

import (
	"context"
	"encoding/base64"
	"errors"
	"io"

	"github.com/containerd/ttrpc"
	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/grpc/status"
)

// Detail is one Any of a status, undecoded.
type Detail struct {
	TypeURL string `json:"typeUrl"`
	Value   string `json:"value"`
}

// Outcome is the end of a call. Code is a name of google.rpc.Code, or one of CLOSED, EOF, CONTEXT_DEADLINE,
// CONTEXT_CANCELED and OTHER for errors without a status.
type Outcome struct {
	Code    string   `json:"code"`
	Message string   `json:"message,omitempty"`
	Details []Detail `json:"details,omitempty"`
}

// Of describes an error; nil is OK.
func Of(err error) Outcome {
	switch {
	case err == nil:
		return Outcome{Code: "OK"}
	case errors.Is(err, io.EOF):
		return Outcome{Code: "EOF"}
	case errors.Is(err, ttrpc.ErrClosed):
		return Outcome{Code: "CLOSED", Message: err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return Outcome{Code: "CONTEXT_DEADLINE", Message: err.Error()}
	case errors.Is(err, context.Canceled):
		return Outcome{Code: "CONTEXT_CANCELED", Message: err.Error()}
	}
	st, ok := status.FromError(err)
	if !ok {
		return Outcome{Code: "OTHER", Message: err.Error()}
	}
	result := Outcome{Code: code.Code(st.Code()).String(), Message: st.Message()}
	for _, detail := range st.Proto().Details {
		result.Details = append(result.Details, Detail{
			TypeURL: detail.TypeUrl,
			Value:   base64.StdEncoding.EncodeToString(detail.Value),
		})
	}
	return result
}
