import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { readUntil } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { GuestMachine, type Run } from '../harness/guest-machine.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const skip = whyNoContainers() ?? false;

const SIGTERM = 15;
const state = '/run/kata-agent';
const kata = '/run/kata-containers';
const other = '/run/other';

/** A program that runs until SIGTERM and then exits with 5. */
const untilSigterm = ['sh', '-c', 'trap "exit 5" TERM; echo ready; while :; do sleep 0.01; done'];

describe('two agents on one machine', { skip }, () => {
  let directory = '';
  let rootfs = '';
  let machine: GuestMachine;
  let runs: Run[] = [];

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-two-'));
    rootfs = makeRootfs(directory);
  });
  after(() => rmSync(directory, { recursive: true }));
  beforeEach(async () => {
    machine = await GuestMachine.boot();
    runs = [];
  });
  afterEach(async () => {
    for (const { channel } of runs) channel.close();
    await machine.dispose();
  });

  async function start(options: Parameters<GuestMachine['start']>[0] = {}): Promise<Run> {
    const run = await machine.start(options);
    runs.push(run);
    return run;
  }

  async function startContainer({ agent }: Run, id: string): Promise<void> {
    await agent.createContainer(containerRequest({ id, rootfs, args: untilSigterm }));
    await agent.startContainer({ containerId: id });
    await readUntil(agent, id, 'ready');
  }

  /** Ends a container by a signal, removes it and returns its exit code. */
  async function endContainer({ agent }: Run, containerId: string): Promise<number> {
    await agent.signalProcess({ containerId, execId: '', signal: SIGTERM });
    const { status } = await agent.waitProcess({ containerId, execId: '' });
    await agent.removeContainer({ containerId });
    return status;
  }

  /** Stops the agent by SIGTERM and waits for it. */
  async function stop({ channel, process, pid, ended }: Run): Promise<void> {
    channel.close();
    assert.equal(process.exitCode, null);
    globalThis.process.kill(pid, 'SIGTERM');
    await ended;
  }

  /** Returns the agent's pid in the PID namespace of the machine. */
  function pidInside({ pid }: Run): string {
    const numbers = /^NSpid:\s+(.*)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return numbers?.split('\t').at(-1) ?? '';
  }

  /** Returns names, modes, sizes and times of all files below these directories. */
  const listing = (...directories: string[]): string =>
    machine.run('find', ...directories, '-printf', '%p %m %s %T@ %C@\\n');

  /** Returns the pids of processes with an open file descriptor of the lock. */
  function lockHolders(path: string): readonly string[] {
    const script = `for fd in /proc/[0-9]*/fd/*; do [ "$(readlink $fd)" = ${path} ] && echo $fd; done; true`;
    const found = machine.run('sh', '-c', script).split('\n').filter(Boolean);
    return [...new Set(found.map((fd) => fd.split('/')[2] ?? ''))];
  }

  it('a second agent exits with 3, names the first one and changes nothing, and the first one continues', async () => {
    const first = await start();
    await first.agent.createSandbox({ sandboxId: 'pod' });
    await startContainer(first, 'c');
    const before = listing(state, kata);
    const { code, stderr } = await machine.runRejected();
    assert.equal(code, 3, stderr);
    const fatal = stderr.split('\n').filter((line) => line.includes('"CRIT"'));
    assert.equal(fatal.length, 1, stderr);
    const { msg } = JSON.parse(fatal[0] ?? '') as { msg: string };
    assert.ok(msg.includes(`${state} is in use by another agent: process ${pidInside(first)} (`), msg);
    assert.match(msg, /kata-agent(?:\.mjs)? .*\nhelp: stop that agent first/);
    assert.ok(!stderr.includes('"msg":"listening"'), stderr);
    assert.equal(listing(state, kata), before);
    assert.equal(await endContainer(first, 'c'), 5);
  });

  it('an agent starts directly after a killed one, because containers do not hold the lock', async () => {
    const first = await start();
    await startContainer(first, 'c');
    await first.agent.execProcess({
      containerId: 'c',
      execId: 'e',
      process: containerRequest({ id: 'c', rootfs, args: untilSigterm }).OCI?.Process,
    });
    assert.deepEqual(lockHolders(`${state}/lock`), [pidInside(first)]);
    assert.deepEqual(lockHolders(kata), [pidInside(first)]);
    first.channel.close();
    await first.kill();
    assert.deepEqual(lockHolders(`${state}/lock`), []);
    const second = await start();
    assert.deepEqual(lockHolders(`${state}/lock`), [pidInside(second)]);
    assert.deepEqual(
      lockHolders(kata),
      [pidInside(second)],
      'the second agent holds the lock of the recovered sandbox',
    );
    assert.equal(await endContainer(second, 'c'), 5);
  });

  it('the error says that the first agent is in another PID namespace', async () => {
    const first = await start();
    // A shell is PID 1 there: an agent as PID 1 would set up the machine as a guest.
    const wrapper = ['unshare', '--pid', '--fork', '--mount-proc', 'sh', '-c', '"$0" "$@"; exit $?'];
    const { code, stderr } = await machine.runRejected({ wrapper });
    assert.equal(code, 3, stderr);
    const holder = `a process in another PID namespace (there: process ${pidInside(first)} (`;
    assert.ok(stderr.includes(holder), stderr);
    assert.equal((await answerOf(first.agent.getGuestDetails({}))).code, 'OK');
  });

  it('agents with separate state directories run concurrently, and only one has the sandbox', async () => {
    const first = await start();
    const second = await start({ stateDirectory: other });
    assert.ok(
      existsSync(machine.path(`${other}/audit.log`)),
      'the default audit log is in the state directory',
    );
    await startContainer(first, 'c');
    const request = containerRequest({ id: 'd', rootfs, args: untilSigterm });
    for (const call of [
      second.agent.createSandbox({ sandboxId: 'pod' }),
      second.agent.createContainer(request),
    ]) {
      const { code, message } = await answerOf(call);
      assert.equal(code, 'FAILED_PRECONDITION', message);
      assert.ok(message.includes(`its sandbox in ${kata}: process ${pidInside(first)} (`), message);
    }
    assert.equal((await answerOf(second.agent.getGuestDetails({}))).code, 'OK');
    const before = listing(`${state}/bundles/c/config.json`);
    await stop(second);
    assert.ok(!second.log.some((line) => line.includes('could not be stopped')), second.log.join('\n'));
    assert.equal(listing(`${state}/bundles/c/config.json`), before);
    assert.equal(await endContainer(first, 'c'), 5);
    await stop(first);
    const third = await start({ stateDirectory: other });
    await startContainer(third, 'd');
    third.channel.close();
    await third.kill();
    const fourth = await start({ stateDirectory: other });
    assert.equal(await endContainer(fourth, 'd'), 5);
  });

  it('a measured configuration is rejected with --state-dir', async () => {
    const config = join(machine.directory, 'measured.toml');
    writeFileSync(config, '[api]\nallowed_endpoints = ["@pod"]\n[measurement]\ntpm = "try"\n');
    const { code, stderr } = await machine.runRejected({ args: ['-c', config, '--state-dir', other] });
    assert.equal(code, 3, stderr);
    assert.match(stderr, /this configuration is measured \(tpm = \\"try\\"\)\\nhelp: leave --state-dir out/);
    assert.ok(!existsSync(machine.path(other)));
  });

  it('the sandbox of a killed agent is kept, and its state directory is rejected while another agent has the sandbox', async () => {
    const first = await start();
    await startContainer(first, 'c');
    first.channel.close();
    await first.kill();
    // Without a sandbox of its own an agent removes nothing that can be recovered.
    const idle = await start({ stateDirectory: other });
    await stop(idle);
    const next = await start();
    assert.equal((await answerOf(next.agent.statsContainer({ containerId: 'c' }))).code, 'OK');
    next.channel.close();
    await next.kill();
    const second = await start({ stateDirectory: other });
    await startContainer(second, 'd');
    const { code, stderr } = await machine.runRejected();
    assert.equal(code, 3, stderr);
    assert.ok(stderr.includes(`its sandbox in ${kata}: process ${pidInside(second)} (`), stderr);
    assert.equal(await endContainer(second, 'd'), 5);
    await stop(second);
  });
});
