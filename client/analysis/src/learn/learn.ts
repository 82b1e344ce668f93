import type { FactName } from '@kata-agent/workloads';
import type { Counts, RecordedFacts } from '@kata-agent/audit';
import { isMethodName, type MethodName, methodNames } from '@kata-agent/catalogue';
import type { Ask } from '../write/plan.js';
import { planConfiguration } from '../write/plan-configuration.js';
import { planAccess } from '../write/planned-access.js';
import { renderPlan } from '../write/render-plan.js';
import type { Evidence, RefusedCalls, Sighting } from './evidence.js';
import { defaultRequest } from '../offline-requests.js';

/** Limits of listed records and requests; others are counted. */
const shown = 3;

/** Options. */
export interface LearnOptions {
  /** Also allow denied calls. */
  readonly allowRefused?: boolean;
  /** Whether `privileged_containers = "allow"` is written if a call needs it. */
  readonly allowPrivileged?: boolean;
  /** Lines that name the logs. */
  readonly logs: readonly string[];
}

/** A configuration learnt from logs, and notes. */
export interface Learnt {
  /** The configuration in TOML. */
  readonly text: string;
  readonly asks: readonly Ask[];
  readonly refused: readonly RefusedCalls[];
  /** Whether calls of privileged containers in the logs are not allowed. */
  readonly deniesPrivileged: boolean;
  /** What to know before use, one sentence each. */
  readonly notes: readonly string[];
}

/** Returns the smallest configuration that allows the calls that the logs show as allowed. */
export function learn(evidence: Evidence, options: LearnOptions): Learnt {
  const served = [
    ...evidence.served.map(({ method, facts, sightings }) => askOf(method, facts, because(sightings))),
    ...fromRemoved(evidence),
  ];
  const asks = options.allowRefused === true ? [...served, ...fromRefused(evidence, served)] : served;
  const access = planAccess(
    asks.flatMap(({ method, facts = {}, because }) => ({ request: defaultRequest(method, facts), because })),
    { allowPrivileged: options.allowPrivileged === true },
  );
  const plan = planConfiguration(asks, { access });
  const denied = access.allowsPrivileged ? [] : access.privileged;
  const notes = [
    ...notesOn(evidence, asks),
    ...denied.map(
      ({ value, because: records }) =>
        `NOT ALLOWED: the calls of privileged containers: ${value}: ${records.join(', ')}`,
    ),
    ...plan.tooLong.map(
      ({ method, fact, why }) => `NOT CONSTRAINED: ${fact} of ${method}: ${why.join('; ')}`,
    ),
  ];
  const title = [
    'Learnt from audit logs: exactly the calls that they show as allowed are allowed.',
    ...options.logs.map((log) => `- ${log}`),
    ...(evidence.partial ? [`Only calls on the listener ${[...evidence.listeners].join(', ')}.`] : []),
    ...notes.map((note) => `NOTE: ${note}.`),
  ];
  const text = renderPlan(plan, title);
  const rest = refusedText(evidence, options.allowRefused === true);
  return {
    text: rest === '' ? text : `${text}\n${rest}`,
    asks,
    refused: evidence.refused,
    deniesPrivileged: denied.length > 0,
    notes,
  };
}

/** Returns the facts of a recorded request, and those that no rule can use. */
function askOf(method: MethodName, facts: RecordedFacts | undefined, reasons: readonly string[]): Ask {
  if (facts === undefined) return { method, because: reasons };
  const unknown = unknownIn(facts, reasons[0] ?? '');
  return { method, facts, because: reasons, ...(unknown.size === 0 ? {} : { unknown }) };
}

function unknownIn(facts: RecordedFacts, record: string): ReadonlyMap<FactName, string> {
  if (facts.cut === true)
    return new Map(factsIn(facts).map((fact) => [fact, `${record}: its facts were truncated in the record`]));
  return facts.environment?.includes('') === true
    ? new Map([['environment', `${record}: a variable without a name, which rules always deny`]])
    : new Map();
}

/** Returns the facts that can become rules. */
function factsIn({
  cut: _cut,
  whole: _whole,
  arguments: _arguments,
  ...facts
}: RecordedFacts): readonly FactName[] {
  const names = Object.keys(facts) as (keyof typeof facts)[];
  return names.flatMap((name): readonly FactName[] => (name === 'mounts' ? ['mounts', 'sources'] : [name]));
}

/** Adds methods that appear only in the counts of records removed by rotation. */
function fromRemoved(evidence: Evidence): readonly Ask[] {
  // The counts are of all listeners together: with them one listener would get what another may.
  if (evidence.partial) return [];
  const shown = new Set(evidence.served.map(({ method }) => method));
  return [...evidence.removed].flatMap(([log, { counts }]) =>
    methodNames.flatMap((method): readonly Ask[] => {
      const calls = shown.has(method) ? 0 : servedIn(counts, method);
      return calls === 0
        ? []
        : [
            {
              method,
              because: [
                `${plural(calls, 'call')} of which ${log === '' ? 'the log' : log} has only the count`,
              ],
            },
          ];
    }),
  );
}

/** Counts allowed calls of a method. A call that changes state has two records, intent and outcome, and counts once. */
function servedIn(counts: Counts, method: MethodName): number {
  const { intent = 0, refused: _refused, ...codes } = counts[method] ?? {};
  return intent > 0 ? intent : Object.values(codes).reduce((sum, count) => sum + count, 0);
}

/** A denial by the gate has no facts: it adds the endpoint and no rule. */
function fromRefused({ refused }: Evidence, served: readonly Ask[]): readonly Ask[] {
  const known = new Set(served.map(({ method }) => method));
  return refused.flatMap(({ method, facts, sightings }): readonly Ask[] => {
    if (!isMethodName(method)) return [];
    const reasons = because(sightings).map((record) => `${record}, denied`);
    if (facts.length > 0) return facts.map((request) => askOf(method, request, reasons));
    return known.has(method) ? [] : [{ method, because: reasons }];
  });
}

/** Returns `record 7` or `b.log record 9 (12 calls)` for each record; logs are named if there are several. */
function because(sightings: readonly Sighting[]): readonly string[] {
  return sightings.map(({ log, sequence, calls }) => {
    const count = calls === 1 ? '' : ` (${calls} calls)`;
    return `${log === '' ? '' : `${log} `}record ${sequence}${count}`;
  });
}

function notesOn(evidence: Evidence, asks: readonly Ask[]): readonly string[] {
  const notes: string[] = [];
  if (asks.length === 0) notes.push('no call was allowed, so nothing is allowed');
  else if (asks.every(({ facts }) => facts === undefined))
    notes.push('the log has no facts of requests ([audit] facts = true): the result has lists and no rules');
  for (const [log, { counts, last }] of evidence.removed) {
    const kept = evidence.served
      .flatMap(({ sightings }) => sightings)
      .filter((sighting) => sighting.log === log && sighting.sequence <= last.sequence).length;
    const calls = methodNames.reduce((sum, method) => sum + servedIn(counts, method), -kept);
    if (calls > 0) {
      const result = evidence.partial
        ? 'their listeners are unknown, so their endpoints are not allowed'
        : 'their endpoints are allowed, but rules do not cover their requests';
      notes.push(
        `rotation removed the records of ${plural(calls, 'call')} from ${log === '' ? 'the log' : log}: ${result}`,
      );
    }
  }
  if (evidence.lost > 0)
    notes.push(`${plural(evidence.lost, 'record')} could not be written: their calls are unknown`);
  return notes;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** Returns the denied calls, as a comment for the end of a configuration; empty if there are none. */
function refusedText({ refused, watched }: Evidence, allowed: boolean): string {
  return [
    ...section(
      allowed
        ? ['Denied in the log, and allowed here as requested:']
        : [
            'Denied in the log, and not allowed here. To allow an endpoint, move its line into allowed_endpoints;',
            'to allow all of it, with rules, learn again with --allow-refused.',
          ],
      refused,
    ),
    ...section(['Allowed, although a rule with enforcement = "audit" would have denied it:'], watched),
  ].join('');
}

function section(title: readonly string[], groups: readonly RefusedCalls[]): readonly string[] {
  if (groups.length === 0) return [];
  return [...title.map((line) => `# ${line}\n`), ...groups.map(line)];
}

function line({ method, rule, reason, facts, sightings }: RefusedCalls): string {
  const name = isMethodName(method) ? `"${method}",` : `${method === '*' ? 'several methods' : method}:`;
  const calls = sightings.reduce((sum, sighting) => sum + sighting.calls, 0);
  const why = rule === undefined ? reason : `rule ${rule}: ${reason}`;
  const requests = facts.slice(0, shown).map((known) => `#     ${oneLine(JSON.stringify(known))}\n`);
  const more = facts.length - requests.length;
  const rest = more > 0 ? `#     and ${more} more requests\n` : '';
  const count = `${calls} call${calls === 1 ? '' : 's'}`;
  return `#   ${oneLine(`${name} # ${count} (${records(sightings)}): ${why}`)}\n${requests.join('')}${rest}`;
}

function records(sightings: readonly Sighting[]): string {
  const named = sightings
    .slice(0, shown)
    .map(({ log, sequence }) => (log === '' ? '' : `${log} `) + sequence);
  const more = sightings.length - named.length;
  return `record${sightings.length === 1 ? '' : 's'} ${named.join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}

/** Escapes text from a log, so that it cannot end the comment or control a terminal. */
function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ');
}
