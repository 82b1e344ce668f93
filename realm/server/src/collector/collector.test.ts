import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { generateKeyPairSync } from 'node:crypto';
import { agentLogSigner, leafHash, signCheckpoint, WitnessSigner } from '@kata-agent/tlog';
import {
  type Collected,
  type CollectedAgent,
  collectLogs,
  type CollectLogsOptions,
  type CollectorEvent,
} from './collector.js';
import { FakeAgent, sequenceNumber, temporaryDirectory, WrittenLog } from './fake-agent.test.fixture.js';

interface Collecting {
  readonly events: (CollectorEvent & { readonly agent: string })[];
  readonly until: (what: string, met: () => boolean) => Promise<void>;
  readonly end: () => Promise<readonly Collected[]>;
  /** Kinds of the faults. */
  readonly faults: () => readonly string[];
}

type Change = Partial<Pick<CollectLogsOptions, 'checkpoints' | 'silenceMs' | 'maxBytes'>>;

function collect(directory: string, agents: readonly CollectedAgent[], change: Change = {}): Collecting {
  const over = new AbortController();
  const events: Collecting['events'] = [];
  const collecting = collectLogs({
    agents,
    sink: {
      to: { kind: 'directory', path: directory },
      state: undefined,
      files: { ca: undefined, cert: undefined, key: undefined, creds: undefined, nkey: undefined },
      timeoutMs: 1_000,
      repeat: 1,
      version: '0',
      tryLock: () => true,
      limitUnacknowledged: () => undefined,
    },
    maxBytes: 2 ** 30,
    silenceMs: 60_000,
    checkpoints: { everyMs: 50, witnesses: [], quorum: 1 },
    onEvent: (agent, event) => events.push({ ...event, agent }),
    onSinkEvent: () => undefined,
    signal: over.signal,
    ...change,
  });
  return {
    events,
    until: async (what, met) => {
      for (let tries = 0; !met(); tries += 1) {
        assert.ok(tries < 2_000, `${what}: ${JSON.stringify(events)}`);
        await delay(5);
      }
    },
    end: async () => {
      over.abort();
      return await collecting;
    },
    faults: () => events.flatMap((event) => (event.kind === 'fault' ? [event.fault.kind] : [])),
  };
}

const agreed = ({ events }: Collecting): readonly number[] =>
  events.flatMap((event) => (event.kind === 'checkpoint' ? [event.agreed.last] : []));

/** A log and an agent that sends it. */
async function setUp(
  t: Pick<TestContext, 'after'>,
  records = 20,
): Promise<{ readonly log: WrittenLog; readonly agent: FakeAgent; readonly directory: string }> {
  const log = await WrittenLog.start(t);
  await log.add(records);
  return { log, agent: await FakeAgent.serve(t, log), directory: temporaryDirectory(t) };
}

function filesOf(directory: string, end: string): readonly string[] {
  if (!existsSync(join(directory, 'guests'))) return [];
  return readdirSync(join(directory, 'guests'), { recursive: true })
    .map((name) => join(directory, 'guests', String(name)))
    .filter((name) => name.endsWith(end));
}

test('checkpoints are compared, also the last one, and stored beside the log', async (t) => {
  const { log, agent, directory } = await setUp(t);
  const collecting = collect(directory, [agent.collected()]);
  await collecting.until('one agrees', () => agreed(collecting).includes(21));
  await log.add(5);
  await collecting.until('the next one agrees', () => agreed(collecting).includes(26));
  await log.add(5);
  const [{ log: collected } = { log: undefined }] = await collecting.end();
  assert.deepEqual(collected, { state: 'verified', records: 31, lastSequence: 31 });
  assert.equal(agreed(collecting).at(-1), 31);
  const [checkpoint = ''] = filesOf(directory, '.checkpoint');
  assert.equal(readFileSync(checkpoint, 'utf8'), (await log.checkpoint()).checkpoint);
  const [first] = collecting.events.flatMap((event) => (event.kind === 'checkpoint' ? [event.agreed] : []));
  assert.deepEqual([first?.trust.kind, first?.problem], ['self-signed', undefined]);
  await log.close();
});

test('a collector that starts again compares, from the tree that is kept or by records that it asks for again', async (t) => {
  const { log, agent, directory } = await setUp(t);
  const first = collect(directory, [agent.collected()]);
  await first.until('one agrees', () => agreed(first).length > 0);
  await first.end();
  await log.add(5);
  const second = collect(directory, [agent.collected()]);
  await second.until('one agrees', () => agreed(second).includes(26));
  await second.end();
  assert.deepEqual(agent.asked, [1, 21]);
  // As after a crash before it was kept.
  for (const tree of filesOf(directory, '.tree')) rmSync(tree);
  await log.add(5);
  const third = collect(directory, [agent.collected()]);
  await third.until('one agrees', () => agreed(third).includes(31));
  const [{ log: collected } = { log: undefined }] = await third.end();
  assert.deepEqual(agent.asked, [1, 21, 1]);
  assert.deepEqual(collected, { state: 'verified', records: 31, lastSequence: 31 });
  // The records are not stored again.
  const [file = ''] = filesOf(directory, '.log');
  assert.equal(readFileSync(file, 'latin1').split('\n').length - 1, 31);
  await log.close();
});

test('without the records for the tree nothing is compared, and that is no fault', async (t) => {
  const { log, agent, directory } = await setUp(t);
  const first = collect(directory, [agent.collected()]);
  await first.until('one agrees', () => agreed(first).length > 0);
  await first.end();
  for (const tree of filesOf(directory, '.tree')) rmSync(tree);
  // Rotation has removed them.
  agent.lines = () => log.lines.slice(10);
  await log.add(5);
  const second = collect(directory, [agent.collected()]);
  await second.until('the others come', () =>
    filesOf(directory, '.log').some((file) => readFileSync(file, 'latin1').includes('"sequence":26,')),
  );
  await second.end();
  assert.deepEqual([agreed(second), second.faults()], [[], []]);
  await log.close();
});

test('a checkpoint of other records is a fork', async (t) => {
  const { log, agent, directory } = await setUp(t);
  const head = { size: 21, root: leafHash(Buffer.from('another tree')) };
  const { name } = log.signer.verifier;
  agent.checkpoint = async () => ({ checkpoint: signCheckpoint(log.signer, head), first: 1 });
  const collecting = collect(directory, [agent.collected()]);
  await collecting.until('it is found', () => collecting.faults().length > 0);
  const [{ log: collected } = { log: undefined }] = await collecting.end();
  assert.deepEqual([collecting.faults()[0], collected?.state], ['fork', 'fork']);
  assert.match(name, /^kata-agent\//);
  // It is known later, too.
  const again = collect(directory, [agent.collected()], { checkpoints: undefined });
  await again.until('it is connected', () => again.events.some(({ kind }) => kind === 'connected'));
  assert.equal((await again.end())[0]?.log.state, 'fork');
  await log.close();
});

test('a checkpoint that is not signed by the key of the log is a fork', async (t) => {
  const { log, agent, directory } = await setUp(t);
  agent.checkpoint = async () => {
    const { checkpoint, first } = await log.checkpoint();
    const [text = ''] = checkpoint.split('\n\n');
    const other = agentLogSigner(generateKeyPairSync('ed25519').privateKey);
    const line = other.sign(`${text}\n`).replace(other.verifier.name, log.signer.verifier.name);
    return { checkpoint: `${text}\n\n${line}`, first };
  };
  const collecting = collect(directory, [agent.collected()]);
  await collecting.until('it is found', () => collecting.faults().includes('fork'));
  await collecting.end();
  await log.close();
});

test('two heads of one size, sizes that no log has, and invalid proofs are a fork', async (t) => {
  const { log, agent, directory } = await setUp(t);
  const own = await log.checkpoint();
  const witness = new WitnessSigner('witness.example', generateKeyPairSync('ed25519').privateKey);
  const checkpoints = { everyMs: 50, witnesses: [witness.verifier], quorum: 1 };
  const cosigned = (text: string): string =>
    `${text}${witness.cosign(text.slice(0, text.indexOf('\n\n') + 1), 1_800_000_000)}`;
  const root = leafHash(Buffer.from('x'));
  const signed = (size: number): string => signCheckpoint(log.signer, { size, root });
  const { checkpoint } = agent;
  const lies: Readonly<Record<string, () => void>> = {
    'another tree of the size that agreed': () => {
      agent.checkpoint = async () => ({ checkpoint: signed(own.size), first: 1 });
    },
    'as many records as there can be': () => {
      agent.checkpoint = async () => ({ checkpoint: signed(Number.MAX_SAFE_INTEGER), first: 1 });
    },
    'an invalid size': () => {
      agent.checkpoint = async () => ({
        ...own,
        checkpoint: own.checkpoint.replace('\n21\n', '\n9007199254740992\n'),
      });
    },
    'another first record': () => {
      agent.checkpoint = async () => ({ ...own, first: Number.MAX_SAFE_INTEGER });
    },
    'no text': () => {
      agent.checkpoint = async () => ({ checkpoint: '\0'.repeat(70_000), first: 1 });
    },
    'a cosigned one of more records': () => {
      agent.cosigned = () => cosigned(signed(own.size + 1));
      agent.prove = async () => [];
    },
    'a proof of hashes that are too short': () => {
      agent.cosigned = () => cosigned(signed(5));
      agent.prove = async () => [Buffer.from('x')];
    },
    'a proof without end': () => {
      agent.cosigned = () => cosigned(signed(5));
      agent.prove = async () => Array.from({ length: 5_000 }, () => Buffer.alloc(32));
    },
  };
  for (const [what, lie] of Object.entries(lies)) {
    Object.assign(agent, { checkpoint, cosigned: undefined, prove: (size: number) => log.prove(size) });
    const to = join(directory, what.replaceAll(' ', '-'));
    const collecting = collect(to, [agent.collected()], { checkpoints });
    await collecting.until('one agrees', () => agreed(collecting).length > 0);
    assert.deepEqual(collecting.faults(), [], what);
    lie();
    await collecting.until(what, () => collecting.faults().includes('fork'));
    const [{ log: collected } = { log: undefined }] = await collecting.end();
    assert.equal(collected?.state, 'fork', what);
  }
  await log.close();
});

test('records that are signed and withheld are a fork, also those of another log', async (t) => {
  const { log, agent, directory } = await setUp(t);
  agent.lines = () => log.lines.slice(0, 15);
  const collecting = collect(directory, [agent.collected()]);
  await collecting.until('it is found', () => collecting.faults().includes('fork'));
  await collecting.end();
  const other = await setUp(t);
  const signs = await WrittenLog.start(t);
  other.agent.checkpoint = () => signs.checkpoint();
  const second = collect(other.directory, [other.agent.collected()]);
  await second.until('it is found', () => second.faults().includes('fork'));
  await second.end();
  await Promise.all([log.close(), other.log.close(), signs.close()]);
});

test('a checkpoint of fewer records than were sent before is a fork', async (t) => {
  const { log, agent, directory } = await setUp(t);
  const old = await log.checkpoint();
  const collecting = collect(directory, [agent.collected()]);
  await collecting.until('one agrees', () => agreed(collecting).length > 0);
  await log.add(5);
  await collecting.until('the next one agrees', () => agreed(collecting).includes(26));
  agent.checkpoint = async () => old;
  await collecting.until('it is found', () => collecting.faults().includes('fork'));
  await collecting.end();
  await log.close();
});

test('the next start of an agent is another tree, and is compared', async (t) => {
  const { log, agent, directory } = await setUp(t);
  const collecting = collect(directory, [agent.collected()]);
  await collecting.until('one agrees', () => agreed(collecting).length > 0);
  await log.close();
  const next = await WrittenLog.start(t, log);
  agent.checkpoint = () => next.checkpoint();
  await next.add(3);
  await collecting.until('the second tree agrees', () => agreed(collecting).includes(25));
  await collecting.end();
  assert.deepEqual(collecting.faults(), []);
  assert.equal(collecting.events.filter(({ kind }) => kind === 'boot').length, 1);
  await next.close();
});

test('a checkpoint must be cosigned by the demanded witnesses, and soon, and of the same log', async (t) => {
  const { log, agent, directory } = await setUp(t);
  const witness = new WitnessSigner('witness.example', generateKeyPairSync('ed25519').privateKey);
  // Records that come later than this are withheld, which a busy machine must not cause.
  const checkpoints = { everyMs: 300, witnesses: [witness.verifier], quorum: 1 };
  const collecting = collect(directory, [agent.collected()], { checkpoints });
  const problems = (): readonly (string | undefined)[] =>
    collecting.events.flatMap((event) => (event.kind === 'checkpoint' ? [event.agreed.problem] : []));
  await collecting.until('it is said', () => problems().length > 0);
  assert.match(problems()[0] ?? '', /cosigned by 0 of 1/);
  const { checkpoint } = await log.checkpoint();
  const text = checkpoint.slice(0, checkpoint.indexOf('\n\n') + 1);
  agent.cosigned = () => `${checkpoint}${witness.cosign(text, 1_800_000_000)}`;
  await log.add(4);
  await collecting.until('it is cosigned', () => problems().includes(undefined));
  assert.equal(readFileSync(filesOf(directory, '.checkpoint')[0] ?? '', 'utf8'), agent.cosigned());
  // The witness does not continue.
  await log.add(4);
  const cosigns = problems().length;
  await collecting.until('it is said', () =>
    problems()
      .slice(cosigns)
      .some((problem) => problem?.includes('two checkpoints ago')),
  );
  assert.deepEqual(collecting.faults(), []);
  // Witnesses have cosigned another log of the same key.
  const other = signCheckpoint(log.signer, { size: 20, root: leafHash(Buffer.from('x')) });
  agent.cosigned = () =>
    `${other}${witness.cosign(other.slice(0, other.indexOf('\n\n') + 1), 1_800_000_000)}`;
  await collecting.until('that is a fork', () => collecting.faults().includes('fork'));
  await collecting.end();
  await log.close();
});

test('an agent without GetCheckpoint is collected as before, and one that fails does not stop another', async (t) => {
  const { log, agent, directory } = await setUp(t);
  agent.checkpoint = undefined;
  const dead: CollectedAgent = {
    name: 'dead',
    source: {
      kind: 'agent',
      connect: async () => {
        throw new Error('nobody listens');
      },
    },
  };
  const collecting = collect(directory, [dead, agent.collected()]);
  const stored = (): boolean =>
    filesOf(directory, '.log').some((file) => readFileSync(file, 'latin1').includes('"sequence":21,'));
  await collecting.until('the log is stored', stored);
  await collecting.until('the other is tried', () =>
    collecting.events.some(
      (event) => event.kind === 'disconnected' && event.agent === 'dead' && event.why === 'nobody listens',
    ),
  );
  const collected = await collecting.end();
  assert.deepEqual(
    collected.map(({ name, log: { state } }) => [name, state]),
    [
      ['dead', 'none'],
      ['node-1', 'verified'],
    ],
  );
  await log.close();
});

test('missing records are a gap, and what follows is stored', async (t) => {
  const { log, agent, directory } = await setUp(t);
  agent.lines = () => log.lines.filter((line) => sequenceNumber(line) < 5 || sequenceNumber(line) > 9);
  const collecting = collect(directory, [agent.collected()], { checkpoints: undefined });
  await collecting.until('it is found', () => collecting.faults().length > 0);
  const [{ log: collected } = { log: undefined }] = await collecting.end();
  assert.deepEqual(collecting.faults(), ['gap']);
  assert.deepEqual(collected, { state: 'gap', records: 16, lastSequence: 21 });
  await log.close();
});

test('an agent that fills its share of a directory takes no space of others, and that is logged', async (t) => {
  const hostile = await setUp(t, 400);
  const honest = await setUp(t);
  const maxBytes = 96 * 1024;
  assert.ok(Buffer.concat(hostile.log.lines).length > maxBytes, 'it has more than the whole directory');
  const agents = [hostile.agent.collected('hostile'), honest.agent.collected('honest')];
  const collecting = collect(honest.directory, agents, { maxBytes, checkpoints: undefined });
  t.after(() => collecting.end());
  await collecting.until('one is full', () => collecting.events.some(({ kind }) => kind === 'full'));
  await honest.log.add(5);
  const has = (sequence: number): boolean =>
    filesOf(honest.directory, '.log').some((file) => {
      const text = readFileSync(file, 'latin1');
      return honest.log.lines[0] !== undefined && text.startsWith(honest.log.lines[0].toString('latin1'))
        ? text.includes(`"sequence":${sequence},`)
        : false;
    });
  await collecting.until('the other is stored', () => has(26));
  const states = (await collecting.end()).map(({ name, log: { state } }) => [name, state]);
  assert.deepEqual(states, [
    ['hostile', 'full'],
    ['honest', 'verified'],
  ]);
  await Promise.all([hostile.log.close(), honest.log.close()]);
});

test('an agent with ever new faults and boots causes no flood of alerts', async (t) => {
  const { log, agent, directory } = await setUp(t, 3_000);
  // Each of them is after a gap of its own.
  agent.lines = () => log.lines.filter((line) => sequenceNumber(line) % 2 === 1);
  const collecting = collect(directory, [agent.collected()], { checkpoints: undefined });
  t.after(() => collecting.end());
  await collecting.until('all are stored', () =>
    filesOf(directory, '.log').some((file) => readFileSync(file, 'latin1').includes('"sequence":3001,')),
  );
  await collecting.end();
  const told = collecting.events.filter(({ kind }) => kind === 'fault').length;
  assert.ok(told > 0 && told < 300, `${told} of 1,500`);
  await log.close();

  let boots = await WrittenLog.start(t);
  for (let n = 0; n < 400; n += 1) {
    await boots.close();
    boots = await WrittenLog.start(t, boots);
  }
  const booting = await FakeAgent.serve(t, boots);
  const second = temporaryDirectory(t);
  const again = collect(second, [booting.collected()], { checkpoints: undefined });
  t.after(() => again.end());
  await again.until('all are stored', () =>
    filesOf(second, '.log').some((file) => readFileSync(file, 'latin1').split('\n').length > 400),
  );
  const [{ log: last } = { log: undefined }] = await again.end();
  assert.ok((last?.lastSequence ?? 0) >= 400);
  const alerts = again.events.filter(({ kind }) => kind === 'boot').length;
  assert.ok(alerts > 0 && alerts < 300, `${alerts} of 400`);
  await boots.close();
});
