import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readUntil } from '../harness/container-client.js';
import { cgroupParent, containerRequest, processRequest } from '../harness/container-request.js';
import { GuestMachine, type Run } from '../harness/guest-machine.js';
import { killPoints, type NamedKillPoint, type Step, victim, victimExit } from '../harness/kill-points.js';
import { runtimeName } from '../harness/oci-runtime.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const skip = whyNoContainers() ?? false;

/** Rounds per kill point. The acceptance run uses `KILL_ROUNDS=10`. */
const rounds = Number(process.env['KILL_ROUNDS'] ?? 1);

type Agent = Run['agent'];

const SIGTERM = 15;
const SIGKILL = 9;
const bystander = 'bystander';
const bystanderExit = 9;

/** Returns a program that prints when it is ready, runs until SIGTERM and then exits with this code. */
const untilSigterm = (code: number): readonly string[] => [
  'sh',
  '-c',
  `trap "echo bye; exit ${code}" TERM; echo ready; while :; do sleep 0.01; done`,
];

/** The steps of a client up to and including each step; steps that are not needed are left out. */
const stepsUntil: Readonly<Record<Step, readonly Step[]>> = {
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

/** The mount point of the sandbox's storage. */
const sharedMemory = '/run/kata-containers/sandbox/shm';

describe(`recovery of an agent that is killed at ${killPoints.length} points (rounds: ${rounds})`, {
  skip,
}, () => {
  let machine: GuestMachine;
  let directory = '';
  let rootfs = '';

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-kill-'));
    rootfs = makeRootfs(directory);
    machine = await GuestMachine.boot();
  });

  after(async () => {
    await machine.dispose();
    rmSync(directory, { recursive: true });
  });

  for (const point of killPoints) {
    it(`the next agent recovers from a kill during ${point.during}: ${point.name}`, {
      timeout: 120_000 * rounds,
    }, async () => {
      try {
        for (let round = 1; round <= rounds; round += 1) await killAndRecover(point);
      } catch (error) {
        // Leftovers must not affect the next kill point.
        await machine.dispose();
        machine = await GuestMachine.boot();
        throw error;
      }
    });
  }

  async function killAndRecover(point: NamedKillPoint): Promise<void> {
    const preload = new URL('../harness/kill-point.js', import.meta.url).href;
    const killed = await machine.start({
      node: ['--import', preload],
      env: { KILL_POINT: JSON.stringify(point.at) },
    });
    try {
      for (const step of stepsUntil[point.during]) {
        const { code, message } = await answerOf(performStep(step, killed.agent));
        if (step !== point.during) assert.equal(code, 'OK', `${step}: ${message}`);
        else {
          assert.notEqual(code, 'OK', `${step} was answered, so the agent was not killed`);
          assert.equal(await killed.ended, null, `the agent ended by a signal: ${message}`);
        }
      }
    } finally {
      await killed.kill();
      killed.channel.close();
    }
    const next = await machine.start();
    try {
      await checkRecovery(point, next.agent);
      await answerOf(next.agent.destroySandbox({}));
      assert.equal(await next.ended, 0);
      assertNothingLeft();
    } catch (error) {
      console.error(next.log.join('\n'));
      await next.kill();
      throw error;
    } finally {
      next.channel.close();
    }
  }

  async function performStep(step: Step, agent: Agent): Promise<void> {
    const process = { containerId: victim, execId: '' };
    const steps: Readonly<Record<Step, () => Promise<unknown>>> = {
      sandbox: async () => {
        await createSandbox(agent);
        await startContainer(agent, bystander, bystanderExit);
      },
      create: () => agent.createContainer(victimRequest()),
      start: async () => {
        await agent.startContainer({ containerId: victim });
        await readUntil(agent, victim, 'ready');
      },
      exec: () => agent.execProcess({ ...process, execId: 'exec', process: processRequest(untilSigterm(3)) }),
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

  async function createSandbox(agent: Agent): Promise<void> {
    const storage = {
      driver: 'ephemeral',
      source: 'shm',
      fstype: 'tmpfs',
      options: ['mode=1777'],
      mountPoint: sharedMemory,
    };
    await agent.createSandbox({ sandboxId: 'pod', hostname: 'pod', storages: [storage] });
  }

  async function startContainer(agent: Agent, id: string, code: number): Promise<void> {
    await agent.createContainer(containerRequest({ id, rootfs, args: untilSigterm(code) }));
    await agent.startContainer({ containerId: id });
    await readUntil(agent, id, 'ready');
  }

  /** Returns a request with a bind storage and a root that is an overlay with its upper directory in the bundle. */
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
    return Object.assign(containerRequest({ id: victim, rootfs, args: untilSigterm(victimExit) }), {
      storages,
    });
  }

  async function checkRecovery({ during, found, code }: NamedKillPoint, agent: Agent): Promise<void> {
    if (during === 'sandbox') {
      const storage = await answerOf(agent.getVolumeStats({ volumeGuestPath: sharedMemory }));
      assert.equal(storage.code === 'OK', found === 'created', storage.message);
      await createSandbox(agent);
      return;
    }
    if (during === 'destroy') {
      // A reply means that the runtime has printed its version: until then its process is in the footprint.
      await agent.getGuestDetails({});
      assertNothingLeft();
      return;
    }
    const process = { containerId: victim, execId: '' };
    if (found === 'gone') {
      assert.equal((await answerOf(agent.statsContainer({ containerId: victim }))).code, 'INVALID_ARGUMENT');
      assertVictimGone();
      // Its removal is remembered from its first step on: its id is not given again.
      const again = await answerOf(performStep('create', agent));
      assert.equal(again.code, during === 'remove' ? 'ALREADY_EXISTS' : 'OK', again.message);
      if (during === 'remove') return checkBystander(agent);
    }
    if (found === 'gone' || found === 'created') await performStep('start', agent);
    if (found === 'paused') await performStep('resume', agent);
    if (found === 'running') {
      // Starting a running container is an error.
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
      await performStep('exit', agent);
    }
    await performStep('remove', agent);
    assertVictimGone();
    await checkBystander(agent);
  }

  /** Checks that the exec was recorded and can be waited for, or does not run. */
  async function checkExec(agent: Agent): Promise<void> {
    const exec = { containerId: victim, execId: 'exec' };
    const known = (await answerOf(agent.ttyWinResize({ ...exec, row: 1, column: 1 }))).code !== 'NOT_FOUND';
    assert.equal(machine.programs().filter((line) => line.includes('exit 3')).length, known ? 1 : 0);
    if (!known) return;
    await agent.signalProcess({ ...exec, signal: SIGTERM });
    assert.equal((await agent.waitProcess(exec)).status, 3);
  }

  /** Checks that the other container runs, and that its output and exit code are kept. */
  async function checkBystander(agent: Agent): Promise<void> {
    const process = { containerId: bystander, execId: '' };
    assert.equal(machine.programs().filter((line) => line.startsWith('sh -c trap')).length, 1);
    await agent.statsContainer({ containerId: bystander });
    await agent.signalProcess({ ...process, signal: SIGTERM });
    assert.match(await readUntil(agent, bystander, 'bye'), /bye/);
    assert.equal((await agent.waitProcess(process)).status, bystanderExit);
  }

  function assertVictimGone(): void {
    assert.ok(!existsSync(machine.path(`/run/kata-containers/${victim}`)), 'its directory');
    assert.deepEqual(namesIn('/run/kata-agent/bundles'), [bystander], 'bundles');
    assert.deepEqual(namesIn(`/run/kata-agent/${runtimeName}`), [bystander], 'state of the OCI runtime');
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

  function assertNothingLeft(): void {
    assert.deepEqual(machine.programs(), [], 'processes');
    assert.deepEqual(mounts(), [], 'mounts');
    assert.deepEqual(cgroups(), [], 'cgroups');
    const files = [runtimeName, 'run', 'containers', 'bundles', 'mounting'].flatMap((name) =>
      namesIn(`/run/kata-agent/${name}`),
    );
    assert.deepEqual(files, [], 'files');
    assert.deepEqual(namesIn('/run/kata-containers'), [], "Kata's directory");
    const state = namesIn('/run/kata-agent').filter((name) => name.endsWith('.json'));
    assert.deepEqual(state, [], 'state');
  }

  /** Returns the mounts of Kata and the agent, except the state file system, which the next agent uses. */
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
