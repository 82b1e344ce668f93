package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// execsOfContainer is the number of streams in a container: an agent may have 32 execs in one.
const execsOfContainer = 25

// lineLength is the length of a line: its number and a line feed.
const lineLength = 16

// measureStreams measures the reads of many processes whose output is numbered lines, one read in flight for each on one connection.
// Each process begins at another line, so that a byte that is lost, reordered or of another stream is noticed.
func (b *bench) measureStreams() error {
	lines := numberedLines(b.bytes / lineLength)
	if err := os.WriteFile(filepath.Join(b.rootfs, "lines"), lines, 0o644); err != nil {
		return err
	}
	count := (b.streams + execsOfContainer - 1) / execsOfContainer
	if err := inParallel(starters, count, func(i int) error { return b.client.Start(containerName(i)) }); err != nil {
		return err
	}
	time.Sleep(settle)
	if err := b.observeFor("quiet", containerName(0), b.period); err != nil {
		return err
	}
	if err := b.usage("before"); err != nil {
		return err
	}
	err := inParallel(starters, b.streams, func(i int) error {
		first := fmt.Sprintf("+%d", lineLength*i+1)
		return b.client.Exec(containerName(i/execsOfContainer), execName(i), "tail", "-c", first, "/lines")
	})
	if err != nil {
		return err
	}
	end, err := b.observe("streaming", containerName(0))
	if err != nil {
		return err
	}
	begin := time.Now()
	err = inParallel(b.streams, b.streams, func(i int) error { return b.readStream(i, lines[lineLength*i:]) })
	if err != nil {
		return err
	}
	seconds := time.Since(begin).Seconds()
	b.add("throughput", float64(b.streams*b.bytes)/(1<<20)/seconds)
	progress("%d streams after %.1f s", b.streams, seconds)
	if err := end(); err != nil {
		return err
	}
	if err := b.usage("after the streams"); err != nil {
		return err
	}
	if err := inParallel(starters, count, func(i int) error { return b.client.Remove(containerName(i)) }); err != nil {
		return err
	}
	time.Sleep(settle)
	return b.usage("with all removed")
}

// readStream reads the output of a process to its end, and compares it.
func (b *bench) readStream(i int, expected []byte) error {
	id, exec := containerName(i/execsOfContainer), execName(i)
	for offset := 0; offset < len(expected); {
		data, err := b.client.ReadStdout(id, exec)
		if err != nil {
			return fmt.Errorf("stream %d ended after %d bytes of %d: %w", i, offset, len(expected), err)
		}
		if !bytes.HasPrefix(expected[offset:], data) {
			return fmt.Errorf("stream %d: other bytes than were written, within %d bytes from %d", i, len(data), offset)
		}
		offset += len(data)
	}
	if data, err := b.client.ReadStdout(id, exec); err == nil && len(data) > 0 {
		return fmt.Errorf("stream %d: %d bytes more than were written", i, len(data))
	}
	return b.client.Wait(id, exec)
}

func numberedLines(count int) []byte {
	lines := make([]byte, 0, count*lineLength)
	for i := 0; i < count; i++ {
		lines = fmt.Appendf(lines, "%0*d\n", lineLength-1, i)
	}
	return lines
}
