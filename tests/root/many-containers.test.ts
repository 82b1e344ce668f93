import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { readAll } from '../harness/container-client.js';
import { cgroupParent, containerRequest } from '../harness/container-request.js';
import { steadyFootprint } from '../harness/footprint.js';
import { GuestMachine, type Run } from '../harness/guest-machine.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';

const skip = whyNoContainers() ?? false;

/** `MANY_CONTAINERS=2000` is what issue C shows. */
const many = Number(process.env['MANY_CONTAINERS'] ?? 80);

/** Until then code is compiled, tables grow to their size and caches fill. */
const warmUp = Math.max(20, Math.round(many / 10));

/** Bytes of memory that may be held after each container. A container's own objects are several thousand. */
const mostPerContainer = 500;

/** And once: what has a bound of its own, as the exits that the agent keeps of processes that nobody asked for. */
const mostOnce = 128 * 1024;

/** V8 goes on compiling for thousands of containers, and that is held as well: without, what is held is objects. */
const noCompiler = ['--no-opt', '--no-maglev', '--no-sparkplug', '--no-lazy-feedback-allocation'];

describe(`${many} containers, one after another`, { skip }, () => {
  let machine: GuestMachine;
  let run: Run;
  let folder = '';
  let rootfs = '';
  let report = '';

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'kata-agent-many-'));
    rootfs = makeRootfs(folder);
    machine = await GuestMachine.boot();
    report = join(folder, 'heap');
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
    rmSync(folder, { recursive: true });
  });

  it('lose no output and no exit code, and leave nothing: no memory, descriptor, mount, file, cgroup', async (context) => {
    for (let index = 0; index < warmUp; index += 1) await one(index);
    const before = await state();
    const heapBefore = await heap();
    for (let index = warmUp; index < warmUp + many; index += 1) await one(index);
    assert.deepEqual(await state(), before);
    const growth = (await heap()) - heapBefore;
    context.diagnostic(`memory: ${heapBefore} bytes, and ${growth} more after ${many} containers`);
    context.diagnostic(`descriptors: ${before.descriptors}; resident: ${resident()}`);
    assert.ok(
      growth < mostOnce + many * mostPerContainer,
      `${growth} bytes are held after ${many} containers`,
    );
  });

  async function one(index: number): Promise<void> {
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

  function state(): ReturnType<typeof steadyFootprint> {
    return steadyFootprint(run.pid, cgroupParent);
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
