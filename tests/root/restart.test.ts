import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readAll, readUntil } from '../harness/container-client.js';
import { containerRequest, processRequest } from '../harness/container-request.js';
import { GuestMachine, type Run } from '../harness/guest-machine.js';
import { stableResult, waitUntil } from '../harness/retry.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const skip = whyNoContainers() ?? false;

const SIGTERM = 15;
const kata = '/run/kata-containers';

/** A shared PID namespace is a privilege. */
const privileged = '[agent]\nprivileged_containers = "allow"\n\n';

/** Returns a program that runs until SIGTERM and then exits with this code. */
const untilSigterm = (code: number): readonly string[] => [
  'sh',
  '-c',
  `trap "exit ${code}" TERM; echo ready; while :; do sleep 0.01; done`,
];

for (const init of ['waits', 'never waits'] as const) {
  describe(`restart of a killed agent under a PID 1 that ${init}`, { skip }, () => {
    let machine: GuestMachine;
    let directory = '';
    let rootfs = '';
    let run: Run;
    let count = 0;
    // The first process of a PID namespace ends only after every zombie in it was reaped, including execs. Under a
    // PID 1 that never waits, only a container without execs can end.
    const itOnce = init === 'waits' ? it : skipTest;

    before(async () => {
      directory = mkdtempSync(join(tmpdir(), 'kata-agent-restart-'));
      rootfs = makeRootfs(directory);
      machine = await GuestMachine.boot(init, privileged);
      run = await machine.start();
      const storage = {
        driver: 'ephemeral',
        fstype: 'tmpfs',
        mountPoint: `${kata}/sandbox/shm`,
        options: ['mode=1777'],
      };
      await run.agent.createSandbox({
        sandboxId: 'pod',
        hostname: 'pod-of-tests',
        dns: ['nameserver 192.0.2.1'],
        storages: [storage],
      });
    });

    after(async () => {
      run.channel.close();
      await machine.dispose();
      rmSync(directory, { recursive: true });
    });

    /** Kills the agent, calls a function while there is none, and starts the next one. */
    async function restart(meanwhile: () => void | Promise<void> = () => undefined): Promise<void> {
      run.channel.close();
      await run.kill();
      await meanwhile();
      run = await machine.start();
    }

    async function startContainer(
      args: readonly string[],
      more: Partial<Parameters<typeof containerRequest>[0]> = {},
    ): Promise<string> {
      count += 1;
      const id = `c${count}`;
      await run.agent.createContainer(containerRequest({ id, rootfs, args, ...more }));
      await run.agent.startContainer({ containerId: id });
      return id;
    }

    async function waitProcess(containerId: string, execId = ''): Promise<number> {
      return (await run.agent.waitProcess({ containerId, execId })).status;
    }

    /** Returns a function that waits until no program with this text runs in the machine. */
    const untilGone =
      (pattern: string): (() => Promise<void>) =>
      async (): Promise<void> => {
        await waitUntil(
          `${pattern} is gone`,
          () => !machine.programs().some((line) => line.includes(pattern)),
        );
      };

    itOnce('a pod keeps its PID namespace, its storages and their users', async () => {
      const data = {
        driver: 'ephemeral',
        fstype: 'tmpfs',
        mountPoint: `${kata}/sandbox/storage/data`,
        options: [],
      };
      const request = (id: string) =>
        Object.assign(
          containerRequest({
            id,
            rootfs,
            args: untilSigterm(3),
            annotations: { 'io.kubernetes.cri.container-name': id },
          }),
          {
            storages: [{ ...data, driver: 'bind', source: rootfs, fstype: 'bind', options: ['bind'] }],
            sandboxPidns: id !== 'pause',
          },
        );
      for (const id of ['pause', 'app']) {
        await run.agent.createContainer(request(id));
        await run.agent.startContainer({ containerId: id });
        await readUntil(run.agent, id, 'ready');
      }
      await restart();
      assert.equal(mountsAt(`${kata}/sandbox/storage/data`), 1);
      await run.agent.createContainer(request('late'));
      await run.agent.startContainer({ containerId: 'late' });
      await readUntil(run.agent, 'late', 'ready');
      const namespace = (id: string): string =>
        machine.run('readlink', `/proc/${firstPid(id)}/ns/pid`).trim();
      assert.equal(
        namespace('late'),
        namespace('pause'),
        'a new container joins the namespace of the first one',
      );
      assert.equal(namespace('app'), namespace('pause'));
      for (const id of ['late', 'app']) {
        await run.agent.removeContainer({ containerId: id });
        assert.equal(mountsAt(`${kata}/sandbox/storage/data`), 1, 'another container uses the storage');
        await restart();
      }
      await run.agent.removeContainer({ containerId: 'pause' });
      assert.equal(mountsAt(`${kata}/sandbox/storage/data`), 0);
      assert.equal((await answerOf(run.agent.createSandbox({ sandboxId: 'pod' }))).code, 'ALREADY_EXISTS');
      assert.equal(mountsAt(`${kata}/sandbox/shm`), 1);
      const late = await answerOf(run.agent.createContainer(request('never')));
      assert.equal(late.code, 'FAILED_PRECONDITION', late.message);
    });

    itOnce(
      'output that a workload writes without an agent is not lost, even if it exceeds the pipe',
      async () => {
        // The output exceeds the pipe: without an agent the workload must block, and neither fail nor be killed.
        const id = await startContainer([
          'sh',
          '-c',
          'trap "go=1" TERM; echo ready; while [ -z "$go" ]; do sleep 0.01; done; yes | head -c 3000000; exit 4',
        ]);
        await readUntil(run.agent, id, 'ready');
        await restart(() => machine.signal(firstPid(id), 'TERM'));
        const all = await readAll(run.agent, 'stdout', id);
        assert.equal(all.length, 3_000_000);
        assert.equal(await waitProcess(id), 4);
        await run.agent.removeContainer({ containerId: id });
      },
    );

    itOnce('stdin and execs continue, and each exec keeps its exit code', async () => {
      const id = await startContainer(untilSigterm(5));
      const exec = (execId: string, args: readonly string[]): Promise<unknown> =>
        run.agent.execProcess({ containerId: id, execId, process: processRequest(args) });
      await readUntil(run.agent, id, 'ready');
      await exec('reader', [
        'sh',
        '-c',
        'echo up; trap "go=1" TERM; while [ -z "$go" ]; do sleep 0.01; done; read line; echo "got $line"; exit 6',
      ]);
      await exec('over', ['sh', '-c', 'exit 8']);
      assert.equal(await waitProcess(id, 'over'), 8);
      await readUntil(run.agent, id, 'up', 'reader');
      await restart();
      assert.equal(await waitProcess(id, 'over'), 8, 'an exit code that was reported before is kept');
      await run.agent.writeStdin({ containerId: id, execId: 'reader', data: Buffer.from('a line\n') });
      await run.agent.signalProcess({ containerId: id, execId: 'reader', signal: SIGTERM });
      assert.equal((await readAll(run.agent, 'stdout', id, 'reader')).toString(), 'got a line\n');
      assert.equal(await waitProcess(id, 'reader'), 6);
      assert.equal((await answerOf(exec('reader', ['true']))).code, 'OK', 'the exec ID can be used again');
      await run.agent.signalProcess({ containerId: id, execId: '', signal: SIGTERM });
      assert.equal(await waitProcess(id), 5);
      await run.agent.removeContainer({ containerId: id });
    });

    it('an exit without an agent is reported, with 255 if PID 1 has reaped the process', async () => {
      const id = await startContainer(untilSigterm(5));
      await readUntil(run.agent, id, 'ready');
      await restart(async () => {
        machine.signal(firstPid(id), 'TERM');
        await untilGone('exit 5')();
      });
      // The exit code is left if the parent has not waited.
      assert.equal(await waitProcess(id), init === 'waits' ? 255 : 5);
      const reported = run.log.filter((line) => line.includes('is lost, and reported as 255'));
      assert.equal(reported.length, init === 'waits' ? 1 : 0);
      assert.equal((await readAll(run.agent, 'stdout', id)).length, 0);
      await run.agent.removeContainer({ containerId: id });
    });

    itOnce('a paused container can be resumed, and a created one can be started', async () => {
      const paused = await startContainer(untilSigterm(3));
      await readUntil(run.agent, paused, 'ready');
      await run.agent.pauseContainer({ containerId: paused });
      await run.agent.createContainer(
        containerRequest({ id: 'created', rootfs, args: ['sh', '-c', 'echo hello; exit 2'] }),
      );
      await restart();
      await run.agent.resumeContainer({ containerId: paused });
      await run.agent.signalProcess({ containerId: paused, execId: '', signal: SIGTERM });
      assert.equal(await waitProcess(paused), 3);
      await run.agent.startContainer({ containerId: 'created' });
      assert.equal((await readAll(run.agent, 'stdout', 'created')).toString(), 'hello\n');
      assert.equal(await waitProcess('created'), 2);
      for (const containerId of [paused, 'created']) await run.agent.removeContainer({ containerId });
    });

    it('a terminal ends with the agent, and its program gets SIGHUP', async () => {
      const id = await startContainer(
        ['sh', '-c', 'trap "exit 11" HUP; echo ready; while :; do sleep 0.01; done'],
        {
          terminal: true,
        },
      );
      await readUntil(run.agent, id, 'ready');
      await restart(untilGone('exit 11'));
      assert.equal((await readAll(run.agent, 'stdout', id)).length, 0);
      assert.equal(await waitProcess(id), init === 'waits' ? 255 : 11);
      const resized = await answerOf(
        run.agent.ttyWinResize({ containerId: id, execId: '', row: 20, column: 80 }),
      );
      assert.equal(resized.code, 'FAILED_PRECONDITION');
      await run.agent.removeContainer({ containerId: id });
    });

    itOnce('restarts leak no file descriptors', async () => {
      const id = await startContainer(untilSigterm(3));
      await readUntil(run.agent, id, 'ready');
      await restart();
      const first = await stableResult(descriptors);
      for (let round = 0; round < 7; round += 1) await restart();
      assert.equal(await stableResult(descriptors), first);
      await run.agent.signalProcess({ containerId: id, execId: '', signal: SIGTERM });
      assert.equal(await waitProcess(id), 3);
      await run.agent.removeContainer({ containerId: id });
    });

    itOnce('an invalid state file removes its container, and the agent starts', async () => {
      const id = await startContainer(untilSigterm(3));
      await readUntil(run.agent, id, 'ready');
      const file = machine.path(`/run/kata-agent/containers/${id}.json`);
      await restart(() => writeFileSync(file, '{"format":99}'));
      assert.equal((await answerOf(run.agent.statsContainer({ containerId: id }))).code, 'INVALID_ARGUMENT');
      assert.ok(!existsSync(machine.path(`${kata}/${id}`)));
      await untilGone('exit 3')();
    });

    function descriptors(): number {
      const [agent] = machine.run('pgrep', '-f', String.raw`/kata-agent(\.mjs)? `).trim().split('\n');
      return machine.run('ls', `/proc/${agent}/fd`).trim().split('\n').length;
    }

    function mountsAt(mountPoint: string): number {
      return machine
        .run('cat', '/proc/self/mountinfo')
        .split('\n')
        .filter((line) => line.split(' ')[4] === mountPoint).length;
    }

    /** Returns the pid of a container's first process in the PID namespace of the machine. */
    function firstPid(id: string): number {
      const record = JSON.parse(
        readFileSync(machine.path(`/run/kata-agent/containers/${id}.json`), 'utf8'),
      ) as {
        value: { first: { pid: number } };
      };
      return record.value.first.pid;
    }
  });
}

/** Skips a test that runs only under the other PID 1. */
function skipTest(_name: string, _test: () => Promise<void>): void {
  // The other PID 1 runs the test.
}
