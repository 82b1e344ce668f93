import type { Counts, RecordedFacts } from '@kata-agent/audit';
import { isMethodName, type MethodName, methodNames } from '@kata-agent/catalogue';
import type { Ask } from '../write/ask.js';
import type { FactName } from '../write/fact-name.js';
import { planConfiguration } from '../write/plan-configuration.js';
import { planAccess } from '../write/planned-access.js';
import { renderPlan } from '../write/render-plan.js';
import type { Evidence, RefusedCalls, Sighting } from './evidence.js';
import { usualRequest } from '../as-runtimes-send.js';
import { refusedText } from './refused-text.js';

/** How much is learnt. */
export interface LearnOptions {
  /** Also what was refused is asked for. */
  readonly allowRefused?: boolean;
  /** Lines that say which logs were read. */
  readonly logs: readonly string[];
}

/** A configuration learnt from logs, and what there is to say about it. */
export interface Learnt {
  /** The configuration in TOML. */
  readonly text: string;
  readonly asks: readonly Ask[];
  readonly refused: readonly RefusedCalls[];
  /** What a reader has to know before using it, a sentence each. */
  readonly notes: readonly string[];
}

/** The least configuration that would have served what the logs show as served. */
export function learn(evidence: Evidence, options: LearnOptions): Learnt {
  const served = [
    ...evidence.served.map(({ method, facts, sightings }) => askOf(method, facts, because(sightings))),
    ...fromRemoved(evidence),
  ];
  const asks = options.allowRefused === true ? [...served, ...fromRefused(evidence, served)] : served;
  const access = planAccess(
    asks.flatMap(({ method, facts = {}, because }) => ({ request: usualRequest(method, facts), because })),
  );
  const plan = planConfiguration(asks, { access });
  const notes = [
    ...notesOn(evidence, asks),
    ...plan.tooLong.map(
      ({ method, fact, why }) => `NOT CONSTRAINED: ${fact} of ${method}: ${why.join('; ')}`,
    ),
  ];
  const title = [
    'Learnt from audit logs: what they show as served is served, and nothing else.',
    ...options.logs.map((log) => `- ${log}`),
    ...notes.map((note) => `NOTE: ${note}.`),
  ];
  const text = renderPlan(plan, title);
  const rest = refusedText(evidence, options.allowRefused === true);
  return { text: rest === '' ? text : `${text}\n${rest}`, asks, refused: evidence.refused, notes };
}

/** What a record says of a request, and what no rule can rest on in it. */
function askOf(method: MethodName, facts: RecordedFacts | undefined, reasons: readonly string[]): Ask {
  if (facts === undefined) return { method, because: reasons };
  const unknown = unknownIn(facts, reasons[0] ?? '');
  return { method, facts, because: reasons, ...(unknown.size === 0 ? {} : { unknown }) };
}

function unknownIn(facts: RecordedFacts, record: string): ReadonlyMap<FactName, string> {
  if (facts.cut === true)
    return new Map(
      factsIn(facts).map((fact) => [fact, `${record}: its facts were too long to be recorded whole`]),
    );
  return facts.environment?.includes('') === true
    ? new Map([['environment', `${record}: a variable without a name, which rules refuse whatever they say`]])
    : new Map();
}

/** The facts that a rule could be made of from these. */
function factsIn({ cut: _cut, whole: _whole, ...facts }: RecordedFacts): readonly FactName[] {
  const names = Object.keys(facts) as Exclude<FactName, 'sources'>[];
  return names.flatMap((name): readonly FactName[] => (name === 'mounts' ? ['mounts', 'sources'] : [name]));
}

/** Methods that only the counts of what rotation removed still show. */
function fromRemoved(evidence: Evidence): readonly Ask[] {
  const shown = new Set(evidence.served.map(({ method }) => method));
  return [...evidence.removed].flatMap(([log, { counts }]) =>
    methodNames.flatMap((method): readonly Ask[] => {
      const calls = shown.has(method) ? 0 : servedIn(counts, method);
      return calls === 0
        ? []
        : [
            {
              method,
              because: [`${plural(calls, 'call')} that ${log === '' ? 'the log' : log} only counts`],
            },
          ];
    }),
  );
}

/** Calls of a method that were served. A call that changes something is counted as intent and again as outcome. */
function servedIn(counts: Counts, method: MethodName): number {
  const { intent = 0, refused: _refused, ...codes } = counts[method] ?? {};
  return intent > 0 ? intent : Object.values(codes).reduce((sum, count) => sum + count, 0);
}

/** A refusal by the lists knows no request: it opens the endpoint, and leaves the rules to the calls that do. */
function fromRefused({ refused }: Evidence, served: readonly Ask[]): readonly Ask[] {
  const known = new Set(served.map(({ method }) => method));
  return refused.flatMap(({ method, facts, sightings }): readonly Ask[] => {
    if (!isMethodName(method)) return [];
    const reasons = because(sightings).map((record) => `${record}, refused`);
    if (facts.length > 0) return facts.map((request) => askOf(method, request, reasons));
    return known.has(method) ? [] : [{ method, because: reasons }];
  });
}

/** `record 7`, `b.log record 9 (12 calls)`: one for each record; the log is named when there are several. */
function because(sightings: readonly Sighting[]): readonly string[] {
  return sightings.map(({ log, sequence, calls }) => {
    const count = calls === 1 ? '' : ` (${calls} calls)`;
    return `${log === '' ? '' : `${log} `}record ${sequence}${count}`;
  });
}

function notesOn(evidence: Evidence, asks: readonly Ask[]): readonly string[] {
  const notes: string[] = [];
  if (asks.length === 0) notes.push('nothing was served, so nothing is allowed');
  else if (asks.every(({ facts }) => facts === undefined))
    notes.push('the log has no facts of requests ([audit] facts = true), so there are lists and no rules');
  for (const [log, { counts, last }] of evidence.removed) {
    const kept = evidence.served
      .flatMap(({ sightings }) => sightings)
      .filter((sighting) => sighting.log === log && sighting.sequence <= last.sequence).length;
    const calls = methodNames.reduce((sum, method) => sum + servedIn(counts, method), -kept);
    if (calls > 0)
      notes.push(
        `rotation removed the records of ${plural(calls, 'call')} from ${log === '' ? 'the log' : log}: their endpoints are counted in, but rules do not know their requests`,
      );
  }
  if (evidence.lost > 0)
    notes.push(`${plural(evidence.lost, 'record')} could not be written: what they said is unknown`);
  return notes;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
