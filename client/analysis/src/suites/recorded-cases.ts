import { create, type JsonValue, toJson } from '@bufbuild/protobuf';
import type { AuditRecord, RecordedFacts } from '@kata-agent/audit';
import { isMethodName, type MethodName } from '@kata-agent/catalogue';
import { stringify } from 'yaml';
import { requestOfFacts, requestSchema } from '../offline-requests.js';
import type { Expectation } from './parse-suite.js';

/** A record of a call or a denial. Fold records only count such records, and are ignored. */
type Recorded = Extract<AuditRecord, { readonly kind: 'intent' | 'call' | 'refusal' }>;

interface Case {
  readonly method: MethodName;
  readonly listener: string;
  readonly facts: RecordedFacts | undefined;
  readonly subject: Recorded['subject'];
  /** As in a test; undefined if a record does not have enough of it. */
  readonly peer: object | undefined;
  readonly expect: Expectation;
  readonly rule: string | undefined;
  readonly reason: string;
  readonly records: number[];
}

/** Converts an audit log into tests, to run against another configuration. */
export class RecordedCases {
  readonly #cases = new Map<string, Case>();

  /** Adds a record; equal ones become one case. Records without a method of the API are ignored. */
  add(record: AuditRecord): void {
    if (record.kind !== 'intent' && record.kind !== 'call' && record.kind !== 'refusal') return;
    const { method, listener, facts, subject, decision } = record;
    if (!isMethodName(method)) return;
    const expect = decision.outcome === 'deny' ? 'deny' : decision.rule === undefined ? 'allow' : 'audit';
    const { rule, reason } = decision;
    const peer = peerOf(record);
    const key = JSON.stringify([method, listener, peer, facts, expect, rule]);
    const known = this.#cases.get(key);
    if (known !== undefined) known.records.push(record.sequence);
    else {
      const records = [record.sequence];
      this.#cases.set(key, { method, listener, peer, facts, subject, expect, rule, reason, records });
    }
  }

  /** Returns the cases as a file for `config test`. */
  text(log: string): string {
    const tests = [...this.#cases.values()].map(testOf);
    const head = [
      `# ${oneLine(log)} as tests: kata-agent-ctl config test THIS --configuration FILE`,
      '# Requests have only recorded values: with [audit] facts = true names and kinds, else only IDs.',
    ];
    return `${head.join('\n')}\n${stringify({ tests }, { lineWidth: 0 })}`;
  }
}

function testOf({ method, listener, peer, facts, subject, expect, rule, reason, records }: Case): object {
  const schema = requestSchema(method);
  const { cut, whole: _whole, ...known } = facts ?? {};
  const request = facts === undefined ? create(schema) : requestOfFacts(method, known);
  for (const field of schema.fields) {
    const id = field.localName === 'containerId' ? subject?.containerId : undefined;
    if (id !== undefined) Object.assign(request, { [field.localName]: id });
  }
  const json: JsonValue = toJson(schema, request, { useProtoFieldName: true });
  return {
    name: `${recordsText(records)}${cut === true ? ' (truncated in the record)' : ''}: ${reason}`,
    method,
    listener,
    ...(peer === undefined ? {} : { peer }),
    ...(isEmpty(json) ? {} : { request: json }),
    expect,
    ...(rule === undefined ? {} : { rule }),
  };
}

/** Parses a peer in the notation of records: `cid 2`, `pid 812 uid 0`. */
function peerOf({ peer, claimedOperator }: Pick<Recorded, 'peer' | 'claimedOperator'>): object | undefined {
  if (claimedOperator !== undefined) return { kind: 'tls', claimed_operator: claimedOperator };
  const cid = /^cid (\d+)$/.exec(peer)?.[1];
  if (cid !== undefined) return { kind: 'vsock', cid: Number(cid) };
  const uid = /^(?:pid \d+ )?uid (\d+)$/.exec(peer)?.[1];
  return uid === undefined ? undefined : { kind: 'unix', uid: Number(uid) };
}

function recordsText(records: readonly number[]): string {
  const [first, ...more] = records;
  return `record ${first ?? 0}${more.length === 0 ? '' : ` and ${more.length} more`}`;
}

function isEmpty(json: JsonValue): boolean {
  return typeof json === 'object' && json !== null && Object.keys(json).length === 0;
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ');
}
