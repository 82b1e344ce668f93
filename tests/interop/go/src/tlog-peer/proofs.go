package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// checkProof verifies a c2sp.org/tlog-proof@v1 without extra data. Its checkpoint must have three lines: tlog.ParseTree
// takes only those of Go's own log.
func checkProof(text []byte, vkeys []string, leaf []byte) error {
	split := bytes.Index(text, []byte("\n\n"))
	if split < 0 {
		return errors.New("no empty line")
	}
	lines := strings.Split(string(text[:split]), "\n")
	if len(lines) < 2 || lines[0] != "c2sp.org/tlog-proof@v1" || !strings.HasPrefix(lines[1], "index ") {
		return errors.New("not a proof")
	}
	index, err := strconv.ParseInt(lines[1][len("index "):], 10, 64)
	if err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, line := range lines[2:] {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		proof = append(proof, hash)
	}
	opened, err := openWith(text[split+2:], vkeys)
	if err != nil {
		return err
	}
	checkpoint := strings.Split(opened.Text, "\n")
	if len(checkpoint) != 4 || checkpoint[3] != "" {
		return errors.New("not a checkpoint")
	}
	if len(opened.Sigs) != len(vkeys) || opened.Sigs[0].Name != checkpoint[0] {
		return errors.New("not signed by each key")
	}
	size, err := strconv.ParseInt(checkpoint[1], 10, 64)
	if err != nil {
		return err
	}
	root, err := tlog.ParseHash(checkpoint[2])
	if err != nil {
		return err
	}
	return tlog.CheckRecord(proof, size, root, index, tlog.RecordHash(leaf))
}

// proveLog builds the tree of "record 0", "record 1", … and proves leaves and old sizes of it. The roots are those of
// the old sizes, and last the tree's own.
func proveLog(size int64, indices, oldSizes []int64) (answer, error) {
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			hashes[i] = stored[index]
		}
		return hashes, nil
	})
	for n := int64(0); n < size; n++ {
		hashes, err := tlog.StoredHashes(n, []byte(fmt.Sprintf("record %d", n)), reader)
		if err != nil {
			return answer{}, err
		}
		stored = append(stored, hashes...)
	}
	var a answer
	for _, index := range indices {
		proof, err := tlog.ProveRecord(size, index, reader)
		if err != nil {
			return answer{}, err
		}
		a.Records = append(a.Records, proof)
	}
	for _, old := range oldSizes {
		proof, err := tlog.ProveTree(size, old, reader)
		if err != nil {
			return answer{}, err
		}
		a.Trees = append(a.Trees, proof)
	}
	for _, n := range append(oldSizes, size) {
		root, err := tlog.TreeHash(n, reader)
		if err != nil {
			return answer{}, err
		}
		a.Roots = append(a.Roots, root)
	}
	return a, nil
}
