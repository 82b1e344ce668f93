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

/** What says to a caller that the fault is its own, or the guest's state. */
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

/** Kata's agent answers so unless the memory agent is on, and callers look for it. */
const alsoInternal: ReadonlySet<string> = new Set(['MemAgentMemcgSet', 'MemAgentCompactSet']);

/** What an odd request may rightly ask for, and so be answered. It changes nothing that a footprint has. */
const mayAnswer: ReadonlySet<string> = new Set([
  'AddARPNeighbors',
  'GetMetrics',
  'GetGuestDetails',
  'GetIPTables',
  'ListInterfaces',
  'ListRoutes',
  'MemAgentCompactSet',
  'MemAgentMemcgSet',
  'OnlineCPUMem',
  'RemoveStaleVirtiofsShareMounts',
  'ReseedRandomDev',
  'SetIPTables',
  'SetPolicy',
  'UpdateEphemeralMounts',
  'UpdateRoutes',
]);

/** They wait for something that does not come. */
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
          { numRuns: runs },
        );
        assert.equal((await answerOf(guest.connection.health.check({}))).code, 'OK');
        assert.deepEqual(guest.state(), before);
      } finally {
        await guest.stop();
      }
    });
  }

  it('DestroySandbox has nothing that could be wrong, and ends an agent without a sandbox too', async () => {
    const guest = await BusyGuest.start(false);
    try {
      assert.equal((await answerOf(guest.client.destroySandbox({}))).code, 'OK');
      assert.equal(await guest.agent.exited, 0);
    } finally {
      await guest.stop();
    }
  });
});

function check(method: string, { code, message }: Answer): void {
  if (code === 'OK') assert.ok(mayAnswer.has(method), 'it was answered');
  else if (code === 'DEADLINE_EXCEEDED') assert.ok(waits.has(method), 'no answer came');
  else {
    assert.ok(clear.has(code) || (code === 'INTERNAL' && alsoInternal.has(method)), `${code}: ${message}`);
    assert.ok(message.length > 10 && message.length < 2_000, `${code}: ${message}`);
    assert.doesNotMatch(message.replaceAll('\n', ''), /\p{Cc}/u, JSON.stringify(message));
  }
}

/** Says when it has become what it stays. */
function settled(seconds: number): readonly string[] {
  return ['sh', '-c', `echo up; exec sleep ${seconds}`];
}

/** A sandbox of this would otherwise be one: hostnames and resolvers may be odd. */
function withBadStorage(message: Message): Message {
  const storages = [{ driver: 'nothing', mountPoint: '/etc' }];
  return Object.assign(message, {
    storages: create(AgentService.method.createSandbox.input, { storages }).storages,
  });
}

/** An agent with a sandbox, a container that runs, and a link that leads out of the shared folder. */
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
    // Answered when the runtime has said what it can: until then a process of it comes and goes.
    await client.getGuestDetails({});
    if (!withSandbox) return guest;
    await client.createSandbox({ sandboxId: 'pod', hostname: 'pod' });
    const rootfs = makeRootfs(agent.folder);
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

  /** All that none of the requests may change. */
  state(): unknown {
    const pid = this.agent.process.pid ?? assert.fail('the agent has no pid');
    const { processes, mounts, cgroups, files } = footprint(pid, parent);
    const watched = ['/etc/passwd', '/etc/hostname'].map((path) => readFileSync(path, 'utf8'));
    // Others may unmount what they have elsewhere.
    const own = mounts.filter((path) => path.startsWith('/run/'));
    return { processes, mounts: own, cgroups, files, watched };
  }

  async stop(): Promise<void> {
    await this.agent.dispose();
  }
}
