import { median } from './median.js';
import type { Row } from './row.js';

/** What bench/go/src/bench-scale has printed, by the names that it gives. */
export type Figures = Readonly<Record<string, readonly number[]>>;

export type ScaleMeasurement = 'containers' | 'streams' | 'lives' | 'calls';

/** Returns the rows of a measurement. Throws if a figure is missing. */
export function scaleRows(measurement: ScaleMeasurement, figures: Figures): Row[] {
  return rowsOf[measurement](figures);
}

const rowsOf: { readonly [M in ScaleMeasurement]: (figures: Figures) => Row[] } = {
  containers: containerRows,
  streams: streamRows,
  lives: lifeRows,
  calls: callRows,
};

function containerRows(figures: Figures): Row[] {
  return [
    row('start of all containers', 's', figures, 'start of containers'),
    row('start of all execs', 's', figures, 'start of execs'),
    row('removal of all', 's', figures, 'removal'),
    ...usageRows(figures, 'with all', 'before'),
    ...usageRows(figures, 'with all removed', 'before'),
    ...latencyRows(figures, 'while they start', 'starting'),
    ...latencyRows(figures, 'with all', 'with all'),
  ];
}

function streamRows(figures: Figures): Row[] {
  return [
    row('reads of all streams', 'MiB/s', figures, 'throughput'),
    ...usageRows(figures, 'after the streams', 'before'),
    ...usageRows(figures, 'with all removed', 'before'),
    ...latencyRows(figures, 'quiet', 'quiet'),
    ...latencyRows(figures, 'streaming', 'streaming'),
  ];
}

const steps = [
  ['start', 'create and start'],
  ['exec', 'exec'],
  ['end', 'kill, wait, remove'],
  ['life', 'all'],
] as const;

/** The first group after the warm-up beside the plain runtime, and the last group beside the first one. */
function lifeRows(figures: Figures): Row[] {
  return [
    ...steps.flatMap(([step, what]) => [
      row(`${what}: first group`, 'ms', figures, `first ${step}`, ['plain crun', `plain ${step}`]),
      row(`${what}: last group`, 'ms', figures, `last ${step}`, ['first group', `first ${step}`]),
    ]),
    ...usageRows(figures, 'last', 'first'),
  ];
}

/** The last period beside the first one, the longest call, and each method over all periods. */
function callRows(figures: Figures): Row[] {
  const lastRow = (what: string, unit: string, name: string): Row => {
    const values = valuesOf(figures, name);
    const against = { name: 'first period', value: values[0] ?? Number.NaN };
    return { what: `last period: ${what}`, unit, ours: values.at(-1) ?? Number.NaN, against };
  };
  return [
    lastRow('p50', 'ms', 'calls p50'),
    lastRow('p99', 'ms', 'calls p99'),
    { what: 'longest of all calls', unit: 'ms', ours: Math.max(...valuesOf(figures, 'calls longest')) },
    lastRow('processor time of the agent', '%', 'processor'),
    lastRow('time in which it waited for a processor', '%', 'waited'),
    lastRow('memory (PSS)', 'MiB', 'memory calls'),
    lastRow('file descriptors', '', 'descriptors calls'),
    lastRow('size of the audit log', 'KiB', 'log'),
    ...['StatsContainer', 'GetGuestDetails', 'SignalProcess', 'WaitProcess, denied', 'ReadStdout'].flatMap(
      (method) => shares.map((share) => row(`${method}: ${share}`, 'ms', figures, `${method} ${share}`)),
    ),
  ];
}

const shares = ['p50', 'p99', 'longest'] as const;

/** Calls of another caller, on a connection of its own. */
function latencyRows(figures: Figures, when: string, name: string): Row[] {
  return ['GetGuestDetails', 'StatsContainer'].flatMap((method) =>
    shares.map((share) => row(`${method} ${when}: ${share}`, 'ms', figures, `${name} ${method} ${share}`)),
  );
}

function usageRows(figures: Figures, when: string, before: string): Row[] {
  return [
    row(`memory (PSS), ${when}`, 'MiB', figures, `memory ${when}`, [before, `memory ${before}`]),
    row(`file descriptors, ${when}`, '', figures, `descriptors ${when}`, [before, `descriptors ${before}`]),
  ];
}

/** The medians of a figure, and of another one beside it. */
function row(
  what: string,
  unit: string,
  figures: Figures,
  name: string,
  other?: readonly [name: string, figure: string],
): Row {
  const ours = median(valuesOf(figures, name));
  if (other === undefined) return { what, unit, ours };
  return { what, unit, ours, against: { name: other[0], value: median(valuesOf(figures, other[1])) } };
}

function valuesOf(figures: Figures, name: string): readonly number[] {
  const values = figures[name];
  if (values === undefined || values.length === 0)
    throw new Error(`bench-scale printed no figure \`${name}\``);
  return values;
}
