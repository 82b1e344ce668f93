import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { AgentService, StorageSchema } from '@kata-agent/protocol/agent';
import { Health } from '@kata-agent/protocol/health';
import { parseCheckpoint } from '@kata-agent/tlog';
import { type Channel, type Client, connect, createClient } from '@kata-agent/ttrpc';
import { agentPort } from '@kata-agent/tool-vm/inside/ports';
import { hostAddress } from '@kata-agent/tool-vm/machine/run';
import type { Machine } from '@kata-agent/tool-vm/machine/machine';
import { RealmHome, RealmProcess, until } from '../harness/realm-process.js';
import { ctlProgram, repository } from '../harness/repository.js';
import { answerOf } from '../harness/sweep.js';
import { witnessKey } from '../harness/witnessed-guest.js';
import { container, ext4Disk, rootDirectory } from './hotplug.js';
import { hostListener } from './listeners.js';
import { boot, connectTo, type Image, imageOf, serves, shell, whyNoMachine } from './machine.js';
import { SavableMachine } from './saved-machine.js';

const skip = whyNoMachine() ?? false;

type Fields = Readonly<Record<string, unknown>>;

const auditLog = '/run/kata-agent/audit.log';
const containers = ['pod', 'brief'];
/**
 * For what a guest under emulation does, on a machine with other work. A restored guest dials again at random within a minute
 * (backoff.ts), a second time if its first connection ends, as when its copy has come meanwhile.
 */
const patienceMs = 300_000;

/** A machine, and calls of its host, which connects on first use. */
class CalledGuest {
  readonly machine: Machine;
  #channel: Channel | undefined;

  constructor(machine: Machine) {
    this.machine = machine;
  }

  get agent(): Client<typeof AgentService> {
    return createClient(AgentService, this.#connected());
  }

  get health(): Client<typeof Health> {
    return createClient(Health, this.#connected());
  }

  /** The answer to a call that changes something. */
  async change(): Promise<{ readonly code: string; readonly message: string }> {
    return answerOf(this.agent.reseedRandomDev({ data: new Uint8Array(8) }));
  }

  /** Waits until a call that changes something has this code; it must be one of the two until then. */
  async changeIs(expected: 'OK' | 'UNAVAILABLE'): Promise<void> {
    await until(
      `a call is ${expected}`,
      async () => {
        const { code, message } = await this.change();
        assert.ok(code === 'OK' || code === 'UNAVAILABLE', `${code}: ${message}`);
        return code === expected;
      },
      patienceMs,
    );
  }

  /** The complete lines of the guest's log. */
  async lines(): Promise<readonly string[]> {
    return (await shell(this.machine, `cat ${auditLog}`)).split('\n').filter((line) => line.endsWith('}'));
  }

  /** The `performance.now()` of a time of the guest's monotonic clock. */
  async hostTime(monotonicNs: number): Promise<number> {
    const began = performance.now();
    const uptime = Number((await shell(this.machine, 'cat /proc/uptime')).split(' ')[0]);
    return (began + performance.now()) / 2 - uptime * 1_000 + monotonicNs / 1e6;
  }

  async end(): Promise<void> {
    this.#channel?.close();
    await this.machine.kill();
  }

  #connected(): Channel {
    this.#channel ??= connect(connectTo(this.machine, agentPort));
    return this.#channel;
  }
}

const parsed = (line: string): Fields => JSON.parse(line) as Fields;

describe('a guest with a realm as its witness', { skip }, () => {
  const home = new RealmHome('[[guest]]\nname = "pod"\nconfigurations = ["*"]\n', [hostAddress]);
  const witness = skip === false ? witnessKey(home) : undefined;
  const directory = mkdtempSync(join(tmpdir(), 'kata-vm-clone-'));
  const guests = new Set<CalledGuest>();
  let realm: RealmProcess;
  let image: Image;
  let savable: SavableMachine;
  let original: CalledGuest;
  let first: CalledGuest;
  let second: CalledGuest;

  const startRealm = async (): Promise<void> => {
    realm = await RealmProcess.start(home, ['--witness-key', witness?.file ?? '']);
  };

  function called(machine: Machine): CalledGuest {
    const guest = new CalledGuest(machine);
    guests.add(guest);
    return guest;
  }

  async function end(guest: CalledGuest): Promise<void> {
    guests.delete(guest);
    await guest.end();
  }

  /** The checkpoint that the realm has cosigned last; there is one log. */
  function cosigned(): string | undefined {
    const states = join(home.store, 'witness');
    const [name] = existsSync(states)
      ? readdirSync(states).filter((each) => each.endsWith('.checkpoint'))
      : [];
    return name === undefined ? undefined : readFileSync(join(states, name), 'utf8');
  }

  const cosignedSize = (): number => {
    const text = cosigned();
    return text === undefined ? 0 : parseCheckpoint(Buffer.from(text)).head.size;
  };

  /** Verifies a copy of a log; returns the exit code and the output. With a checkpoint, its witness is that of the realm. */
  function verify(
    lines: readonly string[],
    checkpoint?: string,
  ): { readonly code: number | null; readonly output: string } {
    const log = join(directory, 'copy.log');
    writeFileSync(log, lines.map((line) => `${line}\n`).join(''));
    const file = join(directory, 'copy.checkpoint');
    if (checkpoint !== undefined) writeFileSync(file, checkpoint);
    const trust =
      checkpoint === undefined ? [] : ['--checkpoint', file, '--witness', String(witness?.verifier)];
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [ctlProgram, 'audit', 'verify', log, ...trust],
      {
        encoding: 'utf8',
      },
    );
    return { code: status, output: stdout + stderr };
  }

  before(async () => {
    await startRealm();
    const config = join(repository, 'build', 'vm-tests', 'cloned-guest', 'config.toml');
    mkdirSync(join(config, '..'), { recursive: true });
    writeFileSync(
      config,
      `[api]
release = "4.1"

${hostListener('allowed_endpoints = ["@pod", "ReseedRandomDev", "StatsContainer"]\n')}
[[listener]]
name = "realm"
address = "https://${hostAddress}:${home.ports.guests}/guests"
relay = "trusted"
management = ["Describe", "WatchAudit"]

[listener.tls]
server_ca = ${JSON.stringify(home.ca.pem)}
pins = ["spki:sha256:${home.certificate.spki()}"]

[audit]
checkpoint_every = "1s"
heartbeat = "1s"
required_within = "10s"

[[audit.witness]]
key = "${String(witness?.verifier)}"
via = "realm"
`,
    );
    image = await imageOf('witnessed', { config });
    const disks = containers.map((id) => ext4Disk(directory, id, rootDirectory(directory, id)));
    savable = await SavableMachine.boot({ image, disks, reach: [home.ports.guests] }, directory);
    original = called(savable.machine);
    await serves(savable.machine);
  });
  after(async () => {
    for (const guest of guests) await guest.end();
    await realm?.stop();
    home.remove();
    rmSync(directory, { recursive: true, force: true });
  });

  it('has its checkpoints cosigned, and its host may run the pod', async () => {
    await until('a checkpoint is cosigned', () => cosignedSize() > 0, patienceMs);
    await original.changeIs('OK');
    await original.agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
    for (const [index, id] of containers.entries()) {
      const root = `/run/kata-containers/${id}/rootfs`;
      const request = container(id, 'sleep 100000', { root });
      const source = (0x10 + index).toString(16);
      request.storages.push(
        create(StorageSchema, { driver: 'blk', source, fstype: 'ext4', mountPoint: root }),
      );
      await original.agent.createContainer(request);
      await original.agent.startContainer({ containerId: id });
    }
  });

  it('a realm that is away: the host changes nothing, reads and ends; after its return it changes again', async (t) => {
    await realm.stop('SIGKILL');
    const away = performance.now();
    await original.changeIs('UNAVAILABLE');
    const refused = performance.now();
    assert.match((await original.change()).message, /no quorum of witnesses.*KA3104/);
    assert.equal((await answerOf(original.health.check({}))).code, 'OK');
    assert.equal((await answerOf(original.agent.getGuestDetails({}))).code, 'OK');
    assert.equal((await answerOf(original.agent.statsContainer({ containerId: 'pod' }))).code, 'OK');
    const signal = { containerId: 'brief', execId: 'brief', signal: 9 };
    assert.equal((await answerOf(original.agent.signalProcess(signal))).code, 'OK');
    assert.equal((await answerOf(original.agent.waitProcess(signal))).code, 'OK');
    assert.equal((await answerOf(original.agent.removeContainer(signal))).code, 'OK');
    assert.equal((await original.change()).code, 'UNAVAILABLE');
    await startRealm();
    const back = performance.now();
    await original.changeIs('OK');
    t.diagnostic(
      `refused ${Math.round(refused - away)} ms after the end of the realm (required_within = 10 s), served ${Math.round(performance.now() - back)} ms after its return`,
    );
  });

  it('is saved by the host and restored twice: both copies continue, and are found', async (t) => {
    await savable.save();
    await end(original);
    await realm.logged('guest ended');
    const resumedFirst = performance.now();
    first = called(await savable.restore('first'));
    const size = cosignedSize();
    await until('the first copy is cosigned again', () => cosignedSize() > size + 2, patienceMs);
    await first.changeIs('OK');
    t.diagnostic(
      `one copy alone: cosigned again ${Math.round(performance.now() - resumedFirst)} ms after its start`,
    );
    const faults = (): readonly string[] =>
      realm.log.flatMap(({ msg = '', fault = '' }) =>
        msg.startsWith('ALERT') ? [`${msg} ${fault}`.trim()] : [],
      );
    assert.deepEqual(
      faults().filter((msg) => !msg.includes('no audit record')),
      [],
      'one copy alone is no fork',
    );

    const saved = await first.lines();
    second = called(await savable.restore('second'));
    const resumed = performance.now();
    const found = new Map<string, number>();
    const see = async (what: string, met: () => boolean | Promise<boolean>): Promise<void> => {
      try {
        await until(what, met, patienceMs);
      } catch (cause) {
        throw new Error(`${(cause as Error).message}\n${realm.text()}`, { cause });
      }
      found.set(what, performance.now());
    };
    const isLogged = (match: (line: Readonly<Record<string, string>>) => boolean) => () =>
      realm.log.some(match);
    await Promise.all([
      see(
        'realm: clone',
        isLogged(({ msg }) => msg === 'ALERT: a guest was cloned'),
      ),
      // Which of the two it is depends on what of the second copy comes first: its records, or its checkpoint.
      see(
        'realm: fork or second-log',
        isLogged(({ msg = '', fault = '' }) => msg.startsWith('ALERT') && /^(fork|second-log)$/.test(fault)),
      ),
      see(
        'witness: 422',
        isLogged(({ msg, status }) => msg === 'a checkpoint of a guest was not cosigned' && status === '422'),
      ),
      ...[first, second].map((guest, index) =>
        see(
          `required_within: copy ${index + 1} changes nothing`,
          async () => (await guest.change()).code === 'UNAVAILABLE',
        ),
      ),
    ]);
    const [firstLines, secondLines] = await Promise.all([first.lines(), second.lines()]);
    const common = firstLines.findIndex((line, index) => line !== secondLines[index]);
    assert.ok(common > 1 && common <= saved.length, `${common} records are the same`);
    const begins = await second.hostTime(Number(parsed(secondLines[common] ?? '')['monotonic']));
    for (const [index, guest] of [first, second].entries()) {
      const lines = index === 0 ? firstLines : secondLines;
      const record = lines.map(parsed).find(({ method }) => method === '(witness)');
      assert.match(JSON.stringify(record?.['result']), /DATA_LOSS/);
      found.set(`copy ${index + 1}: (witness) record`, await guest.hostTime(Number(record?.['monotonic'])));
      assert.equal(record?.['peer'], 'witness realm.example/w1');
    }
    t.diagnostic(
      `the second copy's first own record: ${Math.round(begins - resumed)} ms after its start; after that record:`,
    );
    for (const [what, at] of found) t.diagnostic(`${what}: ${Math.round(at - begins)} ms`);
    t.diagnostic(`alerts: ${[...new Set(faults())].join('; ')}`);
    // Each log alone is a valid chain: only the checkpoint tells them apart.
    const checkpoint = cosigned() ?? '';
    const head = parseCheckpoint(Buffer.from(checkpoint)).head.size;
    assert.ok(head > common, 'the realm has cosigned records of one copy');
    assert.deepEqual(
      [firstLines, secondLines].map((lines) => verify(lines).code),
      [0, 0],
    );
    assert.equal(verify(firstLines, checkpoint).code, 0);
    const forked = verify(secondLines, checkpoint);
    assert.equal(forked.code, 4, forked.output);
    t.diagnostic(
      `audit verify --checkpoint of the other copy: ${forked.output.trim().split('\n').join(' | ')}`,
    );
    // Reads and Health are served in both.
    for (const guest of [first, second]) {
      assert.equal((await answerOf(guest.health.check({}))).code, 'OK');
      assert.equal((await answerOf(guest.agent.statsContainer({ containerId: 'pod' }))).code, 'OK');
    }
  });

  it('a log that is cut in the guest is found with the cosigned checkpoint', async (t) => {
    const checkpoint = cosigned() ?? '';
    const { size } = parseCheckpoint(Buffer.from(checkpoint)).head;
    const before = await first.lines();
    assert.ok(before.length >= size);
    const kept = before.slice(0, size - 3);
    const bytes = Buffer.byteLength(kept.map((line) => `${line}\n`).join(''));
    const cut = await shell(
      first.machine,
      `truncate -s ${bytes} ${auditLog} && head -n ${kept.length} ${auditLog}`,
    );
    assert.deepEqual(cut.trimEnd().split('\n'), kept);
    assert.equal(verify(kept).code, 0, 'the chain alone does not find it');
    const found = verify(kept, checkpoint);
    assert.equal(found.code, 4, found.output);
    t.diagnostic(found.output.trim().split('\n').join(' | '));
  });

  it('a second boot of the same image is a duplicate while a copy is there, and then a further boot', async (t) => {
    await end(second);
    const another = called(await boot(image, join(directory, 'another'), { reach: [home.ports.guests] }));
    await serves(another.machine);
    const began = performance.now();
    await until(
      'it is reported',
      () =>
        realm.log.some(({ msg = '' }) => msg.startsWith('ALERT: another guest reports the configuration')),
      patienceMs,
    );
    const twin = performance.now();
    await end(first);
    await until(
      'it is a further boot',
      () => realm.log.some(({ msg }) => msg === 'ALERT: a further boot of a guest'),
      patienceMs,
    );
    const alone = performance.now();
    await another.changeIs('OK');
    t.diagnostic(
      `twin ${Math.round(twin - began)} ms after it is ready, boot ${Math.round(alone - twin)} ms after the end of the copy`,
    );
  });
});
