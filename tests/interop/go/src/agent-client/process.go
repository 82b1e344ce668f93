package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"descriptors"
)

// readLength is the read size of both Kata runtimes, in bytes.
const readLength = 32 << 10

// process is a process of a container; the exec id of the first process is the id of the container.
type process struct {
	agent     *agent
	container string
	exec      string
}

func (p process) with(more fields) fields {
	request := fields{"container_id": p.container, "exec_id": p.exec}
	for key, value := range more {
		request[key] = value
	}
	return request
}

// spec is an OCI process that runs a command.
func spec(terminal bool, args ...string) fields {
	return fields{
		"Terminal": terminal,
		"User":     fields{"UID": 0, "GID": 0},
		"Args":     args,
		"Env":      []string{"PATH=/bin", "TERM=xterm"},
		"Cwd":      "/",
	}
}

func namespaces(types ...string) []fields {
	list := []fields{}
	for _, kind := range types {
		list = append(list, fields{"Type": kind})
	}
	return list
}

// Paths that containerd masks and makes read-only by default (pkg/oci).
var maskedPaths = []string{
	"/proc/acpi",
	"/proc/kcore",
	"/proc/keys",
	"/proc/latency_stats",
	"/proc/timer_list",
	"/proc/timer_stats",
	"/proc/sched_debug",
	"/proc/scsi",
	"/sys/firmware",
}

var readonlyPaths = []string{
	"/proc/asound",
	"/proc/bus",
	"/proc/fs",
	"/proc/irq",
	"/proc/sys",
	"/proc/sysrq-trigger",
}

// create creates a container with the request of a Kata runtime.
func (a *agent) create(ctx context.Context, id string, process_ fields) (process, error) {
	_, err := a.do(ctx, "CreateContainer", fields{
		"container_id": id,
		"exec_id":      id,
		"OCI": fields{
			"Version":  "1.0.2",
			"Process":  process_,
			"Root":     fields{"Path": a.rootfs},
			"Hostname": "interop",
			"Mounts": []fields{
				{"destination": "/proc", "source": "proc", "type": "proc", "options": []string{"nosuid", "noexec", "nodev"}},
				{"destination": "/dev", "source": "tmpfs", "type": "tmpfs",
					"options": []string{"nosuid", "strictatime", "mode=755", "size=65536k"}},
				{"destination": "/dev/pts", "source": "devpts", "type": "devpts",
					"options": []string{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}},
			},
			"Linux": fields{
				"Namespaces":  namespaces("pid", "ipc", "uts", "mount"),
				"CgroupsPath": "/kata-agent-test/" + id,
				// As container engines set them for containers that are not privileged.
				"MaskedPaths":   maskedPaths,
				"ReadonlyPaths": readonlyPaths,
				"Resources":     fields{"Memory": fields{"Limit": 256 << 20}},
			},
		},
	})
	return process{agent: a, container: id, exec: id}, err
}

// startNew creates a container and starts it.
func (a *agent) startNew(ctx context.Context, id string, process_ fields) (process, error) {
	first, err := a.create(ctx, id, process_)
	if err != nil {
		return first, err
	}
	_, err = a.do(ctx, "StartContainer", fields{"container_id": id})
	return first, err
}

// execNew starts an exec in a container.
func (p process) execNew(ctx context.Context, exec string, process_ fields) (process, error) {
	other := process{agent: p.agent, container: p.container, exec: exec}
	_, err := p.agent.do(ctx, "ExecProcess", other.with(fields{"process": process_}))
	return other, err
}

func (p process) remove(ctx context.Context) error {
	_, err := p.agent.do(ctx, "RemoveContainer", fields{"container_id": p.container})
	return err
}

func (p process) signal(ctx context.Context, number int) error {
	_, err := p.agent.do(ctx, "SignalProcess", p.with(fields{"signal": number}))
	return err
}

func (p process) wait(ctx context.Context) (int64, error) {
	reply, err := p.agent.do(ctx, "WaitProcess", p.with(nil))
	if err != nil {
		return -1, err
	}
	return descriptors.Field(reply, "status").Int(), nil
}

// read returns the available output; empty at the end of the stream. method is ReadStdout or ReadStderr.
func (p process) read(ctx context.Context, method string) ([]byte, error) {
	reply, err := p.agent.do(ctx, method, p.with(fields{"len": readLength}))
	if err != nil {
		return nil, err
	}
	return descriptors.Field(reply, "data").Bytes(), nil
}

func (p process) readAll(ctx context.Context, method string) ([]byte, error) {
	var all bytes.Buffer
	for {
		data, err := p.read(ctx, method)
		if err != nil {
			return all.Bytes(), err
		}
		if len(data) == 0 {
			return all.Bytes(), nil
		}
		all.Write(data)
	}
}

// readUntil reads stdout until it contains a text.
func (p process) readUntil(ctx context.Context, text string) (string, error) {
	var all strings.Builder
	for !strings.Contains(all.String(), text) {
		data, err := p.read(ctx, "ReadStdout")
		if err != nil {
			return all.String(), err
		}
		if len(data) == 0 {
			return all.String(), fmt.Errorf("stdout of %s ended without %q: %q", p.exec, text, all.String())
		}
		all.Write(data)
	}
	return all.String(), nil
}

func (p process) write(ctx context.Context, data []byte) error {
	for len(data) > 0 {
		part := data[:min(len(data), readLength)]
		reply, err := p.agent.do(ctx, "WriteStdin", p.with(fields{"data": part}))
		if err != nil {
			return err
		}
		written := descriptors.Field(reply, "len").Uint()
		if written == 0 || written > uint64(len(part)) {
			return fmt.Errorf("WriteStdin took %d of %d bytes", written, len(part))
		}
		data = data[written:]
	}
	return nil
}

func (p process) closeStdin(ctx context.Context) error {
	_, err := p.agent.do(ctx, "CloseStdin", p.with(nil))
	return err
}

func (p process) resize(ctx context.Context, rows, columns int) error {
	_, err := p.agent.do(ctx, "TtyWinResize", p.with(fields{"row": rows, "column": columns}))
	return err
}

// finished is the output and the exit code of a process.
type finished struct {
	Stdout string `json:"stdout"`
	Stderr string `json:"stderr"`
	Status int64  `json:"status"`
}

// finish reads both streams concurrently to their ends, as the runtimes do, and then waits for the process.
func (p process) finish(ctx context.Context) (finished, error) {
	type text struct {
		bytes []byte
		err   error
	}
	stderr := make(chan text, 1)
	go func() {
		data, err := p.readAll(ctx, "ReadStderr")
		stderr <- text{data, err}
	}()
	stdout, err := p.readAll(ctx, "ReadStdout")
	other := <-stderr
	if err == nil {
		err = other.err
	}
	if err != nil {
		return finished{}, err
	}
	status, err := p.wait(ctx)
	return finished{Stdout: string(stdout), Stderr: string(other.bytes), Status: status}, err
}

// soon returns a context with the timeout of a step.
func soon(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 5*time.Second)
}
