package podclient

import (
	"fmt"
	"os/exec"
	"syscall"
	"time"
)

// Agent is a process that answers.
type Agent struct {
	Client *Client
	Pid    int
	// Started is the time from its start to its first answer.
	Started time.Duration
}

// WithAgent starts an agent, measures it, and ends it. Its process must be the started one, or replace it (exec). The last of its
// output is part of an error. An agent may end with its sandbox.
func WithAgent(command *exec.Cmd, dial func() (*Client, error), measure func(Agent) error) error {
	output := &lastBytes{}
	command.Stdout, command.Stderr = output, output
	begin := time.Now()
	if err := command.Start(); err != nil {
		return err
	}
	exited := make(chan struct{})
	go func() {
		command.Wait()
		close(exited)
	}()
	client, err := connect(dial, exited)
	if err == nil {
		err = measure(Agent{client, command.Process.Pid, time.Since(begin)})
		client.Close()
	}
	command.Process.Signal(syscall.SIGTERM)
	select {
	case <-exited:
	case <-time.After(10 * time.Second):
		command.Process.Kill()
		<-exited
	}
	if err != nil {
		return fmt.Errorf("%w\n%s", err, output.bytes)
	}
	return nil
}

// connect waits until the agent answers Health.Check.
func connect(dial func() (*Client, error), exited <-chan struct{}) (*Client, error) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		select {
		case <-exited:
			return nil, fmt.Errorf("the agent ended before it answered")
		default:
		}
		client, err := dial()
		if err != nil {
			continue
		}
		if client.Check() == nil {
			return client, nil
		}
		client.Close()
	}
	return nil, fmt.Errorf("the agent did not answer in a minute")
}

// lastBytes keeps the end of what is written.
type lastBytes struct{ bytes []byte }

func (l *lastBytes) Write(data []byte) (int, error) {
	l.bytes = append(l.bytes, data...)
	l.bytes = append([]byte{}, l.bytes[max(0, len(l.bytes)-4096):]...)
	return len(data), nil
}
