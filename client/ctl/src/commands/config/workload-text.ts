import type { RefusedCall, UnbuiltFeature, WorkloadPreflight, WorkloadReport } from '@kata-agent/analysis';
import type { RuntimeName } from '@kata-agent/catalogue';
import { privilegedRule } from '@kata-agent/gate';
import type { RuntimeSetup } from '@kata-agent/workloads';
import type { Style } from '@kata-agent/cli';

/** Renders the result of checking one workload, for people. */
export function workloadText(report: WorkloadReport, setup: RuntimeSetup, style: Style): string {
  const { workload, sufficient, refused, changes, unbuilt, chosenCode, unchecked } = report;
  const result = sufficient ? style.green('sufficient') : style.red('not sufficient');
  return [
    `${style.bold(`${workload.kind} ${workload.name}`)} (${workload.place}): ${result}\n`,
    sufficient
      ? ''
      : `  with ${setupText(setup)} (--runtime, --guest, --snapshotter and --emptydir-mode choose others)\n`,
    unbuiltText(unbuilt),
    lines('will not work, in the order of the calls', refused.map(refusedLine)),
    lines(
      'smallest change that fixes it',
      changes.map(({ text, place }) => (place === undefined ? text : `${place}: ${text}`)),
    ),
    lines('code that the source of a variable chooses, whatever the rules are', chosenCode),
    lines('not checked', unchecked),
  ].join('');
}

/**
 * Renders how far the pods of one workload get with one runtime, for people.
 *
 * @param listener The listener that the runtime calls, if the configuration has others; undefined: it has one.
 */
export function workloadPreflightText(
  { report, runtime, breaks, others, starts }: WorkloadPreflight,
  listener: string | undefined,
  style: Style,
): string {
  const { workload, unbuilt, unchecked } = report;
  const title = `${workload.kind} ${workload.name} (${workload.place}), ${runtimeTitles[runtime]}`;
  const on = listener === undefined ? '' : `, listener ${listener}`;
  const stop = breaks === undefined ? 'CreateContainer (create)' : `${breaks.method} (${breaks.phase})`;
  return [
    `${style.bold(`${title}${on}: `)}${starts ? style.green('starts') : style.red(`stops at ${stop}`)}\n`,
    breaks === undefined ? '' : `  ${refusedLine(breaks)}\n`,
    unbuiltText(unbuilt),
    lines('other denied calls', others.map(refusedLine)),
    lines('not checked', unchecked),
  ].join('');
}

function unbuiltText(unbuilt: readonly UnbuiltFeature[]): string {
  return [
    lines(
      'refused with any configuration',
      unbuilt.filter(({ help }) => help === undefined).map(unbuiltLine),
    ),
    lines(
      'refused with this configuration',
      unbuilt.filter(({ help }) => help !== undefined).map(unbuiltLine),
    ),
  ].join('');
}

function lines(title: string, items: readonly string[]): string {
  return items.length === 0 ? '' : `  ${title}\n${items.map((item) => `    ${item}\n`).join('')}`;
}

/** What people call each runtime. */
export const runtimeTitles: Readonly<Record<RuntimeName, string>> = {
  go: 'the Go runtime',
  rs: 'runtime-rs',
  remote: 'peer pods',
};

/** Describes the assumed runtime and guest. A configuration for one setup is seldom sufficient for another. */
export function setupText({ runtime, guest, snapshotter, emptyDirs, puller: pulls }: RuntimeSetup): string {
  if (runtime === 'remote') return 'peer pods (the Go runtime with the remote hypervisor)';
  const puller = pulls === undefined ? '' : ', which pull images themselves';
  const layers = snapshotter === undefined ? '' : ', and images as EROFS layers';
  const mode = emptyDirs === undefined ? '' : `, emptydir_mode ${emptyDirs}`;
  return guest === 'confidential'
    ? `${runtimeTitles[runtime]} and guests without a shared filesystem${layers}${puller}${mode}`
    : `${runtimeTitles[runtime]} and guests with a shared filesystem${layers}${mode}`;
}

/** Returns the same result for programs. */
export function workloadValue({ workload, refused, ...report }: WorkloadReport): object {
  const { kind, name, place } = workload;
  return { kind, name, place, ...report, refused: refused.map(refusedValue) };
}

/** Returns the same result of a preflight for programs. */
export function workloadPreflightValue({ report, breaks, others, ...rest }: WorkloadPreflight): object {
  const { kind, name, place } = report.workload;
  const { unbuilt, unchecked } = report;
  return {
    kind,
    name,
    place,
    ...rest,
    ...(breaks === undefined ? {} : { breaks: refusedValue(breaks) }),
    others: others.map(refusedValue),
    unbuilt,
    unchecked,
  };
}

function refusedValue({ rule: _rule, ...call }: RefusedCall): object {
  return call;
}

/** `storage driver image_guest_pull (spec.containers[0]): the agent refuses it by name: it is not built`. */
export function unbuiltLine({ kind, name, because, reason, help }: UnbuiltFeature): string {
  return `${kind} ${name} (${because}): ${reason}${help === undefined ? '' : `; help: ${help}`}`;
}

/** `CreateContainer: rule "…" refuses …; for spec.containers[0]: …`. */
export function refusedLine({ method, because, feature, decision, culprits }: RefusedCall): string {
  const what = culprits.map(({ text, because: field }) => `${text} (${field})`).join(', ');
  const why =
    decision.rule === undefined || decision.rule === privilegedRule
      ? decision.reason
      : `rule "${decision.rule}" refuses ${what || 'it'}`;
  return `${method}: ${why}; for ${because}: ${feature}`;
}
