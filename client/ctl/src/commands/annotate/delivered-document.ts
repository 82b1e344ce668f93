import { baseText, generate, type GeneratedPlan, renderDelivered } from '@kata-agent/analysis';
import type { Configuration, Loaded } from '@kata-agent/config';
import { ExitCode, CommandError, type Invocation } from '@kata-agent/cli';
import type { Workload } from '@kata-agent/workloads';
import { checkPods } from '../config/check-pods.js';
import { notesOnInput, refuseTooLong, reportNotes } from '../config/generated-document.js';
import { faulty, loadFile, loadText } from '../config/load-file.js';
import type { Pods } from '../config/pod-files.js';
import { setupText } from '../config/workload-text.js';

/** The first words, after the comment's sign, of each document that this command writes. */
export const writtenHere = 'Written by kata-agent-ctl annotate';

/** The document of one workload, loaded after a base document and checked with it. */
export interface DeliveredDocument {
  readonly text: string;
  readonly plan: GeneratedPlan;
  /** Whether the workload runs with it and the base document. */
  readonly sufficient: boolean;
  readonly notes: readonly string[];
}

interface DeliveredOptions {
  /** The file of the image's base document; undefined: not known. */
  readonly base: string | undefined;
  /** A text of the author, which is appended. */
  readonly more: string;
  /** The listener on which operators run commands; undefined: none. */
  readonly operators: string | undefined;
}

/**
 * Generates what a workload's initdata restricts the base document to, and checks both with the workload. Without a base document it is
 * checked with one that has what the workload needs, and it is not sufficient if that is more than endpoints.
 */
export async function deliveredDocument(
  workload: Workload,
  pods: Pods,
  { base, more, operators }: DeliveredOptions,
  invocation: Invocation,
): Promise<DeliveredDocument> {
  const own = { ...pods, workloads: [workload] };
  const name = `${workload.kind} ${workload.name}`;
  const plan = generate(own.workloads, { ...own, operators });
  refuseTooLong(plan);
  const text =
    renderDelivered(plan, [
      `${writtenHere}: what ${name} needs of the agent, which serves nothing else.`,
      `Written for ${setupText(pods.setup)}. Each line names the pod field that it comes from.`,
    ]) + more;
  const loaded = await load(base, plan, { name: `the document of ${name}`, text });
  if (!loaded.ok)
    throw faulty(invocation, loaded.diagnostics, {
      message: `the document of ${name} does not load${base === undefined ? '' : ` after ${base}`}`,
      help: 'correct what the errors name',
    });
  if (base !== undefined) refuseUnaccepted(base, loaded.configuration);
  if (operators !== undefined) refuseNoOperators(base, operators, loaded.configuration);
  const reports = await checkPods(loaded.configuration, own);
  const needs = base === undefined ? baseText(plan) : '';
  return {
    text,
    plan,
    sufficient: reports.every(({ sufficient }) => sufficient) && needs === '',
    notes: [
      ...reports.flatMap(reportNotes),
      ...(needs === '' ? [] : [needsNote(name, needs)]),
      ...notesOnInput(plan, own),
    ],
  };
}

function load(
  base: string | undefined,
  plan: GeneratedPlan,
  delivered: { name: string; text: string },
): Promise<Loaded> {
  if (base !== undefined) return loadFile(base, { delivered: [delivered] });
  return loadText('a base document with what the workload needs', assumedBase(plan), {
    delivered: [delivered],
  });
}

/** A base document that accepts initdata, and opens what the plan needs. */
function assumedBase(plan: GeneratedPlan): string {
  const endpoints = plan.endpoints.map(({ value }) => JSON.stringify(value)).join(', ');
  return [
    'version = 1',
    baseText(plan),
    `[api]\nrelease = "${plan.release}"\non_denied_read = "eof"\nallowed_endpoints = [${endpoints}]`,
    '[delivery]\naccept = ["initdata"]\nbind = "host_data"\n',
  ].join('\n');
}

function refuseUnaccepted(base: string, { values }: Configuration): void {
  const accept = values.find(({ section, key }) => section === 'delivery' && key === 'accept')?.value;
  if (Array.isArray(accept) && accept.includes('initdata')) return;
  throw new CommandError(
    ExitCode.Failed,
    `${base} does not accept initdata: an agent with it would not start`,
    {
      help: ['write accept = ["initdata"] into its [delivery], and bind = "host_data"'],
    },
  );
}

/** The first listener is the runtime's: what is open there is open to the host. */
function refuseNoOperators(base: string | undefined, operators: string, { listeners }: Configuration): void {
  if (base === undefined)
    throw new CommandError(
      ExitCode.Usage,
      `--operators '${operators}': only the base document says whether this is the runtime's listener`,
      { help: ['name the base document of the guest image: --base FILE'] },
    );
  const [, ...others] = listeners.map(({ name }) => name);
  if (others.includes(operators)) return;
  const isRuntimes = listeners[0]?.name === operators;
  throw new CommandError(
    ExitCode.Usage,
    `--operators '${operators}': ${isRuntimes ? `this is the runtime's listener in ${base}` : `${base} has no such listener`}`,
    {
      help: [
        others.length === 0
          ? `add a [[listener]] for operators to ${base}, after the runtime's`
          : `listeners for operators: ${others.join(', ')}`,
      ],
    },
  );
}

function needsNote(name: string, needs: string): string {
  return `${name} needs this of the image, which initdata cannot give; pass the image's base document with --base:\n${needs}`;
}
