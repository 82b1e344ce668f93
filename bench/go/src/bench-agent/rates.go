package main

import (
	"fmt"
	"sync"
	"time"

	kata "kata/grpc"

	"podclient"
)

// rates measures calls per second at numbers of concurrent callers.
func (b bench) rates(id string) error {
	methods := []struct {
		name string
		call func() error
	}{
		{"Health.Check", b.client.Check},
		{"GetGuestDetails", b.client.Details},
		{"SignalProcess", func() error { return b.client.Signal(id, id, 0) }},
		{"StatsContainer", func() error { return b.client.Stats(id) }},
	}
	for _, method := range methods {
		if _, err := b.rate(method.call, 16); err != nil {
			return err
		}
		for _, callers := range []int{1, 16, 64} {
			rate, err := b.rate(method.call, callers)
			if err != nil {
				return err
			}
			b.add(fmt.Sprintf("%s %d", method.name, callers), rate)
		}
	}
	return nil
}

func (b bench) rate(call func() error, callers int) (float64, error) {
	counts := make([]int, callers)
	failures := make([]error, callers)
	var group sync.WaitGroup
	begin := time.Now()
	end := begin.Add(b.length)
	for i := range counts {
		group.Add(1)
		go func() {
			defer group.Done()
			for time.Now().Before(end) {
				if failures[i] = call(); failures[i] != nil {
					return
				}
				counts[i]++
			}
		}()
	}
	group.Wait()
	seconds := time.Since(begin).Seconds()
	calls := 0
	for i, count := range counts {
		if failures[i] != nil {
			return 0, failures[i]
		}
		calls += count
	}
	return float64(calls) / seconds, nil
}

// throughput calls in turn, and returns MiB per second and bytes per call.
func (b bench) throughput(call func() (int, error)) (float64, float64, error) {
	total, calls := 0, 0
	begin := time.Now()
	for end := begin.Add(b.length); time.Now().Before(end); calls++ {
		bytes, err := call()
		if err != nil {
			return 0, 0, err
		}
		total += bytes
	}
	return float64(total) / (1 << 20) / time.Since(begin).Seconds(), float64(total) / float64(calls), nil
}

func (b bench) readStdout(id string) error {
	if err := b.client.Exec(id, "reads", "yes"); err != nil {
		return err
	}
	rate, bytes, err := b.throughput(func() (int, error) {
		data, err := b.client.ReadStdout(id, "reads")
		if err == nil && len(data) == 0 {
			err = fmt.Errorf("ReadStdout: the output of `yes` ended")
		}
		return len(data), err
	})
	if err != nil {
		return err
	}
	b.add("ReadStdout", rate)
	b.add("bytes per read", bytes/1024)
	return b.client.End(id, "reads")
}

func (b bench) writeStdin(id string) error {
	if err := b.client.Exec(id, "writes", "busybox", "sh", "-c", "cat >/dev/null"); err != nil {
		return err
	}
	data := make([]byte, podclient.ReadLength)
	rate, _, err := b.throughput(func() (int, error) {
		request := &kata.WriteStreamRequest{ContainerId: id, ExecId: "writes", Data: data}
		reply := &kata.WriteStreamResponse{}
		err := b.client.CallFor("WriteStdin", request, reply)
		if err == nil && reply.Len == 0 {
			err = fmt.Errorf("WriteStdin: no byte was written")
		}
		return int(reply.Len), err
	})
	if err != nil {
		return err
	}
	b.add("WriteStdin", rate)
	return b.client.End(id, "writes")
}

// copyFile copies whole files of 8 MiB in pieces of 1 MiB to one path.
func (b bench) copyFile() error {
	const size, piece = 8 << 20, 1 << 20
	data := make([]byte, piece)
	rate, _, err := b.throughput(func() (int, error) {
		for offset := int64(0); offset < size; offset += piece {
			request := &kata.CopyFileRequest{
				Path: b.shared + "/copied", FileSize: size, FileMode: 0o100644, DirMode: 0o755, Offset: offset, Data: data,
			}
			if err := b.client.Call("CopyFile", request); err != nil {
				return 0, err
			}
		}
		return size, nil
	})
	if err != nil {
		return err
	}
	b.add("CopyFile", rate)
	return nil
}
