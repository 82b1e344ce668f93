import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readAll, readUntil } from '../harness/container-client.js';
import { containerRequest, processRequest } from '../harness/container-request.js';
import { GuestMachine, type Run } from '../harness/guest-machine.js';
import { steady, until } from '../harness/patience.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const skip = whyNoContainers() ?? false;

const SIGTERM = 15;
const kata = '/run/kata-containers';

/** Containers of the pod share the pid namespace here. */
const privileged = '[agent]\nprivileged_containers = "allow"\n\n';

/** Runs until SIGTERM, and then exits with this code. */
const patient = (code: number): readonly string[] => [
  'sh',
  '-c',
  `trap "exit ${code}" TERM; echo ready; while :; do sleep 0.01; done`,
];

for (const init of ['waits', 'never waits'] as const) {
  describe(`an agent that is killed and started again, under a PID 1 that ${init}`, { skip }, () => {
    let machine: GuestMachine;
    let folder = '';
    let rootfs = '';
    let run: Run;
    let count = 0;
    // The first process of a pid namespace does not end before each zombie in it was waited for, execs included: under such
    // a PID 1 only a container without execs ends at all.
    const only = init === 'waits' ? it : ignored;

    before(async () => {
      folder = mkdtempSync(join(tmpdir(), 'kata-agent-restart-'));
      rootfs = makeRootfs(folder);
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
      rmSync(folder, { recursive: true });
    });

    /** What is done while there is no agent. */
    async function restart(meanwhile: () => void | Promise<void> = () => undefined): Promise<void> {
      run.channel.close();
      await run.kill();
      await meanwhile();
      run = await machine.start();
    }

    async function started(
      args: readonly string[],
      more: Partial<Parameters<typeof containerRequest>[0]> = {},
    ): Promise<string> {
      count += 1;
      const id = `c${count}`;
      await run.agent.createContainer(containerRequest({ id, rootfs, args, ...more }));
      await run.agent.startContainer({ containerId: id });
      return id;
    }

    async function ended(containerId: string, execId = ''): Promise<number> {
      return (await run.agent.waitProcess({ containerId, execId })).status;
    }

    /** Waits until no such program runs in the machine. */
    const gone =
      (pattern: string): (() => Promise<void>) =>
      async (): Promise<void> => {
        await until(`${pattern} is gone`, () => !machine.programs().some((line) => line.includes(pattern)));
      };

    only('the pod is what it was: name, resolver, namespaces, storages and their users', async () => {
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
            args: patient(3),
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
      const namespace = (id: string): string => machine.run('readlink', `/proc/${firstOf(id)}/ns/pid`).trim();
      assert.equal(namespace('late'), namespace('pause'), 'it joins what the first container holds');
      assert.equal(namespace('app'), namespace('pause'));
      for (const id of ['late', 'app']) {
        await run.agent.removeContainer({ containerId: id });
        assert.equal(mountsAt(`${kata}/sandbox/storage/data`), 1, 'another container uses it');
        await restart();
      }
      await run.agent.removeContainer({ containerId: 'pause' });
      assert.equal(mountsAt(`${kata}/sandbox/storage/data`), 0);
      assert.equal((await answerOf(run.agent.createSandbox({ sandboxId: 'pod' }))).code, 'ALREADY_EXISTS');
      assert.equal(mountsAt(`${kata}/sandbox/shm`), 1);
      const late = await answerOf(run.agent.createContainer(request('never')));
      assert.equal(late.code, 'FAILED_PRECONDITION', late.message);
    });

    only('nothing is lost of what a workload writes meanwhile, however much it is', async () => {
      // Far more than a pipe holds: without an agent it has to wait, and must neither fail nor be killed.
      const id = await started([
        'sh',
        '-c',
        'trap "go=1" TERM; echo ready; while [ -z "$go" ]; do sleep 0.01; done; yes | head -c 3000000; exit 4',
      ]);
      await readUntil(run.agent, id, 'ready');
      await restart(() => machine.signal(firstOf(id), 'TERM'));
      const all = await readAll(run.agent, 'stdout', id);
      assert.equal(all.length, 3_000_000);
      assert.equal(await ended(id), 4);
      await run.agent.removeContainer({ containerId: id });
    });

    only('stdin goes on, execs go on, each with its own exit code', async () => {
      const id = await started(patient(5));
      const exec = (execId: string, args: readonly string[]): Promise<unknown> =>
        run.agent.execProcess({ containerId: id, execId, process: processRequest(args) });
      await readUntil(run.agent, id, 'ready');
      await exec('reader', [
        'sh',
        '-c',
        'echo up; trap "go=1" TERM; while [ -z "$go" ]; do sleep 0.01; done; read line; echo "got $line"; exit 6',
      ]);
      await exec('over', ['sh', '-c', 'exit 8']);
      assert.equal(await ended(id, 'over'), 8);
      await readUntil(run.agent, id, 'up', 'reader');
      await restart();
      assert.equal(await ended(id, 'over'), 8, 'an exit that was told before is kept');
      await run.agent.writeStdin({ containerId: id, execId: 'reader', data: Buffer.from('a line\n') });
      await run.agent.signalProcess({ containerId: id, execId: 'reader', signal: SIGTERM });
      assert.equal((await readAll(run.agent, 'stdout', id, 'reader')).toString(), 'got a line\n');
      assert.equal(await ended(id, 'reader'), 6);
      assert.equal((await answerOf(exec('reader', ['true']))).code, 'OK', 'its id is free again');
      await run.agent.signalProcess({ containerId: id, execId: '', signal: SIGTERM });
      assert.equal(await ended(id), 5);
      await run.agent.removeContainer({ containerId: id });
    });

    it('an exit that falls into the time without an agent is told as such', async () => {
      const id = await started(patient(5));
      await readUntil(run.agent, id, 'ready');
      await restart(async () => {
        machine.signal(firstOf(id), 'TERM');
        await gone('exit 5')();
      });
      // A parent that has not waited has not taken the exit code away.
      assert.equal(await ended(id), init === 'waits' ? 255 : 5);
      const told = run.log.filter((line) => line.includes('is lost, and told as 255'));
      assert.equal(told.length, init === 'waits' ? 1 : 0);
      assert.equal((await readAll(run.agent, 'stdout', id)).length, 0);
      await run.agent.removeContainer({ containerId: id });
    });

    only('a paused container stays paused, one that was only created can be started', async () => {
      const paused = await started(patient(3));
      await readUntil(run.agent, paused, 'ready');
      await run.agent.pauseContainer({ containerId: paused });
      await run.agent.createContainer(
        containerRequest({ id: 'created', rootfs, args: ['sh', '-c', 'echo hello; exit 2'] }),
      );
      await restart();
      await run.agent.resumeContainer({ containerId: paused });
      await run.agent.signalProcess({ containerId: paused, execId: '', signal: SIGTERM });
      assert.equal(await ended(paused), 3);
      await run.agent.startContainer({ containerId: 'created' });
      assert.equal((await readAll(run.agent, 'stdout', 'created')).toString(), 'hello\n');
      assert.equal(await ended('created'), 2);
      for (const containerId of [paused, 'created']) await run.agent.removeContainer({ containerId });
    });

    it('a terminal ends with the agent that held it, and its program gets SIGHUP', async () => {
      const id = await started(['sh', '-c', 'trap "exit 11" HUP; echo ready; while :; do sleep 0.01; done'], {
        terminal: true,
      });
      await readUntil(run.agent, id, 'ready');
      await restart(gone('exit 11'));
      assert.equal((await readAll(run.agent, 'stdout', id)).length, 0);
      assert.equal(await ended(id), init === 'waits' ? 255 : 11);
      const resized = await answerOf(
        run.agent.ttyWinResize({ containerId: id, execId: '', row: 20, column: 80 }),
      );
      assert.equal(resized.code, 'FAILED_PRECONDITION');
      await run.agent.removeContainer({ containerId: id });
    });

    only('eight restarts leave no descriptor more than one', async () => {
      const id = await started(patient(3));
      await readUntil(run.agent, id, 'ready');
      await restart();
      const first = await steady(descriptors);
      for (let round = 0; round < 7; round += 1) await restart();
      assert.equal(await steady(descriptors), first);
      await run.agent.signalProcess({ containerId: id, execId: '', signal: SIGTERM });
      assert.equal(await ended(id), 3);
      await run.agent.removeContainer({ containerId: id });
    });

    only('a record that is torn or of another form costs its container, not the agent', async () => {
      const id = await started(patient(3));
      await readUntil(run.agent, id, 'ready');
      const file = machine.path(`/run/kata-agent/containers/${id}.json`);
      await restart(() => writeFileSync(file, '{"format":99}'));
      assert.equal((await answerOf(run.agent.statsContainer({ containerId: id }))).code, 'INVALID_ARGUMENT');
      assert.ok(!existsSync(machine.path(`${kata}/${id}`)));
      await gone('exit 3')();
    });

    function descriptors(): number {
      const [agent] = machine.run('pgrep', '-f', 'kata-agent.mjs').trim().split('\n');
      return machine.run('ls', `/proc/${agent}/fd`).trim().split('\n').length;
    }

    function mountsAt(place: string): number {
      return machine
        .run('cat', '/proc/self/mountinfo')
        .split('\n')
        .filter((line) => line.split(' ')[4] === place).length;
    }

    /** The pid of a container's first process, in the machine. */
    function firstOf(id: string): number {
      const record = JSON.parse(
        readFileSync(machine.path(`/run/kata-agent/containers/${id}.json`), 'utf8'),
      ) as {
        value: { first: { pid: number } };
      };
      return record.value.first.pid;
    }
  });
}

/** A test that this PID 1 has no part in. */
function ignored(_name: string, _test: () => Promise<void>): void {
  // Its twin under the other PID 1 runs.
}
