// Package plainruntime runs containers with an OCI runtime alone, from the config.json that an agent wrote, so that both do the
// same work.
package plainruntime

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Runtime is an OCI runtime with a bundle; its state is in a directory of the bundle.
type Runtime struct {
	program string
	bundle  string
}

// New returns the runtime with a bundle like one of an agent, but with a root file system and a cgroup of its own. The bundle is an
// empty directory.
func New(program, bundle, agentBundle, rootfs, cgroup string) (Runtime, error) {
	r := Runtime{program, bundle}
	text, err := os.ReadFile(filepath.Join(agentBundle, "config.json"))
	if err != nil {
		return r, err
	}
	spec := map[string]any{}
	if err := json.Unmarshal(text, &spec); err != nil {
		return r, err
	}
	spec["root"] = map[string]any{"path": rootfs}
	if linux, ok := spec["linux"].(map[string]any); ok {
		linux["cgroupsPath"] = cgroup
	}
	if err := r.write("process.json", spec["process"]); err != nil {
		return r, err
	}
	return r, r.write("config.json", spec)
}

// Start creates and starts a container.
func (r Runtime) Start(id string) error {
	if err := r.run("create", "--bundle", r.bundle, "--pid-file", filepath.Join(r.bundle, "pid"), id); err != nil {
		return err
	}
	return r.run("start", id)
}

// Exec starts a second process like the container's own.
func (r Runtime) Exec(id string) error {
	return r.run("exec", "--detach", "--process", filepath.Join(r.bundle, "process.json"), id)
}

// Remove kills the container's processes and removes it.
func (r Runtime) Remove(id string) error { return r.run("delete", "--force", id) }

func (r Runtime) write(name string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(r.bundle, name), text, 0o600)
}

// run runs a command of the runtime without its output: a container would inherit a pipe, and the command would wait for it.
func (r Runtime) run(args ...string) error {
	command := exec.Command(r.program, append([]string{"--root", filepath.Join(r.bundle, "root")}, args...)...)
	if err := command.Run(); err != nil {
		return fmt.Errorf("%s %v: %w", r.program, args, err)
	}
	return nil
}
