package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// memory has the stored hashes of a tree.
type memory []tlog.Hash

func (m memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = m[index]
	}
	return hashes, nil
}

// checkAuditLog computes the root of the records from the boot record that names the key on, as many as the checkpoint says.
func checkAuditLog(text []byte, keys []string, files []string) error {
	verifier, err := note.NewVerifier(keys[0])
	if err != nil {
		return err
	}
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return err
	}
	var origin, root string
	var size int64
	if _, err := fmt.Sscanf(opened.Text, "%s\n%d\n%s\n", &origin, &size, &root); err != nil {
		return err
	}
	if origin != verifier.Name() {
		return fmt.Errorf("origin %s, key %s", origin, verifier.Name())
	}
	leaves, err := leavesOf(keys[0], files)
	if err != nil {
		return err
	}
	if int64(len(leaves)) < size {
		return fmt.Errorf("%d records of %d", len(leaves), size)
	}
	var hashes memory
	for i, leaf := range leaves[:size] {
		stored, err := tlog.StoredHashes(int64(i), leaf, hashes)
		if err != nil {
			return err
		}
		hashes = append(hashes, stored...)
	}
	computed, err := tlog.TreeHash(size, hashes)
	if err != nil {
		return err
	}
	if computed.String() != root {
		return fmt.Errorf("root %s, checkpoint %s", computed, root)
	}
	return nil
}

// stated is the hash at the end of a line, which is no part of its leaf.
var stated = regexp.MustCompile(`,"hash":"[0-9a-f]{64}"}$`)

// leavesOf returns the leaves of one start of the agent.
func leavesOf(key string, files []string) ([][]byte, error) {
	var leaves [][]byte
	isOurs := false
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for _, line := range bytes.Split(bytes.TrimSuffix(content, []byte("\n")), []byte("\n")) {
			var record struct {
				Kind   string `json:"kind"`
				LogKey string `json:"logKey"`
			}
			if err := json.Unmarshal(line, &record); err != nil {
				return nil, err
			}
			if record.Kind == "boot" {
				isOurs = record.LogKey == key
			}
			if isOurs {
				leaves = append(leaves, stated.ReplaceAll(line, []byte("}")))
			}
		}
	}
	return leaves, nil
}
