import type { RefusedCall, RuntimeSetup, WorkloadReport } from '@kata-agent/analysis';
import type { Style } from '../../output/style.js';

/** What a configuration means for one workload, for people. */
export function workloadText(report: WorkloadReport, setup: RuntimeSetup, style: Style): string {
  const { workload, sufficient, refused, changes, unjudged } = report;
  const verdict = sufficient ? style.green('sufficient') : style.red('not sufficient');
  const lines = (title: string, items: readonly string[]): string =>
    items.length === 0 ? '' : `  ${title}\n${items.map((item) => `    ${item}\n`).join('')}`;
  return [
    `${style.bold(`${workload.kind} ${workload.name}`)} (${workload.place}): ${verdict}\n`,
    sufficient ? '' : `  with ${setupText(setup)} (--runtime and --guest choose others)\n`,
    lines('what will not work, in the order of the calls', refused.map(refusedLine)),
    lines(
      'the least that mends it',
      changes.map(({ text, place }) => (place === undefined ? text : `${place}: ${text}`)),
    ),
    lines('not judged', unjudged),
  ].join('');
}

/** Who makes the calls that are foretold. A configuration for one is seldom sufficient for the other. */
export function setupText({ runtime, guest }: RuntimeSetup): string {
  const caller = runtime === 'go' ? 'the runtime in Go' : 'runtime-rs';
  return guest === 'confidential'
    ? `${caller} and guests that share no files with the host`
    : `${caller} and guests with a shared filesystem`;
}

/** The same for programs. */
export function workloadValue({ workload, refused, ...report }: WorkloadReport): object {
  const { kind, name, place } = workload;
  return { kind, name, place, ...report, refused: refused.map(({ rule: _rule, ...call }) => call) };
}

function refusedLine({ method, because, feature, decision, culprits }: RefusedCall): string {
  const what = culprits.map(({ text, because: field }) => `${text} (${field})`).join(', ');
  const why =
    decision.rule === undefined ? decision.reason : `rule "${decision.rule}" refuses ${what || 'it'}`;
  return `${method}: ${why}; for ${because}: ${feature}`;
}
