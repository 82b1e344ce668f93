package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand"
	"strings"
	"time"
)

// steps of the container scenario in order. Each creates its own containers and removes them.
var steps = []struct {
	name string
	run  func(*agent, context.Context) (any, error)
}{
	{"exit", exitStep},
	{"stdin", stdinStep},
	{"terminal", terminalStep},
	{"exec", execStep},
	{"signal", signalStep},
	{"stats", statsStep},
	{"pause", pauseStep},
	{"grandchild", grandchildStep},
	{"lateWait", lateWaitStep},
}

// container runs a sandbox from CreateSandbox to DestroySandbox and returns the result of each step by name: of a failed
// step {"error": …}; the other steps run anyway.
func (a *agent) container(ctx context.Context) (any, error) {
	results := map[string]any{
		"check":   a.endSoon(healthService, "Check"),
		"version": a.endSoon(healthService, "Version"),
	}
	if _, err := a.do(ctx, "CreateSandbox", fields{"hostname": "interop", "sandbox_id": "interop-sandbox"}); err != nil {
		return nil, err
	}
	results["guest"] = a.end(ctx, agentService, "GetGuestDetails", fields{"mem_block_size": true})
	for _, step := range steps {
		result, err := step.run(a, ctx)
		if err != nil {
			result = fields{"error": err.Error()}
		}
		results[step.name] = result
	}
	results["destroy"] = a.endSoon(agentService, "DestroySandbox")
	return results, nil
}

func exitStep(a *agent, ctx context.Context) (any, error) {
	first, err := a.startNew(ctx, "interop-exit", spec(false, "sh", "-c", "echo out; echo err >&2; exit 7"))
	if err != nil {
		return nil, err
	}
	result, err := first.finish(ctx)
	if err != nil {
		return nil, err
	}
	return result, first.remove(ctx)
}

// stdinStep transfers 10 MiB through cat.
func stdinStep(a *agent, ctx context.Context) (any, error) {
	data := make([]byte, 10<<20)
	rand.New(rand.NewSource(1837)).Read(data)
	first, err := a.startNew(ctx, "interop-stdin", spec(false, "cat"))
	if err != nil {
		return nil, err
	}
	writing := make(chan error, 1)
	go func() {
		err := first.write(ctx, data)
		if err == nil {
			err = first.closeStdin(ctx)
		}
		writing <- err
	}()
	result, err := first.finish(ctx)
	if err != nil {
		return nil, err
	}
	if err := <-writing; err != nil {
		return nil, err
	}
	digest := func(bytes []byte) string { sum := sha256.Sum256(bytes); return hex.EncodeToString(sum[:]) }
	return fields{
		"sent": digest(data), "received": digest([]byte(result.Stdout)),
		"length": len(result.Stdout), "status": result.Status,
	}, first.remove(ctx)
}

// terminalStep runs a program that prints the size of its terminal for each input line, before and after a resize.
func terminalStep(a *agent, ctx context.Context) (any, error) {
	program := `busybox tty; echo ready; while read line; do test "$line" = quit && exit 3; stty size; done`
	first, err := a.startNew(ctx, "interop-terminal", spec(true, "sh", "-c", program))
	if err != nil {
		return nil, err
	}
	begin, err := first.readUntil(ctx, "ready")
	if err != nil {
		return nil, err
	}
	sizes := []string{}
	for _, size := range [][2]int{{24, 80}, {43, 132}} {
		if err := first.resize(ctx, size[0], size[1]); err != nil {
			return nil, err
		}
		if err := first.write(ctx, []byte("size\n")); err != nil {
			return nil, err
		}
		text := fmt.Sprintf("%d %d", size[0], size[1])
		if _, err := first.readUntil(ctx, text); err != nil {
			return nil, err
		}
		sizes = append(sizes, text)
	}
	if err := first.write(ctx, []byte("quit\n")); err != nil {
		return nil, err
	}
	if _, err := first.readAll(ctx, "ReadStdout"); err != nil {
		return nil, err
	}
	status, err := first.wait(ctx)
	if err != nil {
		return nil, err
	}
	return fields{"tty": strings.Contains(begin, "/dev/"), "sizes": sizes, "status": status}, first.remove(ctx)
}

// execStep runs three execs: one with an exit code and both streams, one on a terminal, and one whose program does not
// exist.
func execStep(a *agent, ctx context.Context) (any, error) {
	first, err := a.startNew(ctx, "interop-exec", spec(false, "sleep", "1000"))
	if err != nil {
		return nil, err
	}
	plain, err := first.execNew(ctx, "plain", spec(false, "sh", "-c", "read a; echo got $a; echo no >&2; exit 42"))
	if err != nil {
		return nil, err
	}
	if err := plain.write(ctx, []byte("word\n")); err != nil {
		return nil, err
	}
	plainResult, err := plain.finish(ctx)
	if err != nil {
		return nil, err
	}
	terminal, err := first.execNew(ctx, "terminal", spec(true, "sh", "-c", "busybox tty; exit 5"))
	if err != nil {
		return nil, err
	}
	terminalOutput, err := terminal.readAll(ctx, "ReadStdout")
	if err != nil {
		return nil, err
	}
	terminalStatus, err := terminal.wait(ctx)
	if err != nil {
		return nil, err
	}
	missing := process{agent: a, container: first.container, exec: "missing"}
	return fields{
		"plain": plainResult,
		"terminal": fields{
			"output": string(terminalOutput), "status": terminalStatus,
		},
		"missing":      a.end(ctx, agentService, "WaitProcess", missing.with(nil)),
		"noCommand":    a.end(ctx, agentService, "ExecProcess", fields{"container_id": first.container, "exec_id": "none", "process": spec(false, "/no/such/command")}),
		"noContainer":  a.end(ctx, agentService, "StartContainer", fields{"container_id": "interop-nobody"}),
		"sameId":       a.end(ctx, agentService, "ExecProcess", fields{"container_id": first.container, "exec_id": first.exec, "process": spec(false, "true")}),
		"removeByKill": a.end(ctx, agentService, "RemoveContainer", fields{"container_id": first.container}),
	}, nil
}

// signalStep sends SIGTERM to first processes with and without a handler, SIGKILL, and a signal to an exited process.
func signalStep(a *agent, ctx context.Context) (any, error) {
	results := fields{}
	for name, it := range map[string]struct {
		program string
		signal  int
	}{
		"handled":   {`trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done`, 15},
		"unhandled": {`echo ready; exec sleep 1000`, 15},
		"killed":    {`echo ready; exec sleep 1000`, 9},
	} {
		first, err := a.startNew(ctx, "interop-signal-"+name, spec(false, "sh", "-c", it.program))
		if err != nil {
			return nil, err
		}
		if _, err := first.readUntil(ctx, "ready"); err != nil {
			return nil, err
		}
		if err := first.signal(ctx, it.signal); err != nil {
			return nil, err
		}
		result, err := first.finish(ctx)
		if err != nil {
			return nil, err
		}
		results[name] = result.Status
		if name == "killed" {
			results["gone"] = a.end(ctx, agentService, "SignalProcess", first.with(fields{"signal": 15}))
		}
		if err := first.remove(ctx); err != nil {
			return nil, err
		}
	}
	return results, nil
}

func statsStep(a *agent, ctx context.Context) (any, error) {
	first, err := a.startNew(ctx, "interop-stats", spec(false, "sh", "-c", "echo ready; exec sleep 1000"))
	if err != nil {
		return nil, err
	}
	if _, err := first.readUntil(ctx, "ready"); err != nil {
		return nil, err
	}
	reply, err := a.do(ctx, "StatsContainer", fields{"container_id": first.container})
	if err != nil {
		return nil, err
	}
	text, err := a.set.JSON(reply)
	if err != nil {
		return nil, err
	}
	return fields{"stats": json.RawMessage(text)}, first.remove(ctx)
}

// pauseStep checks that a paused program answers no line until it is resumed. The wait without output can miss a fault,
// but never reports a false one.
func pauseStep(a *agent, ctx context.Context) (any, error) {
	first, err := a.startNew(ctx, "interop-pause", spec(false, "sh", "-c", "while read line; do echo $line; done"))
	if err != nil {
		return nil, err
	}
	if err := first.write(ctx, []byte("before\n")); err != nil {
		return nil, err
	}
	if _, err := first.readUntil(ctx, "before"); err != nil {
		return nil, err
	}
	if _, err := a.do(ctx, "PauseContainer", fields{"container_id": first.container}); err != nil {
		return nil, err
	}
	if err := first.write(ctx, []byte("during\n")); err != nil {
		return nil, err
	}
	answer := make(chan error, 1)
	go func() {
		_, err := first.readUntil(ctx, "during")
		answer <- err
	}()
	silent := false
	select {
	case err := <-answer:
		answer <- err
	case <-time.After(300 * time.Millisecond):
		silent = true
	}
	if _, err := a.do(ctx, "ResumeContainer", fields{"container_id": first.container}); err != nil {
		return nil, err
	}
	if err := <-answer; err != nil {
		return nil, err
	}
	if err := first.closeStdin(ctx); err != nil {
		return nil, err
	}
	result, err := first.finish(ctx)
	if err != nil {
		return nil, err
	}
	return fields{"silentWhilePaused": silent, "answeredAfterResume": true, "status": result.Status}, first.remove(ctx)
}

// grandchildStep runs an exec whose child keeps both pipes open after its exit. The streams must end anyway.
func grandchildStep(a *agent, ctx context.Context) (any, error) {
	first, err := a.startNew(ctx, "interop-grandchild", spec(false, "sleep", "1000"))
	if err != nil {
		return nil, err
	}
	exec, err := first.execNew(ctx, "parent", spec(false, "sh", "-c", "sleep 1000 & echo hello; exit 9"))
	if err != nil {
		return nil, err
	}
	bounded, cancel := soon(ctx)
	defer cancel()
	result, err := exec.finish(bounded)
	if err != nil {
		return nil, err
	}
	return result, first.remove(ctx)
}

// lateWaitStep waits for a process that has already exited.
func lateWaitStep(a *agent, ctx context.Context) (any, error) {
	first, err := a.startNew(ctx, "interop-late", spec(false, "sh", "-c", "exit 33"))
	if err != nil {
		return nil, err
	}
	if _, err := first.readAll(ctx, "ReadStdout"); err != nil {
		return nil, err
	}
	time.Sleep(200 * time.Millisecond)
	status, err := first.wait(ctx)
	if err != nil {
		return nil, err
	}
	return fields{"status": status}, first.remove(ctx)
}
