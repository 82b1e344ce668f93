import type { EndpointRows } from '../endpoint.js';

/** Figures and texts about the guest for those who run it. */
export const observationRows: EndpointRows<'GetMetrics' | 'GetDiagnosticData'> = {
  GetMetrics: {
    purpose: "Answers with figures of the agent and the guest's kernel, as Prometheus text.",
    exposure:
      'Load, memory, disks, interfaces and mounts of the whole guest: a side channel finer than StatsContainer.',
    without: "kata-monitor shows the host's side alone. Pods work.",
    release: '2.0.0',
    changes: false,
    clients: { go: 'at each scrape of kata-monitor', rs: "at each scrape of the shim's metrics" },
  },
  GetDiagnosticData: {
    purpose: 'Answers with the termination message of a container, the first 4 KiB of it.',
    exposure: 'The caller reads what the workload wrote as its last words: a file that the pod chose.',
    without:
      'Without a shared filesystem Kubernetes shows no termination message. The runtimes warn and go on.',
    release: '3.29.0',
    changes: false,
    clients: {
      go: 'without a shared filesystem: once a container, before RemoveContainer',
      rs: 'without a shared filesystem: once a container, before RemoveContainer',
    },
  },
};
