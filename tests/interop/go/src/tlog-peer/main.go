// Command tlog-peer answers questions about transparency logs with golang.org/x/mod/sumdb/note and tlog. It reads one
// JSON array of questions from standard input and writes one of answers.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"golang.org/x/mod/sumdb/tlog"
)

// A question. Kind says which of the other members it has.
type question struct {
	Kind string `json:"kind"`

	// open: a note and the keys that are known.
	// proof: a text of c2sp.org/tlog-proof@v1, the keys that are known, and the leaf.
	Text []byte   `json:"text"`
	Keys []string `json:"keys"`
	Leaf []byte   `json:"leaf"`

	// record: a proof that the tree has the leaf at an index.
	// tree: a proof that the tree begins with an old one.
	Proof   []tlog.Hash `json:"proof"`
	Size    int64       `json:"size"`
	Root    tlog.Hash   `json:"root"`
	Index   int64       `json:"index"`
	OldSize int64       `json:"oldSize"`
	OldRoot tlog.Hash   `json:"oldRoot"`

	// audit: a checkpoint in Text, the key in Keys, and the segments of an audit log, oldest first.
	Files []string `json:"files"`

	// log: the leaves "record 0", "record 1", … in a tree of this size, and what to prove of it.
	Indices  []int64 `json:"indices"`
	OldSizes []int64 `json:"oldSizes"`
}

// An answer. Error is the reason why something was not accepted.
type answer struct {
	Error string `json:"error,omitempty"`

	// open: the text, and the names of the keys that have signed it. sign: a note and the key that verifies it.
	Text   []byte   `json:"text,omitempty"`
	Signed []string `json:"signed,omitempty"`
	Key    string   `json:"key,omitempty"`

	// log
	Roots   []tlog.Hash   `json:"roots,omitempty"`
	Records [][]tlog.Hash `json:"records,omitempty"`
	Trees   [][]tlog.Hash `json:"trees,omitempty"`
}

func answerTo(q question) (answer, error) {
	switch q.Kind {
	case "open":
		return openNote(q.Text, q.Keys)
	case "sign":
		return signCheckpoint(q.Size, q.Root)
	case "record":
		return answer{}, tlog.CheckRecord(q.Proof, q.Size, q.Root, q.Index, tlog.RecordHash(q.Leaf))
	case "tree":
		return answer{}, tlog.CheckTree(q.Proof, q.Size, q.Root, q.OldSize, q.OldRoot)
	case "proof":
		return answer{}, checkProof(q.Text, q.Keys, q.Leaf)
	case "audit":
		return answer{}, checkAuditLog(q.Text, q.Keys, q.Files)
	case "log":
		return proveLog(q.Size, q.Indices, q.OldSizes)
	}
	return answer{}, fmt.Errorf("unknown kind %q", q.Kind)
}

func main() {
	var questions []question
	if err := json.NewDecoder(os.Stdin).Decode(&questions); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	answers := make([]answer, len(questions))
	for i, q := range questions {
		a, err := answerTo(q)
		if err != nil {
			a = answer{Error: err.Error()}
		}
		answers[i] = a
	}
	if err := json.NewEncoder(os.Stdout).Encode(answers); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
