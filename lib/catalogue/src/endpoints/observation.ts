import type { EndpointRows } from '../endpoint.js';

/** Guest metrics and diagnostics for operators. */
export const observationRows: EndpointRows<'GetMetrics' | 'GetDiagnosticData'> = {
  GetMetrics: {
    purpose: "Returns metrics of the agent and the guest's kernel, in Prometheus text format.",
    exposure:
      'Load, memory, disks, interfaces and mounts of the whole guest: a side channel finer than StatsContainer.',
    without: 'kata-monitor shows metrics of the host only. Pods work.',
    release: '2.0.0',
    changes: false,
    clients: { go: 'at each scrape of kata-monitor', rs: "at each scrape of the shim's metrics" },
  },
  GetDiagnosticData: {
    purpose: 'Returns the termination message of a container, up to 4 KiB.',
    exposure: "The caller reads the workload's termination message: a file at a path that the pod chose.",
    without:
      'Without a shared filesystem Kubernetes shows no termination message. The runtimes warn and continue.',
    release: '3.29.0',
    changes: false,
    clients: {
      go: 'without a shared filesystem: once a container, before RemoveContainer',
      rs: 'without a shared filesystem: once a container, before RemoveContainer',
    },
  },
};
