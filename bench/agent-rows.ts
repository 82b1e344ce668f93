import { median } from './median.js';
import { type Row, spreadOf } from './row.js';

/** The OCI runtimes with which ours is measured. */
export const runtimes = ['crun', 'runc'] as const;

/** What bench/go/src/bench-agent has printed about a run of ours with a runtime, or of a peer. */
export interface AgentRun {
  readonly agent: (typeof runtimes)[number] | 'peer';
  /** Figures of the run, by the names that the client gives them. */
  readonly figures: Readonly<Record<string, readonly number[]>>;
}

interface Figure {
  /** The client's name. */
  readonly name: string;
  readonly what: string;
  readonly unit: string;
  /** Whether it has a row for each OCI runtime. */
  readonly byRuntime?: true;
}

const methods = ['Health.Check', 'GetGuestDetails', 'SignalProcess', 'StatsContainer'];

const figures: readonly Figure[] = [
  { name: 'start', what: 'start to first answer', unit: 'ms' },
  { name: 'create and start', what: 'create and start', unit: 'ms', byRuntime: true },
  { name: 'exec', what: 'exec `true` and wait', unit: 'ms', byRuntime: true },
  { name: 'create to removal', what: 'create, start, kill, wait, remove', unit: 'ms', byRuntime: true },
  ...methods.flatMap((method) =>
    [1, 16, 64].map((callers) => ({
      name: `${method} ${callers}`,
      what: `${method}, ${callers} caller${callers === 1 ? '' : 's'}`,
      unit: 'calls/s',
    })),
  ),
  { name: 'ReadStdout', what: 'ReadStdout of `yes`, 32 KiB', unit: 'MiB/s' },
  { name: 'bytes per read', what: 'ReadStdout of `yes`: size of a reply', unit: 'KiB' },
  { name: 'WriteStdin', what: 'WriteStdin to `cat >/dev/null`, 32 KiB', unit: 'MiB/s' },
  { name: 'CopyFile', what: 'CopyFile of 8 MiB in pieces of 1 MiB', unit: 'MiB/s' },
  { name: 'memory at start', what: 'memory (PSS) at start', unit: 'MiB' },
  { name: 'memory after calls', what: 'memory (PSS) after calls', unit: 'MiB' },
  { name: 'memory with containers', what: 'memory (PSS) with 20 containers', unit: 'MiB' },
];

/**
 * Returns a row for each figure, or for each figure and OCI runtime: the median of the medians of the runs, beside that
 * of the peer. Throws if a run lacks a figure.
 */
export function agentRows(runs: readonly AgentRun[], peer: string | undefined): Row[] {
  return figures.flatMap(({ name, what, unit, byRuntime }) => {
    const mediansOf = (isOne: (run: AgentRun) => boolean): readonly number[] =>
      runs.filter(isOne).map((run) => median(run.figures[name] ?? []));
    const row = (title: string, ours: readonly number[]): Row => ({
      what: title,
      unit,
      ours: median(ours),
      spread: spreadOf(ours),
      ...(peer === undefined
        ? {}
        : { against: { name: peer, value: median(mediansOf(({ agent }) => agent === 'peer')) } }),
    });
    if (byRuntime !== true)
      return [
        row(
          what,
          mediansOf(({ agent }) => agent !== 'peer'),
        ),
      ];
    return runtimes.map((runtime) =>
      row(
        `${what}, ${runtime}`,
        mediansOf(({ agent }) => agent === runtime),
      ),
    );
  });
}
