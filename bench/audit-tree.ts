import { generateKeyPairSync, hash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openAuditLog } from '@kata-agent/audit';
import { agentLogSigner, Frontier, Growth, leafHash } from '@kata-agent/tlog';
import { median } from './median.js';
import type { Row } from './row.js';

const call = { listener: 'host', peer: 'cid 2', method: 'StatsContainer', payload: Buffer.from('request') };
const decision = {
  outcome: 'allow',
  method: call.method,
  listener: 'host',
  reason: 'in allowed_endpoints',
} as const;

/** Measures what the tree of the audit log costs beside its chain, and what a record costs as a whole. */
export async function measureAuditTree(quick: boolean): Promise<Row[]> {
  const records = quick ? 5_000 : 50_000;
  const directory = mkdtempSync(join(tmpdir(), 'kata-bench-audit-'));
  try {
    const file = join(directory, 'audit.log');
    const log = await openAuditLog({ file, maxSize: 2 ** 30, keep: 1, bootId: 'boot' });
    await log.boot({});
    const whole = await write(log, records);
    await log.close();
    const lines = readFileSync(file, 'latin1').split('\n').slice(0, -1);
    const leaves = lines.map((line) => line.replace(/,"hash":"[0-9a-f]{64}"\}$/, '}'));
    const leaf = leafHash(leaves[0] ?? '');
    const { chain, nodes, both, apart, followed } = perRecord(leaves, {
      chain: () => (record) => void leafHash(record),
      nodes: () => {
        const frontier = new Frontier();
        return () => frontier.append(leaf);
      },
      both: () => {
        const frontier = new Frontier();
        return (record) => frontier.append(leafHash(record));
      },
      // A chain and a tree that do not share a hash, as in the log's first format.
      apart: () => {
        const frontier = new Frontier();
        return (record) => {
          hash('sha256', record);
          frontier.append(leafHash(record));
        };
      },
      followed: () => {
        const frontier = new Frontier();
        // What all were sent last, and the last round.
        const growths = [new Growth(frontier), new Growth(frontier)];
        return (record) =>
          frontier.append(leafHash(record), (level, index, hash) => {
            for (const { store } of growths) store(level, index, hash);
          });
      },
    });
    const proof = await proving(join(directory, 'signed.log'), records);
    if (lines.length < records) throw new Error('records were lost: the benchmark measures the wrong path');
    return [
      { what: 'a record of the audit log, with its write', unit: 'us', ours: whole },
      {
        what: "a record's hashes of nodes of the tree",
        unit: 'us',
        ours: nodes,
        against: { name: 'its hash in the chain', value: chain },
      },
      {
        what: "all of a record's hashes",
        unit: 'us',
        ours: both,
        against: { name: 'chain and tree apart', value: apart },
      },
      { what: 'the same with witnesses that follow the tree', unit: 'us', ours: followed },
      { what: `a proof that has to read ${records} records`, unit: 'ms', ours: proof },
      { what: "the tree's part of a record", unit: '%', ours: (100 * nodes) / whole },
    ];
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** Returns the ms of a proof from a size that nobody follows. */
async function proving(file: string, records: number): Promise<number> {
  const signer = agentLogSigner(generateKeyPairSync('ed25519').privateKey);
  const log = await openAuditLog({ file, maxSize: 2 ** 30, keep: 1, bootId: 'boot', signer });
  await log.boot({});
  await write(log, records);
  const signed = await log.checkpoint();
  const times: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    const begin = performance.now();
    await log.proveSince(Math.floor(signed.size / 3), signed);
    times.push(performance.now() - begin);
  }
  await log.close();
  return median(times);
}

async function write(log: Awaited<ReturnType<typeof openAuditLog>>, records: number): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < 5; round += 1) {
    const begin = performance.now();
    for (let n = 0; n < records / 5; n += 1) {
      log.observe(call, decision, { code: 'OK', durationUs: 1 });
      if (n % 5_000 === 4_999) await log.flush();
    }
    await log.flush();
    times.push(((performance.now() - begin) * 1_000) / (records / 5));
  }
  return median(times);
}

/** Returns µs for each record of each way to hash them, the medians of rounds in which they take turns. */
function perRecord<Name extends string>(
  records: readonly string[],
  ways: Readonly<Record<Name, () => (record: string) => void>>,
): Readonly<Record<Name, number>> {
  const pass = (start: () => (record: string) => void): number => {
    const work = start();
    const begin = performance.now();
    for (const record of records) work(record);
    return ((performance.now() - begin) * 1_000) / records.length;
  };
  const all = Object.entries(ways) as [Name, () => (record: string) => void][];
  const rounds = Array.from({ length: 10 }, () => all.map(([name, start]) => [name, pass(start)] as const));
  const timesOf = (name: Name): number[] =>
    rounds.slice(1).flatMap((round) => round.flatMap(([each, time]) => (each === name ? [time] : [])));
  return Object.fromEntries(all.map(([name]) => [name, median(timesOf(name))])) as Record<Name, number>;
}
