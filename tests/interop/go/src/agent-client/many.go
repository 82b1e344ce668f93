package main

import (
	"context"
	"fmt"
	"os"
	"sync"
)

// many runs sequential containers, then concurrent ones, each from CreateContainer to RemoveContainer with a different
// exit code, in an existing sandbox, and counts those with a wrong exit code or output. Ids are of this process: an
// agent with a configuration gives that of a removed container to no other.
func (a *agent) many(ctx context.Context, sequential, parallel int) (any, error) {
	wrong := []string{}
	for i := 0; i < sequential; i++ {
		if err := a.short(ctx, fmt.Sprintf("interop-%d-one-%d", os.Getpid(), i), i%200); err != nil {
			wrong = append(wrong, err.Error())
		}
	}
	var group sync.WaitGroup
	var lock sync.Mutex
	for i := 0; i < parallel; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			if err := a.short(ctx, fmt.Sprintf("interop-%d-many-%d", os.Getpid(), i), i%200); err != nil {
				lock.Lock()
				defer lock.Unlock()
				wrong = append(wrong, err.Error())
			}
		}()
	}
	group.Wait()
	return fields{"sequential": sequential, "parallel": parallel, "wrong": wrong}, nil
}

func (a *agent) short(ctx context.Context, id string, code int) error {
	first, err := a.startNew(ctx, id, spec(false, "sh", "-c", fmt.Sprintf("echo %s; exit %d", id, code)))
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	result, err := first.finish(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", id, err)
	}
	if result.Stdout != id+"\n" || result.Status != int64(code) {
		return fmt.Errorf("%s: printed %q and exited with %d", id, result.Stdout, result.Status)
	}
	return first.remove(ctx)
}
