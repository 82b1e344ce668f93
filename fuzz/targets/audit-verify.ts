import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openAuditLog, parseHead, formatHead, verify, head } from '@kata-agent/audit';

import { mutateBytes } from '../mutate.js';
import type { Target } from '../target.js';

type Head = Awaited<ReturnType<typeof head>>;

interface Sample {
  readonly directory: string;
  readonly bytes: Buffer;
  readonly head: Head;
}

/** The maximum of concurrently verified files. */
const lanes = 8;

let sample: Promise<Sample> | undefined;
let runs = 0;

/** A valid log with changes in a few places, or random bytes. */
export const auditVerify: Target = {
  name: 'audit-verify',
  promise:
    'every change to a log is detected with a separately stored head, and no file makes the verifier fail',
  atOnce: lanes,
  async run(random) {
    sample ??= makeSample();
    const { directory, bytes, head: kept } = await sample;
    const file = join(directory, `log-${runs % lanes}`);
    runs += 1;
    const changed = random.once(4) ? random.bytes(random.below(400)) : mutateBytes(random, bytes);
    writeFileSync(file, changed);
    const report = await verify(file, { head: kept });
    const same = Buffer.compare(Buffer.from(changed), bytes) === 0;
    // Bytes after the last line feed can be a record that is being written.
    const unfinished = Buffer.compare(Buffer.from(changed).subarray(0, bytes.length), bytes) === 0;
    if (same && !report.ok) throw new Error(`a valid log was rejected: ${JSON.stringify(report.problems)}`);
    if (!unfinished && report.ok) throw new Error('a changed log was accepted');
  },
};

async function makeSample(): Promise<Sample> {
  const directory = mkdtempSync(join(tmpdir(), 'kata-fuzz-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const file = join(directory, 'audit.log');
  const log = await openAuditLog({ file, maxSize: 2 ** 20, keep: 2, bootId: 'fuzz' });
  await log.boot({ version: 'fuzz' });
  const call = {
    listener: 'default',
    peer: 'pid 1 uid 0',
    method: 'ExecProcess',
    payload: new Uint8Array(4),
  };
  const decision = {
    outcome: 'allow',
    listener: 'default',
    method: 'ExecProcess',
    reason: 'in the list',
  } as const;
  for (let count = 0; count < 3; count += 1) {
    const intent = await log.intent(call, decision);
    log.outcome(intent, call, { code: 'OK', durationUs: 7 });
  }
  await log.close();
  const kept = parseHead(formatHead(await head(file)));
  return { directory, bytes: readFileSync(file), head: kept ?? (await head(file)) };
}
