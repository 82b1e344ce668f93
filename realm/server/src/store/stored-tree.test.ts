import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { lineHashes, openAuditLog } from '@kata-agent/audit';
import { agentLogSigner, Frontier, type LogSigner, type TreeHead } from '@kata-agent/tlog';
import { formatPin } from '@kata-agent/x509';
import { StoredTree } from './stored-tree.js';

const id = 'a1'.repeat(32);
const call = { listener: 'host', peer: 'p', method: 'StatsContainer', payload: Buffer.from('request') };
const decision = { outcome: 'allow', method: call.method, listener: 'host', reason: 'r' } as const;

function directory(t: Pick<TestContext, 'after'>): string {
  const path = mkdtempSync(join(tmpdir(), 'kata-realm-tree-'));
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

/** Returns the lines of a log with an earlier start, and those of the start of this guest. */
async function linesOf(
  t: Pick<TestContext, 'after'>,
  records: number,
  facts: Readonly<Record<string, unknown>> = { tls: { pin: formatPin(id) } },
): Promise<{ readonly all: readonly string[]; readonly first: number; readonly signer: LogSigner }> {
  const file = join(directory(t), 'audit.log');
  const signer = agentLogSigner(generateKeyPairSync('ed25519').privateKey);
  for (const [count, boot, key] of [
    [5, {}, undefined],
    [records, facts, signer],
  ] as const) {
    const log = await openAuditLog({
      file,
      maxSize: 1 << 28,
      keep: 2,
      bootId: 'b',
      ...(key && { signer: key }),
    });
    await log.boot(boot);
    for (let n = 1; n < count; n += 1) log.observe(call, decision, { code: 'OK', durationUs: n });
    await log.close();
  }
  const all = readFileSync(file, 'latin1').split('\n').slice(0, -1);
  return { all, first: all.findIndex((line) => line.includes(signer.verifier.toString())) + 1, signer };
}

function headsOf(lines: readonly string[]): readonly TreeHead[] {
  const frontier = new Frontier();
  return [
    frontier.head(),
    ...lines.map((line) => (frontier.append(lineHashes(Buffer.from(line)).leaf), frontier.head())),
  ];
}

function stored(t: Pick<TestContext, 'after'>, lines: readonly string[]): { path: string; bytes: number } {
  const path = join(directory(t), 'x.log');
  const text = lines.map((line) => `${line}\n`).join('');
  writeFileSync(path, text, 'latin1');
  return { path, bytes: text.length };
}

test('the tree of stored records has the root of each size, however they were read', async (t) => {
  const { all, first, signer } = await linesOf(t, 1_200);
  const heads = headsOf(all.slice(first - 1));
  const path = join(directory(t), 'x.log');
  writeFileSync(path, '');
  const tree = new StoredTree(id, path);
  let size = 0;
  for (let at = 0; at < all.length; at += 137) {
    const part = all
      .slice(at, at + 137)
      .map((line) => `${line}\n`)
      .join('');
    appendFileSync(path, `${part}{"sequence":torn`, 'latin1');
    size += part.length;
    await tree.read(size);
    writeFileSync(path, readFileSync(path).subarray(0, size));
    assert.equal(tree.size, Math.max(0, Math.min(all.length, at + 137) - first + 1));
  }
  assert.deepEqual(
    [tree.identity?.key.toString(), tree.identity?.first],
    [signer.verifier.toString(), first],
  );
  for (let leaves = 0; leaves <= tree.size; leaves += leaves % 256 < 3 || leaves % 256 > 252 ? 1 : 31)
    assert.deepEqual(await tree.head(leaves), heads[leaves], `${leaves}`);
  await assert.rejects(tree.head(tree.size + 1), RangeError);
});

test('the boot record must name the key of the guest and that of its log', async (t) => {
  for (const facts of [{}, { tls: {} }, { tls: { pin: formatPin('b2'.repeat(32)) } }]) {
    const { all } = await linesOf(t, 3, facts);
    const { path, bytes } = stored(t, all);
    const tree = new StoredTree(id, path);
    await tree.read(bytes);
    assert.deepEqual([tree.identity, tree.size], [undefined, 0]);
  }
});

test('the tree ends before a gap, and before a further boot record', async (t) => {
  const { all, first } = await linesOf(t, 9);
  const boot = all[first - 1] ?? '';
  for (const [lines, size] of [
    [all.toSpliced(first + 2, 1), 3],
    [[...all, boot, ...all.slice(first)], all.length - first + 1],
  ] as const) {
    const { path, bytes } = stored(t, lines);
    const tree = new StoredTree(id, path);
    await tree.read(bytes);
    assert.deepEqual([tree.size, tree.isOver], [size, true]);
    assert.deepEqual(await tree.head(2), headsOf(all.slice(first - 1))[2]);
  }
});
