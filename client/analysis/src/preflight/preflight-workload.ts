import { type Condition, type Phase, type RuntimeName, runtimeCalls } from '@kata-agent/catalogue';
import type { RefusedCall, WorkloadReport } from './check-workload.js';

/** How far the pods of one workload get with one runtime. */
export interface WorkloadPreflight {
  readonly runtime: RuntimeName;
  readonly report: WorkloadReport;
  /** The first denied call that stops the pod, with its phase; absent: no denied call does. */
  readonly breaks?: RefusedCall & { readonly phase: Phase };
  /** Denied calls, in order, that do not stop the pod, or only in some networks: it loses the feature of the call. */
  readonly others: readonly RefusedCall[];
  /** Whether the pod starts: no denied call stops it, and it needs nothing that the agent refuses by name. */
  readonly starts: boolean;
}

/** The one condition that the pod does not decide. */
const ofNetwork: Condition = 'the network has static neighbours';

/** Phases in which a failed call is the loss of one command or metric, not of the pod. */
const requestedPhases: ReadonlySet<Phase> = new Set(['exec', 'observe']);

/** Computes how far the pods of a workload get with the runtime for which `checkWorkload` has checked them. */
export function preflightWorkload(report: WorkloadReport, runtime: RuntimeName): WorkloadPreflight {
  const rows = runtimeCalls[runtime].filter(
    ({ phase, condition, refused }) =>
      refused === 'fails' && !requestedPhases.has(phase) && condition !== ofNetwork,
  );
  // The first call of a method is where it fails.
  const phases = new Map(rows.toReversed().map(({ method, phase }) => [method, phase]));
  const stopping = report.refused.find(({ method }) => phases.has(method));
  const phase = stopping === undefined ? undefined : phases.get(stopping.method);
  return {
    runtime,
    report,
    ...(stopping === undefined || phase === undefined ? {} : { breaks: { ...stopping, phase } }),
    others: report.refused.filter(({ method }) => !phases.has(method)),
    starts: stopping === undefined && report.unbuilt.length === 0,
  };
}
