import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { readAll } from '../harness/container-client.js';
import { cgroupParent, containerRequest } from '../harness/container-request.js';
import { stableFootprint } from '../harness/footprint.js';
import { GuestMachine, type Run } from '../harness/guest-machine.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';

const skip = whyNoContainers() ?? false;

/** The number of containers. The acceptance run uses `MANY_CONTAINERS=2000`. */
const many = Number(process.env['MANY_CONTAINERS'] ?? 160);

/** The number of containers of the warm-up, in which code is compiled and tables and caches fill. */
const warmUp = Math.max(40, Math.round(many / 10));

/** Limit of retained memory per container, in bytes. The objects of one container take several thousand bytes. */
const maxPerContainer = 500;

/** Limit of memory that is retained once, in bytes: bounded tables, such as exit codes that were never waited for. */
const maxOnce = 128 * 1024;

/** What is retained once can come in any round, also late; a leak grows in each. */
const rounds = 3;

/** V8 compiles and retains code for thousands of containers; without compilation only objects are retained. */
const noCompiler = ['--no-opt', '--no-maglev', '--no-sparkplug', '--no-lazy-feedback-allocation'];

describe(`${many} sequential containers`, { skip }, () => {
  let machine: GuestMachine;
  let run: Run;
  let directory = '';
  let rootfs = '';
  let report = '';

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-many-'));
    rootfs = makeRootfs(directory);
    machine = await GuestMachine.boot();
    report = join(directory, 'heap');
    run = await machine.start({
      node: [
        ...noCompiler,
        '--expose-gc',
        '--import',
        new URL('../harness/heap-report.js', import.meta.url).href,
      ],
      env: { HEAP_REPORT: report },
    });
    await run.agent.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
  });

  after(async () => {
    run.channel.close();
    await machine.dispose();
    rmSync(directory, { recursive: true });
  });

  it('containers lose no output and exit code, and leave no memory, file descriptors, mounts, files or cgroups', async (context) => {
    for (let index = 0; index < warmUp; index += 1) await runContainer(index);
    const before = await readState();
    const growths: number[] = [];
    for (let round = 0, next = warmUp; round < rounds; round += 1, next += many) {
      const heapBefore = await heap();
      for (let index = next; index < next + many; index += 1) await runContainer(index);
      assert.deepEqual(await readState(), before);
      const growth = (await heap()) - heapBefore;
      context.diagnostic(`memory: ${heapBefore} bytes, and ${growth} more after ${many} containers`);
      context.diagnostic(`descriptors: ${before.descriptors}; resident: ${resident()}`);
      growths.push(growth);
      if (growth < maxOnce + many * maxPerContainer) break;
    }
    assert.ok(
      Math.min(...growths) < maxOnce + many * maxPerContainer,
      `${growths.join(', ')} bytes are retained after ${many} containers each`,
    );
  });

  async function runContainer(index: number): Promise<void> {
    const id = `many-${index}`;
    const { agent } = run;
    const args = ['sh', '-c', `echo ${index}; exit ${index % 200}`];
    const data = {
      driver: 'bind',
      source: rootfs,
      fstype: 'bind',
      options: ['bind'],
      mountPoint: `/run/kata-containers/sandbox/storage/${id}`,
    };
    await agent.createContainer(Object.assign(containerRequest({ id, rootfs, args }), { storages: [data] }));
    await agent.startContainer({ containerId: id });
    assert.equal((await readAll(agent, 'stdout', id)).toString(), `${index}\n`);
    assert.equal((await readAll(agent, 'stderr', id)).length, 0);
    assert.equal((await agent.waitProcess({ containerId: id, execId: '' })).status, index % 200);
    await agent.removeContainer({ containerId: id });
  }

  function readState(): ReturnType<typeof stableFootprint> {
    return stableFootprint(run.pid, cgroupParent);
  }

  async function heap(): Promise<number> {
    rmSync(report, { force: true });
    process.kill(run.pid, 'SIGUSR2');
    while (!existsSync(report)) await delay(5);
    return Number(readFileSync(report, 'utf8'));
  }

  function resident(): string {
    return /^VmRSS:\s*(.*)$/m.exec(readFileSync(`/proc/${run.pid}/status`, 'utf8'))?.[1] ?? 'unknown';
  }
});
