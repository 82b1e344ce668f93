import type { EndpointRows } from '../endpoint.js';

/** Life cycle and resources of containers. */
export const containerRows: EndpointRows<
  | 'CreateContainer'
  | 'StartContainer'
  | 'RemoveContainer'
  | 'UpdateContainer'
  | 'StatsContainer'
  | 'PauseContainer'
  | 'ResumeContainer'
> = {
  CreateContainer: {
    purpose:
      'Mounts the storages of a container, waits for its devices, and sets up its first process, which does not run ' +
      'until StartContainer.',
    exposure:
      'The caller decides what runs in the guest: root filesystem, command, environment, mounts, devices, ' +
      'capabilities, hooks. A caller with this method, and no rule against it, controls the pod.',
    without: 'No container is created, so no pod starts.',
    release: '2.0.0',
    changes: true,
    clients: {
      go: 'once a container, the pause container first',
      rs: 'once a container, the pause container first',
    },
  },
  StartContainer: {
    purpose: 'Starts the first process of a created container.',
    exposure: "Runs what CreateContainer was given, at a moment of the caller's choice.",
    without: 'Containers are created but never run.',
    release: '2.0.0',
    changes: true,
    clients: { go: 'once a container', rs: 'once a container' },
  },
  RemoveContainer: {
    purpose:
      'Kills the remaining processes of a container and removes its cgroup, mounts, bundle and unshared storages.',
    exposure: 'Ends a container and destroys what it wrote to its own layers.',
    without: 'Containers cannot be removed; deleting the pod fails in the Go runtime unless it is forced.',
    release: '2.0.0',
    changes: true,
    ends: true,
    clients: { go: 'once a container, after WaitProcess', rs: 'once a container, after WaitProcess' },
  },
  UpdateContainer: {
    purpose: 'Changes the resources that a container may use: CPU, memory, processes.',
    exposure:
      'Starves a container, or lifts its limits at the cost of its neighbours in the pod. Nothing is disclosed.',
    without: 'Resizing a running container fails. A pod that is never resized is not affected.',
    release: '2.0.0',
    changes: true,
    clients: {
      go: 'when the resources of a container are updated',
      rs: 'when the resources of a container are updated',
    },
  },
  StatsContainer: {
    purpose: 'Reads the resource counters of the cgroup of a container.',
    exposure:
      'Use of CPU, memory and disk over time, from which an observer learns the rhythm of the work and sometimes ' +
      'more (a side channel).',
    without: 'kubectl top, autoscaling by use and the metrics of the pod have no data.',
    release: '2.0.0',
    changes: false,
    clients: { go: 'whenever containerd collects metrics', rs: 'whenever containerd collects metrics' },
  },
  PauseContainer: {
    purpose: 'Freezes all processes of a container until ResumeContainer.',
    exposure:
      'Stops a container between two chosen instructions, for as long as the caller likes: time-outs, lost leases, ' +
      'help for timing attacks.',
    without: 'A container cannot be paused. Kubernetes never asks for it.',
    release: '2.0.0',
    changes: true,
    clients: { go: 'when containerd is asked to pause', rs: 'when containerd is asked to pause' },
  },
  ResumeContainer: {
    purpose: 'Resumes the processes of a paused container.',
    exposure: 'None beyond that of pausing.',
    without: 'A paused container stays frozen and can only be removed; serve both or neither.',
    release: '2.0.0',
    changes: true,
    clients: { go: 'when containerd is asked to resume', rs: 'when containerd is asked to resume' },
  },
};
