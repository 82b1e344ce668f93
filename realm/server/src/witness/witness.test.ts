import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { lineHashes } from '@kata-agent/audit';
import {
  agentLogSigner,
  checkConsistency,
  formatAddCheckpoint,
  Frontier,
  type HttpAnswer,
  type LogSigner,
  openCheckpoint,
  proveConsistency,
  signCheckpoint,
  type TreeHash,
  type TreeHead,
  WitnessSigner,
} from '@kata-agent/tlog';
import { formatPin } from '@kata-agent/x509';
import * as fc from 'fast-check';
import type { GuestLogs } from '../store/guest-logs.js';
import type { LogFault } from '../store/log-storage.js';
import { writeFileAtomically } from '../store/own-file.js';
import { Witness } from './witness.js';
import { WitnessStates } from './witness-states.js';

const id = 'a1'.repeat(32);
const signer = new WitnessSigner('w', generateKeyPairSync('ed25519').privateKey);

/** A tree of which every leaf is known. */
class Tree {
  readonly leaves: TreeHash[];
  constructor(leaves: readonly TreeHash[]) {
    this.leaves = [...leaves];
  }

  head(size = this.leaves.length): TreeHead {
    const frontier = new Frontier();
    for (const leaf of this.leaves.slice(0, size)) frontier.append(leaf);
    return frontier.head();
  }

  proof(oldSize: number, size = this.leaves.length): readonly TreeHash[] {
    return proveConsistency(oldSize, size, (level, index) => (level === 0 ? this.leaves[index] : undefined));
  }
}

interface Setup {
  readonly log: LogSigner;
  readonly boot: TreeHash;
  readonly faults: LogFault[];
  readonly directory: string;
  readonly start: (write?: typeof writeFileAtomically) => Promise<Witness>;
}

/** A guest of which nothing but the boot record is stored. */
function setUp(t: Pick<TestContext, 'after'>): Setup {
  const directory = mkdtempSync(join(tmpdir(), 'kata-realm-witness-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const log = agentLogSigner(generateKeyPairSync('ed25519').privateKey);
  const line = bootLine(id, log);
  const path = join(directory, 'x.log');
  writeFileSync(path, `${line}\n`);
  const faults: LogFault[] = [];
  const logs = {
    id,
    stored: { path, size: line.length + 1 },
    log: { state: 'verified', records: 1, lastSequence: 1 },
    get contradiction() {
      return faults.find(({ kind }) => kind === 'fork');
    },
    report: async (fault: LogFault) => void faults.push(fault),
  } as unknown as GuestLogs;
  return {
    log,
    boot: leafOf(line),
    faults,
    directory: join(directory, 'witness'),
    start: async (write) =>
      new Witness({
        signer,
        states: await WitnessStates.open(join(directory, 'witness'), write),
        logsOf: () => logs,
        onFork: () => undefined,
      }),
  };
}

/** The boot record of a guest, with the key of its TLS and that of its log. */
function bootLine(id: string, log: LogSigner): string {
  const facts = JSON.stringify({ tls: { pin: formatPin(id) } });
  const body = `{"sequence":1,"prev":"${'0'.repeat(64)}","boot":"b","monotonic":1,"wall":"w","kind":"boot","logKey":"${log.verifier.toString()}","facts":${facts}`;
  return `${body},"hash":"${createHash('sha256').update(`\0${body}}`).digest('hex')}"}`;
}

const leafOf = (text: string): TreeHash => lineHashes(Buffer.from(text)).leaf;

test('a cosignature leaves only when it is stored, and two requests are ordered', async (t) => {
  const { log, boot, start } = setUp(t);
  let release: () => void = () => undefined;
  const written: string[] = [];
  const witness = await start(async (path, text) => {
    await new Promise<void>((resolve) => {
      release = resolve;
    });
    await writeFileAtomically(path, text);
    written.push(text);
  });
  const tree = new Tree([boot, leafOf('1'), leafOf('2')]);
  const ask = (size: number): Promise<HttpAnswer> =>
    witness.addCheckpoint(id, Buffer.from(formatAddCheckpoint(0, [], signCheckpoint(log, tree.head(size)))));
  const answers: HttpAnswer[] = [];
  const first = ask(2).then((answer) => answers.push(answer));
  const second = ask(3).then((answer) => answers.push(answer));
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual([answers.length, written.length], [0, 0]);
  release();
  await Promise.all([first, second]);
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 409],
  );
  assert.equal(answers[1]?.body, '2\n');
  await witness.close();
  await assert.rejects(ask(3), /the realm ends/);
});

test('a state that is not valid is no state: nothing is cosigned', async (t) => {
  const { log, boot, start, directory } = setUp(t);
  const tree = new Tree([boot]);
  const body = Buffer.from(formatAddCheckpoint(0, [], signCheckpoint(log, tree.head())));
  assert.equal((await (await start()).addCheckpoint(id, body)).status, 200);
  const [name = ''] = readdirSync(directory);
  const path = join(directory, name);
  const text = readFileSync(path, 'utf8');
  const other = agentLogSigner(generateKeyPairSync('ed25519').privateKey);
  for (const wrong of ['', text.slice(0, 40), signCheckpoint(other, tree.head())]) {
    writeFileSync(path, wrong);
    await assert.rejects((await start()).addCheckpoint(id, body), /is not a checkpoint of/);
  }
  writeFileSync(path, text);
  assert.equal((await (await start()).addCheckpoint(id, body)).status, 409);
});

test('whatever fails or crashes, and when: all cosigned trees are of one log', async (t) => {
  const step = fc.record({
    /** Which of two clones asks; both continue after a few records. */
    clone: fc.nat(1),
    /** How many of its records are new. */
    grows: fc.nat(3),
    /** What happens to the write: nothing, an error before or after it, or a crash of the process before or after it. */
    write: fc.constantFrom('ok', 'ok', 'ok', 'fails', 'is done and fails', 'crash', 'is done and crash'),
    /** Whether the client believes the size that it was told, or asks from its own last one. */
    obeys: fc.boolean(),
  });
  const property = fc.asyncProperty(fc.nat(4), fc.array(step, { maxLength: 25 }), async (common, steps) => {
    const cleanUps: (() => void)[] = [];
    const { log, boot, start } = setUp({ after: (done) => void cleanUps.push(done as () => void) });
    const shared = [boot, ...Array.from({ length: common }, (_, n) => leafOf(`${n}`))];
    const clones = [new Tree(shared), new Tree(shared)];
    const known = [0, 0];
    const released: { readonly tree: Tree; readonly size: number }[] = [];
    let mode: string = 'ok';
    const write: typeof writeFileAtomically = async (path, text) => {
      if (mode === 'fails' || mode === 'crash') throw new Error(mode);
      await writeFileAtomically(path, text);
      if (mode !== 'ok') throw new Error(mode);
    };
    let witness = await start(write);
    for (const { clone, grows, write: outcome, obeys } of steps) {
      const tree = clones[clone] ?? new Tree([]);
      for (let n = 0; n < grows; n += 1) tree.leaves.push(leafOf(`${clone} ${tree.leaves.length}`));
      mode = outcome;
      const old = Math.min(known[clone] ?? 0, tree.leaves.length);
      const body = formatAddCheckpoint(old, tree.proof(old), signCheckpoint(log, tree.head()));
      try {
        const { status, body: answer } = await witness.addCheckpoint(id, Buffer.from(body));
        if (status === 200) {
          known[clone] = tree.leaves.length;
          released.push({ tree: new Tree(tree.leaves), size: tree.leaves.length });
          const opened = openCheckpoint(signCheckpoint(log, tree.head()) + answer, {
            logs: [log.verifier],
            witnesses: [signer.verifier],
          });
          assert.equal(opened.witnesses.length, 1);
        }
        if (status === 409 && obeys) known[clone] = Number(answer);
      } catch (error) {
        assert.match((error as Error).message, /fails|crash/);
      }
      if (outcome.endsWith('crash')) witness = await start(write);
    }
    for (const done of cleanUps) done();
    const last = released.at(-1);
    for (const { tree, size } of released) {
      assert.ok(last !== undefined);
      assert.ok(size <= last.size);
      checkConsistency(tree.head(size), last.tree.head(last.size), last.tree.proof(size, last.size));
    }
  });
  await fc.assert(property, { numRuns: 60 });
  t.diagnostic('60 runs');
});

test('after a restart of the realm, a guest that names the key of another one first does not make that one a clone', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-realm-witness-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const log = agentLogSigner(generateKeyPairSync('ed25519').privateKey);
  const faults: string[] = [];
  const guests = new Map(
    ['a1', 'b2'].map((name) => {
      const id = name.repeat(32);
      const line = bootLine(id, log);
      const path = join(directory, name);
      writeFileSync(path, `${line}\n`);
      const logs = {
        id,
        stored: { path, size: line.length + 1 },
        log: { state: 'verified', records: 1, lastSequence: 1 },
        contradiction: undefined,
        report: async ({ kind }: LogFault) => void faults.push(`${name} ${kind}`),
      };
      return [id, { line, logs: logs as unknown as GuestLogs }];
    }),
  );
  const start = async (): Promise<Witness> =>
    new Witness({
      signer,
      states: await WitnessStates.open(join(directory, 'witness')),
      logsOf: (id) => guests.get(id)?.logs,
      onFork: () => undefined,
    });
  const [honest = '', thief = ''] = guests.keys();
  const tree = new Tree([leafOf(guests.get(honest)?.line ?? '')]);
  const body = (old: number): Buffer =>
    Buffer.from(formatAddCheckpoint(old, tree.proof(old), signCheckpoint(log, tree.head())));
  assert.equal((await (await start()).addCheckpoint(honest, body(0))).status, 200);
  const again = await start();
  await again.recordsStored(thief);
  assert.equal((await again.addCheckpoint(honest, body(1))).status, 200);
  assert.deepEqual(faults, ['b2 fork']);
});
