import assert from 'node:assert/strict';
import { readFileSync, symlinkSync } from 'node:fs';
import { after, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { create, type Message } from '@bufbuild/protobuf';
import { AgentService } from '@kata-agent/protocol/agent';
import * as fc from 'fast-check';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { readUntil } from '../harness/container-client.js';
import { containerRequest, processRequest } from '../harness/container-request.js';
import { footprint } from '../harness/footprint.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { type Answer, answerOf } from '../harness/sweep.js';
import { hostileMessage } from './bad-input-requests.js';

/** Requests of each method. */
const runs = 50;
const parent = `kata-bad-input-${process.pid}`;

/** Codes for errors of the caller or the guest's state. */
const clear: ReadonlySet<string> = new Set([
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'FAILED_PRECONDITION',
  'RESOURCE_EXHAUSTED',
  'UNIMPLEMENTED',
  'OUT_OF_RANGE',
]);

/** Kata's agent also answers so if the memory agent is off, and clients look for it. */
const alsoInternal: ReadonlySet<string> = new Set(['MemAgentMemcgSet', 'MemAgentCompactSet']);

/** Methods that can succeed on such input. They change nothing in the footprint. */
const mayAnswer: ReadonlySet<string> = new Set([
  'AddARPNeighbors',
  'GetMetrics',
  'GetGuestDetails',
  'GetIPTables',
  // Without a configuration of any path, as with Kata's agent.
  'GetVolumeStats',
  'ListInterfaces',
  'ListRoutes',
  'MemAgentCompactSet',
  'MemAgentMemcgSet',
  // Without addresses, as with Kata's agent.
  'MemHotplugByProbe',
  'OnlineCPUMem',
  'RemoveStaleVirtiofsShareMounts',
  'ReseedRandomDev',
  'SetIPTables',
  'SetPolicy',
  // Without resources, as with Kata's agent.
  'UpdateContainer',
  'UpdateEphemeralMounts',
  'UpdateRoutes',
]);

/** Methods that wait for an event. */
const waits: ReadonlySet<string> = new Set(['GetOOMEvent']);

type Call = (request: Message, options: { readonly timeoutMs: number }) => Promise<unknown>;

describe('bad input', { skip: whyNoContainers() ?? false }, () => {
  const counts = new Map<string, number>();
  after(() => {
    const all = [...counts].sort(([a], [b]) => a.localeCompare(b)).map(([code, count]) => `${code} ${count}`);
    process.stdout.write(`# bad input: ${all.join(', ')}\n`);
  });

  for (const method of AgentService.methods.filter(({ name }) => name !== 'DestroySandbox')) {
    it(`${method.name}: a clear error, no crash, no change`, async () => {
      const guest = await BusyGuest.start(method.name !== 'CreateSandbox');
      try {
        const call = (guest.client as unknown as Readonly<Record<string, Call>>)[method.localName];
        assert.ok(call !== undefined);
        const before = guest.state();
        await fc.assert(
          fc.asyncProperty(hostileMessage(method.input), async (message) => {
            const request = method.name === 'CreateSandbox' ? withBadStorage(message) : message;
            const answer = await answerOf(call(request, { timeoutMs: waits.has(method.name) ? 20 : 10_000 }));
            counts.set(answer.code, (counts.get(answer.code) ?? 0) + 1);
            check(method.name, answer);
          }),
          { numRuns: runs, examples: examplesOf(method.name) },
        );
        assert.equal((await answerOf(guest.connection.health.check({}))).code, 'OK');
        assert.deepEqual(guest.state(), before);
      } finally {
        await guest.stop();
      }
    });
  }

  it('DestroySandbox has no invalid input, and ends an agent without a sandbox too', async () => {
    const guest = await BusyGuest.start(false);
    try {
      assert.equal((await answerOf(guest.client.destroySandbox({}))).code, 'OK');
      assert.equal(await guest.agent.exited, 0);
    } finally {
      await guest.stop();
    }
  });
});

/** Inputs that were answered wrongly once. */
function examplesOf(method: string): [Message][] {
  if (method !== 'GetVolumeStats') return [];
  const { input } = AgentService.method.getVolumeStats;
  // Where PID 1 has capabilities that the agent lacks, the kernel denies to read this link.
  return [[create(input, { volumeGuestPath: '/proc/1/root/etc/passwd' })]];
}

function check(method: string, { code, message }: Answer): void {
  if (code === 'OK') assert.ok(mayAnswer.has(method), 'it was answered');
  else if (code === 'DEADLINE_EXCEEDED') assert.ok(waits.has(method), 'no answer came');
  else {
    assert.ok(clear.has(code) || (code === 'INTERNAL' && alsoInternal.has(method)), `${code}: ${message}`);
    assert.ok(message.length > 10 && message.length < 2_000, `${code}: ${message}`);
    assert.doesNotMatch(message.replaceAll('\n', ''), /\p{Cc}/u, JSON.stringify(message));
  }
}

/** Prints a line and then sleeps. */
function settled(seconds: number): readonly string[] {
  return ['sh', '-c', `echo up; exec sleep ${seconds}`];
}

/** Invalid input can be a valid sandbox: any hostname and resolver. */
function withBadStorage(message: Message): Message {
  const storages = [{ driver: 'nothing', mountPoint: '/etc' }];
  return Object.assign(message, {
    storages: create(AgentService.method.createSandbox.input, { storages }).storages,
  });
}

/** Starts an agent with a sandbox, a running container, and a link that leaves the shared directory. */
class BusyGuest {
  readonly agent: AgentProcess;
  readonly connection: AgentConnection;

  private constructor(agent: AgentProcess, connection: AgentConnection) {
    this.agent = agent;
    this.connection = connection;
  }

  get client(): AgentConnection['agent'] {
    return this.connection.agent;
  }

  static async start(withSandbox: boolean): Promise<BusyGuest> {
    const agent = await AgentProcess.start();
    const guest = new BusyGuest(agent, await agent.connect());
    const { client } = guest;
    // A reply means that the runtime has printed its version: until then its process is in the footprint.
    await client.getGuestDetails({});
    if (!withSandbox) return guest;
    await client.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
    const rootfs = makeRootfs(agent.directory);
    const request = containerRequest({ id: 'busy', rootfs, args: settled(600) });
    if (request.OCI?.Linux) request.OCI.Linux.CgroupsPath = `/${parent}/busy`;
    await client.createContainer(request);
    await client.startContainer({ containerId: 'busy' });
    await client.execProcess({ containerId: 'busy', execId: 'e', process: processRequest(settled(601)) });
    await readUntil(client, 'busy', 'up');
    await readUntil(client, 'busy', 'up', 'e');
    while (guest.processes().join(' ') !== 'sleep sleep') await pause(20);
    const file = { path: '/run/kata-containers/shared/containers/here', fileMode: 0o100644, fileSize: 0n };
    await client.copyFile(file);
    const shared = `/proc/${agent.process.pid}/root/run/kata-containers/shared/containers`;
    symlinkSync('/etc', `${shared}/escape`);
    return guest;
  }

  processes(): readonly string[] {
    return footprint(this.agent.process.pid ?? 0, parent).processes;
  }

  /** State that none of the requests may change. */
  state(): unknown {
    const pid = this.agent.process.pid ?? assert.fail('the agent has no pid');
    const { processes, mounts, cgroups, files } = footprint(pid, parent);
    const watched = ['/etc/passwd', '/etc/hostname'].map((path) => readFileSync(path, 'utf8'));
    // Other tests can unmount their own mounts.
    const own = mounts.filter((path) => path.startsWith('/run/'));
    return { processes, mounts: own, cgroups, files, watched };
  }

  async stop(): Promise<void> {
    await this.agent.dispose();
  }
}
