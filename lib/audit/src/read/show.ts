import { styleText } from 'node:util';
import { visibleText } from '@kata-agent/base';
import type { CallResult } from '../audit-log.js';
import type { AuditRecord, RecordedDecision, RecordKind } from '../record/record.js';

export interface ShowOptions {
  readonly color?: boolean;
  /** Few columns: the time without year and zone, the caller after the text, which begins at `narrowTextColumn`. */
  readonly narrow?: boolean;
}

type Style = 'green' | 'red' | 'yellow' | 'dim' | 'bold';

/** Kinds of records that are highlighted. */
const styles: Readonly<Record<RecordKind, Style>> = {
  boot: 'bold',
  intent: 'green',
  outcome: 'green',
  call: 'dim',
  refusal: 'red',
  fold: 'dim',
  rotated: 'dim',
  repaired: 'yellow',
  lost: 'yellow',
  heartbeat: 'dim',
};

const widths = { sequence: 7, time: 24, kind: 8, listener: 8, peer: 14, method: 17 };

const narrowWidths = { sequence: 6, time: 18, kind: 9 };

/** Where the text of a narrow record begins, from 0; longer sequence numbers and kinds of later versions move it. */
export const narrowTextColumn: number = narrowCells('', '', '', '').length;

/** Renders the line above the records. */
export function renderHeader(options: ShowOptions = {}): string {
  if (options.narrow === true) return paint(narrowCells('#', 'time', 'kind', 'what'), 'bold', options);
  const columns = ['#', 'time', 'kind', 'listener', 'peer', 'method'] as const;
  const [sequence, ...rest] = columns;
  const cells = rest.map((name) => name.padEnd(widths[name as keyof typeof widths]));
  return paint([sequence.padStart(widths.sequence), ...cells, 'what'].join(' '), 'bold', options);
}

/** Renders a record as one line. Control characters in it are escaped. */
export function renderRecord(record: AuditRecord, options: ShowOptions = {}): string {
  // Of a kind that only later versions have, any member can be anything.
  const who = 'method' in record ? record : { listener: '', peer: '', method: '' };
  if (options.narrow === true) return paint(narrowLine(record, who), styleOf(record), options);
  const cells = [
    String(record.sequence).padStart(widths.sequence),
    visibleText(record.wall).padEnd(widths.time),
    visibleText(record.kind).padEnd(widths.kind),
    visibleText(textOf(who.listener)).padEnd(widths.listener),
    visibleText(textOf(who.peer)).padEnd(widths.peer),
    visibleText(textOf(who.method)).padEnd(widths.method),
    visibleText(words(operatorOf(record), describe(record))),
  ];
  return paint(cells.join(' ').trimEnd(), styleOf(record), options);
}

/** Renders a record with the caller named briefly, since most records have the same. */
function narrowLine(
  record: AuditRecord,
  {
    listener,
    peer,
    method,
  }: { readonly listener: unknown; readonly peer: unknown; readonly method: unknown },
): string {
  const caller = [textOf(peer), textOf(listener)].filter((text) => text !== '').map(brief);
  const text = words(
    textOf(method),
    operatorOf(record),
    describe(record),
    caller.length === 0 ? undefined : `(${caller.join(', ')})`,
  );
  return narrowCells(
    String(record.sequence),
    visibleText(record.wall).slice(5, 23).replace('T', ' '),
    visibleText(record.kind),
    // Runs of spaces could imitate columns.
    visibleText(text).replaceAll(/ {2,}/g, ' '),
  );
}

function narrowCells(sequence: string, time: string, kind: string, what: string): string {
  const { sequence: first, time: second, kind: third } = narrowWidths;
  return `${sequence.padStart(first)} ${time.padEnd(second)} ${kind.padEnd(third)}  ${what}`;
}

/** Shortens a name, such as the digest of a key, to its two ends. */
function brief(name: string): string {
  return name.length <= 24 ? name : `${name.slice(0, 15)}…${name.slice(-8)}`;
}

function describe(record: AuditRecord): string {
  switch (record.kind) {
    case 'boot':
      return words(`boot ${record.boot}`, bootText(record.facts));
    case 'intent':
      return words(
        subjectOf(record),
        requestOf(record),
        wouldRefuse(record.decision),
        record.decision.reason,
      );
    case 'outcome':
      return words(`#${record.intent}`, subjectOf(record), resultOf(record.result));
    case 'call':
      return words(subjectOf(record), wouldRefuse(record.decision), resultOf(record.result));
    case 'refusal':
      return words(
        codeOf(record),
        subjectOf(record),
        ruleUnlessNamed(record.decision),
        record.decision.reason,
      );
    case 'fold': {
      const { of, count, code = record.decision.code ?? 'refused', bytes } = record;
      const size = bytes === undefined || bytes === 0 ? undefined : `${bytes} bytes`;
      const rule = of === 'call' ? wouldRefuse(record.decision) : ruleOf(record.decision.rule);
      return words(`${count} more`, code, size, subjectOf(record), rule);
    }
    case 'rotated': {
      const { segment, removed } = record;
      const range = `records ${segment.after.sequence + 1} to ${segment.last.sequence} are in this segment`;
      if (removed === undefined) return range;
      const kept = removed.kept === undefined ? '' : `, ${removed.kept.records} of them were kept`;
      return `${range}; 1 to ${removed.last.sequence} were removed${kept}`;
    }
    case 'repaired':
      return `a torn last line of ${record.cutBytes} bytes was truncated`;
    case 'heartbeat':
      return '';
    case 'lost':
      return `${record.count} records are missing: ${record.failure}`;
  }
}

/** Returns the facts of a boot that say what the agent served, in words; `--format json` has all of them. */
function bootText(facts: Readonly<Record<string, unknown>>): string {
  const { version, digest, restricted } = facts;
  const part = (word: string, names: readonly string[]): string | undefined => {
    const given = names.filter((name) => name !== '');
    return given.length === 0 ? undefined : `${word} ${given.join(', ')}`;
  };
  return [
    part('version', [textOf(version)]),
    part('configuration', [textOf(digest)]),
    part(
      'of',
      members(facts['documents']).map((each) => `${textOf(each['file'])} (${textOf(each['source'])})`),
    ),
    restricted === false ? 'which restricts nothing' : undefined,
    part(
      'ignored overrides:',
      members(facts['ignoredOverrides']).map((each) => textOf(each['key'])),
    ),
    part('without', texts(facts['leftOut'])),
    part('missing guest components:', texts(facts['missingComponents'])),
  ]
    .filter((text) => text !== undefined)
    .join(', ');
}

function members(list: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(list) ? list.filter((each) => typeof each === 'object' && each !== null) : [];
}

function texts(list: unknown): readonly string[] {
  return Array.isArray(list) ? list.map(textOf) : [];
}

/** Returns the operator that a trusted server named, unverified. */
function operatorOf(record: AuditRecord): string | undefined {
  if (!('method' in record) || record.claimedOperator === undefined) return undefined;
  return `operator ${JSON.stringify(record.claimedOperator)} (claimed)`;
}

type Subject = NonNullable<Extract<AuditRecord, { readonly kind: 'intent' }>['subject']>;

function subjectOf({ subject }: { readonly subject?: Subject | undefined }): string | undefined {
  if (subject === undefined) return undefined;
  const { containerId, execId, argv0 } = subject;
  const place = [containerId, execId].filter((id) => id !== undefined && id !== '').join('/');
  return words(place === '' ? undefined : place, argv0);
}

/** Returns what a request names, untruncated, because auditors search for it. */
function requestOf({ request }: { readonly request?: object | undefined }): string | undefined {
  return request === undefined ? undefined : JSON.stringify(request);
}

/** Returns the code that `kata-agent-ctl explain` takes, of a denied call. */
function codeOf({ decision }: { readonly decision: RecordedDecision }): string | undefined {
  return decision.code;
}

/** Returns the rule, unless the reason names it too. */
function ruleUnlessNamed({ rule, reason }: RecordedDecision): string | undefined {
  return rule !== undefined && reason.includes(`"${rule}"`) ? undefined : ruleOf(rule);
}

function ruleOf(rule: string | undefined): string | undefined {
  return rule === undefined ? undefined : `rule ${rule}:`;
}

/** Returns the `enforcement = "audit"` rule that would have denied a call that was served. */
function wouldRefuse({ rule }: RecordedDecision): string | undefined {
  return rule === undefined ? undefined : `rule ${rule} would deny it:`;
}

function resultOf(result: Extract<AuditRecord, { readonly kind: 'call' }>['result']): string {
  const { code, message, durationUs, bytes, clock, image, secrets } = result;
  const size = bytes === undefined ? undefined : `${bytes} bytes`;
  return words(
    code,
    `${(durationUs / 1000).toFixed(3)} ms`,
    size,
    clockText(clock),
    imageText(image),
    secretsText(secrets),
    message,
  );
}

function clockText(clock: CallResult['clock']): string | undefined {
  if (clock === undefined) return undefined;
  const { before, after } = clock;
  return before === after
    ? `the clock was left at ${before}`
    : `the clock was set from ${before} to ${after}`;
}

function imageText(image: CallResult['image']): string | undefined {
  if (image === undefined) return undefined;
  const { from, digest, manifestDigest, signatures } = image;
  if (from === 'pause_bundle') return 'the pause bundle of the guest';
  const signed =
    signatures === undefined || signatures.length === 0 ? [] : ['signed by', signatures.join(', ')];
  return words('image', digest ?? manifestDigest ?? 'of unknown digest', ...signed);
}

function secretsText(secrets: CallResult['secrets']): string | undefined {
  if (secrets === undefined) return undefined;
  const { count, names } = secrets;
  const more = count > names.length ? `and ${count - names.length} more` : undefined;
  return words(count === 1 ? 'asked for the secret' : 'asked for the secrets', names.join(', '), more);
}

function words(...parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== '').join(' ');
}

function styleOf(record: AuditRecord): Style {
  if (record.kind === 'fold' && record.of === 'refusal') return styles.refusal;
  const failed = (record.kind === 'outcome' || record.kind === 'call') && record.result.code !== 'OK';
  // Kinds of later versions are records, too.
  return failed ? 'yellow' : ((styles as Partial<typeof styles>)[record.kind] ?? 'dim');
}

function paint(text: string, style: Style, { color = false }: ShowOptions): string {
  // The caller has decided on colour: do not check the stream again.
  return color ? styleText(style, text, { validateStream: false }) : text;
}

function textOf(member: unknown): string {
  return typeof member === 'string' ? member : '';
}
