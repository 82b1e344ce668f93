import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readUntil } from '../harness/container-client.js';
import { cgroupParent, containerRequest, processRequest } from '../harness/container-request.js';
import { GuestMachine, type Run } from '../harness/guest-machine.js';
import { killPoints, type NamedKillPoint, type Step, victim, victimExit } from '../harness/kill-points.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const skip = whyNoContainers() ?? false;

/** How often each point is tried. `KILL_ROUNDS=10` is what issue C shows. */
const rounds = Number(process.env['KILL_ROUNDS'] ?? 1);

type Agent = Run['agent'];

const SIGTERM = 15;
const SIGKILL = 9;
const bystander = 'bystander';
const bystanderExit = 9;

/** A program that says when it is ready, runs until SIGTERM, and then exits with this code. */
const patient = (code: number): readonly string[] => [
  'sh',
  '-c',
  `trap "echo bye; exit ${code}" TERM; echo ready; while :; do sleep 0.01; done`,
];

/** What a client does up to a step, and in it. Steps that lead nowhere near are left out. */
const paths: Readonly<Record<Step, readonly Step[]>> = {
  sandbox: ['sandbox'],
  create: ['sandbox', 'create'],
  start: ['sandbox', 'create', 'start'],
  exec: ['sandbox', 'create', 'start', 'exec'],
  pause: ['sandbox', 'create', 'start', 'pause'],
  resume: ['sandbox', 'create', 'start', 'pause', 'resume'],
  exit: ['sandbox', 'create', 'start', 'exit'],
  kill: ['sandbox', 'create', 'start', 'kill'],
  remove: ['sandbox', 'create', 'start', 'exit', 'remove'],
  destroy: ['sandbox', 'create', 'start', 'destroy'],
};

describe(`an agent that is killed, ${rounds} times at each of ${killPoints.length} points`, { skip }, () => {
  let machine: GuestMachine;
  let folder = '';
  let rootfs = '';

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kata-agent-kill-'));
    rootfs = makeRootfs(folder);
    machine = await GuestMachine.boot();
  });

  after(async () => {
    await machine.dispose();
    rmSync(folder, { recursive: true });
  });

  for (const point of killPoints) {
    it(`${point.during}: ${point.name}`, async () => {
      try {
        for (let round = 1; round <= rounds; round += 1) await tryPoint(point);
      } catch (error) {
        // What it has left is not the next point's fault.
        await machine.dispose();
        machine = await GuestMachine.boot();
        throw error;
      }
    });
  }

  async function tryPoint(point: NamedKillPoint): Promise<void> {
    const preload = new URL('../harness/kill-point.js', import.meta.url).href;
    const doomed = await machine.start({
      node: ['--import', preload],
      env: { KILL_POINT: JSON.stringify(point.at) },
    });
    try {
      for (const step of paths[point.during]) {
        const { code, message } = await answerOf(take(step, doomed.agent));
        if (step !== point.during) assert.equal(code, 'OK', `${step}: ${message}`);
        else {
          assert.notEqual(code, 'OK', `${step} was answered, so nothing was killed`);
          assert.equal(await doomed.ended, null, `it ended by a signal: ${message}`);
        }
      }
    } finally {
      await doomed.kill();
      doomed.channel.close();
    }
    const next = await machine.start();
    try {
      await check(point, next.agent);
      await answerOf(next.agent.destroySandbox({}));
      assert.equal(await next.ended, 0);
      nothingIsLeft();
    } catch (error) {
      console.error(next.log.join('\n'));
      await next.kill();
      throw error;
    } finally {
      next.channel.close();
    }
  }

  async function take(step: Step, agent: Agent): Promise<void> {
    const process = { containerId: victim, execId: '' };
    const steps: Readonly<Record<Step, () => Promise<unknown>>> = {
      sandbox: async () => {
        await makeSandbox(agent);
        await run(agent, bystander, bystanderExit);
      },
      create: () => agent.createContainer(victimRequest()),
      start: async () => {
        await agent.startContainer({ containerId: victim });
        await readUntil(agent, victim, 'ready');
      },
      exec: () => agent.execProcess({ ...process, execId: 'exec', process: processRequest(patient(3)) }),
      pause: () => agent.pauseContainer({ containerId: victim }),
      resume: () => agent.resumeContainer({ containerId: victim }),
      exit: async () => {
        await agent.signalProcess({ ...process, signal: SIGTERM });
        assert.equal((await agent.waitProcess(process)).status, victimExit);
      },
      kill: () => agent.signalProcess({ ...process, signal: SIGKILL }),
      remove: () => agent.removeContainer({ containerId: victim }),
      destroy: () => agent.destroySandbox({}),
    };
    await steps[step]();
  }

  async function makeSandbox(agent: Agent): Promise<void> {
    const mountPoint = '/run/kata-containers/sandbox/shm';
    const storage = {
      driver: 'ephemeral',
      source: 'shm',
      fstype: 'tmpfs',
      options: ['mode=1777'],
      mountPoint,
    };
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod', storages: [storage] });
  }

  async function run(agent: Agent, id: string, code: number): Promise<void> {
    await agent.createContainer(containerRequest({ id, rootfs, args: patient(code) }));
    await agent.startContainer({ containerId: id });
    await readUntil(agent, id, 'ready');
  }

  /** Its volume is a directory of the guest, its root is an overlay whose upper layer is in its bundle. */
  function victimRequest(): Parameters<Agent['createContainer']>[0] {
    const kata = '/run/kata-containers';
    const upper = 'io.katacontainers.fs-opt.overlay-rw';
    const storages = [
      {
        driver: 'bind',
        source: rootfs,
        fstype: 'bind',
        mountPoint: `${kata}/sandbox/storage/${victim}`,
        options: ['ro'],
      },
      {
        driver: 'overlayfs',
        fstype: 'overlay',
        mountPoint: `${kata}/${victim}/rootfs`,
        options: [`lowerdir=${rootfs}`, upper],
      },
    ];
    return Object.assign(containerRequest({ id: victim, rootfs, args: patient(victimExit) }), { storages });
  }

  async function check({ during, found, code }: NamedKillPoint, agent: Agent): Promise<void> {
    if (during === 'sandbox') {
      const again = await answerOf(makeSandbox(agent));
      assert.equal(again.code, found === 'gone' ? 'OK' : 'ALREADY_EXISTS', again.message);
      return;
    }
    if (during === 'destroy') {
      // Answered when the runtime has said what it can: until then a process of it comes and goes.
      await agent.getGuestDetails({});
      nothingIsLeft();
      return;
    }
    const process = { containerId: victim, execId: '' };
    if (found === 'gone') {
      assert.equal((await answerOf(agent.statsContainer({ containerId: victim }))).code, 'INVALID_ARGUMENT');
      noTraceOfVictim();
      await take('create', agent);
    }
    if (found === 'gone' || found === 'created') await take('start', agent);
    if (found === 'paused') await take('resume', agent);
    if (found === 'running') {
      // The runtime says whether it was started: to start it once more is an error.
      const again = await answerOf(agent.startContainer({ containerId: victim }));
      assert.equal(again.code, 'FAILED_PRECONDITION', again.message);
    }
    if (during === 'exec') await checkExec(agent);
    if (found === 'stopped') assert.equal((await agent.waitProcess(process)).status, code);
    else {
      await agent.execProcess({
        ...process,
        execId: 'later',
        process: processRequest(['sh', '-c', 'exit 5']),
      });
      assert.equal((await agent.waitProcess({ ...process, execId: 'later' })).status, 5);
      await take('exit', agent);
    }
    await take('remove', agent);
    noTraceOfVictim();
    await checkBystander(agent);
  }

  /** It was written down and can be waited for, or it does not run. */
  async function checkExec(agent: Agent): Promise<void> {
    const exec = { containerId: victim, execId: 'exec' };
    const known = (await answerOf(agent.ttyWinResize({ ...exec, row: 1, column: 1 }))).code !== 'NOT_FOUND';
    assert.equal(machine.programs().filter((line) => line.includes('exit 3')).length, known ? 1 : 0);
    if (!known) return;
    await agent.signalProcess({ ...exec, signal: SIGTERM });
    assert.equal((await agent.waitProcess(exec)).status, 3);
  }

  /** It has lost neither its output, nor its exit code, nor anything else by all that. */
  async function checkBystander(agent: Agent): Promise<void> {
    const process = { containerId: bystander, execId: '' };
    assert.equal(machine.programs().filter((line) => line.startsWith('sh -c trap')).length, 1);
    await agent.statsContainer({ containerId: bystander });
    await agent.signalProcess({ ...process, signal: SIGTERM });
    assert.match(await readUntil(agent, bystander, 'bye'), /bye/);
    assert.equal((await agent.waitProcess(process)).status, bystanderExit);
  }

  function noTraceOfVictim(): void {
    assert.ok(!existsSync(machine.path(`/run/kata-containers/${victim}`)), 'its directory');
    assert.deepEqual(namesIn('/run/kata-agent/bundles'), [bystander], 'bundles');
    assert.deepEqual(namesIn('/run/kata-agent/runc'), [bystander], 'what the runtime knows');
    assert.deepEqual(namesIn('/run/kata-agent/containers'), [`${bystander}.json`], 'records');
    assert.deepEqual(
      mounts().filter((line) => line.includes(victim)),
      [],
      'mounts',
    );
    assert.deepEqual(
      cgroups().filter((path) => path.includes(victim)),
      [],
      'cgroups',
    );
    assert.deepEqual(
      machine.programs().filter((line) => line.includes(`exit ${victimExit}`)),
      [],
      'processes',
    );
  }

  function nothingIsLeft(): void {
    assert.deepEqual(machine.programs(), [], 'processes');
    assert.deepEqual(mounts(), [], 'mounts');
    assert.deepEqual(cgroups(), [], 'cgroups');
    const files = ['runc', 'run', 'containers', 'bundles'].flatMap((name) =>
      namesIn(`/run/kata-agent/${name}`),
    );
    assert.deepEqual(files, [], 'files');
    assert.deepEqual(namesIn('/run/kata-containers'), [], "Kata's directory");
    const state = namesIn('/run/kata-agent').filter((name) => name.endsWith('.json'));
    assert.deepEqual(state, [], 'state');
  }

  /** The state directory's own file system stays, for the next agent. */
  function mounts(): readonly string[] {
    return machine
      .run('cat', '/proc/self/mountinfo')
      .split('\n')
      .filter((line) => line.includes(' /run/kata-') && !line.includes(' / /run/kata-agent '));
  }

  function cgroups(): readonly string[] {
    const root = '/sys/fs/cgroup';
    const parents = ['', ...readdirSync(root)].map((name) => join(root, name, cgroupParent));
    return parents
      .filter(existsSync)
      .flatMap((parent) => readdirSync(parent).map((name) => join(parent, name)))
      .filter((path) => !path.match(/\/(cgroup|cpu|memory|notify|tasks|[a-z_]+\.)[^/]*$/));
  }

  function namesIn(inside: string): readonly string[] {
    const path = machine.path(inside);
    return existsSync(path) ? readdirSync(path) : [];
  }
});
