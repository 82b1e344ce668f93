import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { after, before, suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { create, type DescMessage, type DescMethod, fromBinary, toBinary } from '@bufbuild/protobuf';
import { EmptySchema } from '@bufbuild/protobuf/wkt';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { endpoints, methodNames, unclaimedWithForward } from '@kata-agent/catalogue';
import {
  AgentService,
  CreateContainerRequestSchema,
  ExecProcessRequestSchema,
  WriteStreamRequestSchema,
} from '@kata-agent/protocol/agent';
import { Management } from '@kata-agent/protocol/management';
import { LinuxNamespaceSchema } from '@kata-agent/protocol/oci';
import { type Channel, Code, codeName, connect, createClient, TtrpcError } from '@kata-agent/ttrpc';
import { AgentProcess } from '../harness/agent-process.js';
import { forwardedContainer, forwardedMethods, forwardedRequest } from '../harness/forwarded-requests.js';
import { callInner, InnerAgentProcess } from '../harness/inner-agent.js';
import { eventually, stableResult, waitUntil } from '../harness/retry.js';
import { build } from '../interop/artifacts.js';

const built = build('inner-agent', 'kata.binpb');
const method = AgentService.method;
type Record_ = Readonly<Record<string, unknown>>;

/** A document in forward mode, with more lines of `[agent]`, and further sections. */
function forwarding(inner: InnerAgentProcess, api = 'allowed_endpoints = ["*"]', more = ''): string {
  return `[agent]\nforward = "${inner.address}"\nprivileged_containers = "allow"\n[api]\n${api}\n${more}`;
}

/** Answered here; not forwarded at all; only where the configuration trusts the host. */
const others: readonly string[] = ['SetPolicy', 'SetIPTables', 'AddSwapPath'];

function named(agent: AgentProcess, name: string, kind?: string): readonly Record_[] {
  return agent
    .records()
    .filter((record) => record['method'] === name && (kind ?? record['kind']) === record['kind']);
}

function methodNamed(name: string): DescMethod {
  const found = AgentService.methods.find((each) => each.name === name);
  if (found === undefined) throw new TypeError(name);
  return found;
}

function memberOf(record: Record_ | undefined, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record_ | undefined)?.[key], record);
}

function residentMegabytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}

/** Returns the number of open descriptors, without files: the audit log opens its next segment in time. */
function descriptors(pid: number): number {
  const targets = readdirSync(`/proc/${pid}/fd`).map((fd) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${fd}`);
    } catch {
      return '/closed';
    }
  });
  return targets.filter((target) => !target.startsWith('/')).length;
}

suite('forward mode', { skip: built.ok ? false : built.missing, timeout: 120_000 }, () => {
  let inner: InnerAgentProcess;
  let agent: AgentProcess | undefined;

  before(async () => {
    inner = new InnerAgentProcess(built);
    await inner.start();
  });
  after(() => inner.dispose());

  async function withAgent(config: string, work: (agent: AgentProcess) => Promise<void>): Promise<void> {
    agent = await AgentProcess.start({ config });
    try {
      await work(agent);
    } finally {
      await agent.dispose();
    }
  }

  test('all methods reach the inner agent with the bytes of their requests', async () => {
    await withAgent(forwarding(inner), async (agent) => {
      const { channel, health } = await agent.connect();
      assert.equal(methodNames.length, 42);
      assert.equal((await health.version({})).agentVersion, 'inner');
      await health.check({});
      assert.deepEqual(
        [...forwardedMethods, ...others].toSorted(),
        AgentService.methods.map(({ name }) => name).toSorted(),
      );
      for (const name of forwardedMethods) {
        const { input } = methodNamed(name);
        const request = forwardedRequest(name);
        const reply = await callInner(channel, methodNamed(name), request);
        assert.equal(reply.method, name);
        assert.deepEqual(Buffer.from(reply.request), Buffer.from(toBinary(input, request)), name);
      }
      assert.equal(await agent.exited, 0, 'DestroySandbox ends the agent');
      for (const name of forwardedMethods) {
        if (!endpoints[name].changes) continue;
        const records = named(agent, name);
        assert.ok(records.length > 0, name);
        if (!records.some(({ kind }) => kind === 'intent')) continue;
        assert.ok(
          records.some(
            (record) => record['kind'] === 'outcome' && memberOf(record, 'result', 'code') === 'OK',
          ),
          name,
        );
      }
    });
  });

  test('what is not claimed is in the log and in the first record', async () => {
    await withAgent(forwarding(inner), async (agent) => {
      const ids = unclaimedWithForward.map(({ id }) => id);
      const [boot] = agent.records();
      assert.deepEqual(memberOf(boot, 'facts', 'forward'), { address: inner.address, unclaimed: ids });
      const line = agent.log
        .map((text) => JSON.parse(text) as Record_)
        .find(({ unclaimed }) => unclaimed !== undefined);
      assert.equal(line?.['unclaimed'], ids.join(' '));
      assert.match(String(line?.['msg']), /^forward mode: another agent does the work/);
    });
  });

  test('a field that the descriptors do not have is refused at every depth, and is not forwarded', async () => {
    await withAgent(forwarding(inner), async (agent) => {
      const { channel } = await agent.connect();
      const before = inner.calls.length;
      let places = 0;
      for (const descriptor of AgentService.methods) {
        for (const bytes of withUnknownField(descriptor.input)) {
          places += 1;
          await assert.rejects(
            callInner(channel, descriptor, fromBinary(EmptySchema, bytes), { input: EmptySchema }),
            (error) => {
              assert.ok(error instanceof TtrpcError);
              assert.equal(error.code, Code.InvalidArgument, descriptor.name);
              assert.match(error.message, /^field 2047 of .* is not known here$/);
              return true;
            },
          );
        }
      }
      assert.ok(places > 100, `${places} places`);
      assert.equal(inner.calls.length, before);
      const [first] = named(agent, 'CreateContainer', 'refusal');
      assert.match(
        String(memberOf(first, 'decision', 'reason')),
        /field 2047 of grpc\.CreateContainerRequest/,
      );
    });
  });

  test('encodings that decoders read differently are not forwarded as they are', async () => {
    await withAgent(forwarding(inner), async (agent) => {
      const { channel } = await agent.connect();
      const twice = Buffer.from('0a0161 0a0162'.replaceAll(' ', ''), 'hex');
      const reply = await callInner(channel, method.startContainer, fromBinary(EmptySchema, twice), {
        input: EmptySchema,
      });
      assert.equal(Buffer.from(reply.request).toString('hex'), '0a0162');
    });
  });

  test('lists and rules decide on each request, and records have intent and outcome', async () => {
    const rule =
      '[[api.rule]]\nname = "known"\nendpoints = ["ExecProcess", "CreateContainer"]\n' +
      'expression = \'args == ["/bin/ok"] && listener == "default" && has(peer.uid)\'\n';
    const api = `allowed_endpoints = ["@pod", "ExecProcess"]\nblocked_endpoints = ["CopyFile"]`;
    await withAgent(
      forwarding(inner, api, rule.replace('"default"', '"host"') + listener('host')),
      async (agent) => {
        const { channel } = await agent.connect();
        const exec = (command: string) =>
          create(ExecProcessRequestSchema, {
            containerId: 'c1',
            execId: 'e1',
            process: { Args: [command], Cwd: '/' },
          });
        await callInner(channel, method.execProcess, exec('/bin/ok'));
        const before = inner.calls.length;
        await assert.rejects(callInner(channel, method.execProcess, exec('/bin/sh')), {
          code: Code.PermissionDenied,
          message: /rule "known" refused it/,
        });
        await assert.rejects(callInner(channel, method.copyFile, create(method.copyFile.input)), {
          code: Code.Unimplemented,
          message: /CopyFile is not served here/,
        });
        assert.equal(inner.calls.length, before);
        await eventually(() => assert.equal(named(agent, 'ExecProcess').length, 3));
        const [intent, outcome, refusal] = ['intent', 'outcome', 'refusal'].map(
          (kind) => named(agent, 'ExecProcess', kind)[0],
        );
        assert.equal(memberOf(intent, 'decision', 'outcome'), 'allow');
        assert.deepEqual(memberOf(intent, 'subject'), { containerId: 'c1', execId: 'e1', argv0: '/bin/ok' });
        assert.equal(memberOf(outcome, 'intent'), memberOf(intent, 'sequence'));
        assert.equal(memberOf(outcome, 'result', 'code'), 'OK');
        assert.equal(memberOf(refusal, 'decision', 'rule'), 'known');
      },
    );
  });

  test('privileges that only an inner agent would give are denied, and do not reach it', async () => {
    const config = `[agent]\nforward = "${inner.address}"\n[api]\nallowed_endpoints = ["*"]\n`;
    await withAgent(config, async (agent) => {
      const { channel } = await agent.connect();
      const update = (Allow: boolean) =>
        create(method.updateContainer.input, {
          containerId: 'c1',
          resources: {
            Devices: [
              Allow
                ? { Allow, Type: 'b', Major: 254n, Minor: 0n, Access: 'rwm' }
                : { Allow, Type: 'a', Major: -1n, Minor: -1n, Access: 'rwm' },
            ],
          },
        });
      await callInner(channel, method.updateContainer, update(false));
      const before = inner.calls.length;
      await assert.rejects(callInner(channel, method.updateContainer, update(true)), {
        code: Code.PermissionDenied,
      });
      const root = forwardedContainer('c1', ({ OCI }) => {
        if (OCI?.Root !== undefined) OCI.Root.Path = '/';
      });
      await assert.rejects(callInner(channel, method.createContainer, root), {
        code: Code.PermissionDenied,
      });
      assert.equal(inner.calls.length, before);
      await eventually(() => {
        const [ofUpdate, ofCreate] = ['UpdateContainer', 'CreateContainer'].map((name) =>
          memberOf(named(agent, name, 'refusal')[0], 'decision', 'reason'),
        );
        assert.match(String(ofUpdate), /devices \(b 254:0\)/);
        assert.match(String(ofCreate), /root file system \//);
      });
    });
  });

  test('records of reads and writes have the number of bytes', async () => {
    await withAgent(forwarding(inner), async (agent) => {
      const { channel } = await agent.connect();
      const read = create(method.readStdout.input, { containerId: 'data:70000' });
      await callInner(channel, method.readStdout, read);
      const write = create(WriteStreamRequestSchema, { containerId: 'c1', data: new Uint8Array(123) });
      await callInner(channel, method.writeStdin, write);
      await eventually(() => {
        const bytes = (name: string) => memberOf(named(agent, name)[0], 'result', 'bytes');
        assert.deepEqual([bytes('ReadStdout'), bytes('WriteStdin')], [70_000, 123]);
      });
    });
  });

  test('names that the inner agent would read otherwise than rules are refused', async () => {
    const rule =
      '[[api.rule]]\nname = "no-admin"\nendpoints = ["CreateContainer"]\nexpression = \'!("CAP_SYS_ADMIN" in capabilities)\'\n';
    await withAgent(forwarding(inner, undefined, rule), async (agent) => {
      const { channel } = await agent.connect();
      const before = inner.calls.length;
      const withCapability = (name: string) =>
        forwardedContainer('c1', ({ OCI }) => OCI?.Process?.Capabilities?.Effective.push(name));
      for (const name of ['SYS_ADMIN', 'CAP_SYS_ADMIN'])
        await assert.rejects(callInner(channel, method.createContainer, withCapability(name)), {
          code: Code.PermissionDenied,
        });
      for (const name of ['"SYS_ADMIN"', '"CAP_SYS_ADMIN"', 'CAP_CAP_SYS_ADMIN', 'cap_sys_admin', ''])
        await assert.rejects(callInner(channel, method.createContainer, withCapability(name)), {
          code: Code.InvalidArgument,
          message: /is not the name of a capability/,
        });
      const spaces = forwardedContainer('c1', ({ OCI }) => {
        OCI?.Linux?.Namespaces.push(create(LinuxNamespaceSchema, { Type: 'netwerk' }));
      });
      await assert.rejects(callInner(channel, method.createContainer, spaces), {
        message: /"netwerk" is not the type of a namespace/,
      });
      const ports = create(ExecProcessRequestSchema, { containerId: 'c1', execId: 'e1', stdoutPort: 1 });
      await assert.rejects(callInner(channel, method.execProcess, ports), {
        message: /stdout_port .* must be 0/,
      });
      assert.equal(inner.calls.length, before);
      const allowed = await callInner(channel, method.createContainer, withCapability('CHOWN'));
      const { OCI } = fromBinary(CreateContainerRequestSchema, allowed.request);
      assert.equal(OCI?.Process?.Capabilities?.Effective.at(-1), 'CAP_CHOWN');
    });
  });

  test('errors, timeouts and traces are passed on, and no other metadata', async () => {
    await withAgent(forwarding(inner), async (agent) => {
      const { channel } = await agent.connect();
      const request = create(method.startContainer.input, { containerId: 'fail:5:ESRCH: No such process' });
      await assert.rejects(callInner(channel, method.startContainer, request), (error) => {
        assert.ok(error instanceof TtrpcError);
        assert.deepEqual([error.code, error.message], [Code.NotFound, 'ESRCH: No such process']);
        const [detail] = error.details;
        assert.equal(detail?.typeUrl, 'type.googleapis.com/google.protobuf.Empty');
        assert.deepEqual(
          Buffer.from(detail?.value ?? []),
          Buffer.from(toBinary(method.startContainer.input, request)),
        );
        return true;
      });
      const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
      const seen = await callInner(channel, method.getMetrics, create(method.getMetrics.input), {
        timeoutMs: 60_000,
        metadata: {
          Traceparent: trace,
          baggage: 'a=1',
          tracestate: ['1', '2'],
          other: 'x',
          'kata-agent-operator': 'y',
        },
      });
      assert.deepEqual(seen.metadata, { traceparent: [trace], baggage: ['a=1'] });
      assert.ok((seen.remainingMs ?? 0) > 55_000 && (seen.remainingMs ?? 0) <= 60_000);
      const none = await callInner(channel, method.getMetrics, create(method.getMetrics.input));
      assert.deepEqual([none.metadata, none.remainingMs], [null, undefined]);
    });
  });

  test('SetPolicy narrows this agent, and does not reach the inner agent', async () => {
    await withAgent(forwarding(inner), async (agent) => {
      const { channel, agent: client } = await agent.connect();
      const before = inner.calls.length;
      await assert.rejects(
        client.setPolicy({
          policy:
            '[api]\n[[api.rule]]\nname = "few"\nendpoints = ["CreateContainer"]\nexpression = "sandbox.id != \'\'"\n',
        }),
        { code: Code.InvalidArgument, message: /KA1315.*sandbox of CreateContainer is not known/ },
      );
      await client.setPolicy({ policy: '[api]\nblocked_endpoints = ["ReseedRandomDev"]\n' });
      await assert.rejects(callInner(channel, method.reseedRandomDev, create(method.reseedRandomDev.input)), {
        code: Code.Unimplemented,
      });
      assert.equal(inner.calls.length, before);
      await eventually(() =>
        assert.deepEqual(
          named(agent, 'SetPolicy', 'outcome').map((record) => memberOf(record, 'result', 'code')),
          ['INVALID_ARGUMENT', 'OK'],
        ),
      );
    });
  });

  test('the inner agent is killed and started again', async () => {
    await withAgent(forwarding(inner), async (agent) => {
      const { channel, health } = await agent.connect();
      const blocked = (id: string) =>
        callInner(channel, method.startContainer, create(method.startContainer.input, { containerId: id }));
      const before = inner.calls.length;
      const calls = ['block', 'block'].map((id) =>
        assert.rejects(blocked(id), {
          code: Code.Unavailable,
          message: /lost during the call: it may have been/,
        }),
      );
      await eventually(() => assert.equal(inner.calls.length, before + 2));
      const firstPid = inner.pid;
      await inner.kill();
      await Promise.all(calls);
      await assert.rejects(blocked('c1'), {
        code: Code.Unavailable,
        message: /the inner agent is not available/,
      });
      await assert.rejects(health.check({}), { code: Code.Unavailable });
      await eventually(() =>
        assert.deepEqual(
          named(agent, 'StartContainer', 'outcome').map((record) => memberOf(record, 'result', 'code')),
          ['UNAVAILABLE', 'UNAVAILABLE'],
        ),
      );
      // No call is repeated.
      await inner.start();
      await eventually(async () => void (await health.check({})));
      assert.equal((await blocked('c1')).method, 'StartContainer');
      assert.deepEqual(inner.calls.slice(before), ['StartContainer', 'StartContainer', 'StartContainer']);
      await eventually(() => {
        const peers = named(agent, '(connection)').map(({ kind, listener: name, peer }) =>
          [kind, name, peer].map(String).join(' '),
        );
        const uid = process.geteuid?.();
        assert.deepEqual(peers, [
          `intent forward pid ${firstPid} uid ${uid}`,
          `outcome forward pid ${firstPid} uid ${uid}`,
          `intent forward pid ${inner.pid} uid ${uid}`,
        ]);
      });
    });
  });

  test('containers are not listed: only the inner agent knows them', async () => {
    const more = `${listener('host')}management = ["ListContainers"]\n`;
    await withAgent(forwarding(inner, undefined, more), async (agent) => {
      const { channel } = await agent.connect();
      await assert.rejects(createClient(Management, channel).listContainers({}), {
        code: Code.FailedPrecondition,
        message: /the containers are not known: this agent forwards calls/,
      });
    });
  });

  test('the inner agent hangs: deadlines hold, other calls are answered, and memory is bounded', async () => {
    const more = `${listener('host')}management = ["Describe"]\n`;
    await withAgent(forwarding(inner, undefined, more), async (agent) => {
      const { channel, health } = await agent.connect();
      const other = await agent.connect();
      await callInner(channel, method.getMetrics, create(method.getMetrics.input));
      await inner.pause();
      try {
        await assert.rejects(health.check({}, { timeoutMs: 300 }), { code: Code.DeadlineExceeded });
        // The gate and SetPolicy answer as before.
        await assert.rejects(other.agent.setPolicy({ policy: 'x' }), { code: Code.InvalidArgument });
        const idle = residentMegabytes(agent.process.pid ?? 0);
        const data = new Uint8Array(2 ** 20);
        const codes = new Map<number, number>();
        for (let round = 0; round < 6; round += 1) {
          await Promise.all(
            Array.from({ length: 100 }, async () => {
              const request = create(WriteStreamRequestSchema, { containerId: 'c1', data });
              const { code } = (await callInner(channel, method.writeStdin, request, {
                timeoutMs: 500,
              }).catch((error: TtrpcError) => error)) as TtrpcError;
              codes.set(code, (codes.get(code) ?? 0) + 1);
            }),
          );
        }
        for (const code of codes.keys())
          assert.ok(code === Code.DeadlineExceeded || code === Code.ResourceExhausted, codeName(code));
        // Without deadlines: the limits end what could wait for ever.
        const patient = await agent.connect();
        const ended: number[] = [];
        const calls = Array.from({ length: 80 }, () => {
          const request = create(WriteStreamRequestSchema, { containerId: 'c1', data });
          return callInner(patient.channel, method.writeStdin, request).catch(({ code }: TtrpcError) => {
            ended.push(code);
          });
        });
        await eventually(() =>
          assert.ok(
            ended.filter((code) => code === Code.ResourceExhausted).length >= 80 - 64,
            `${ended.length}`,
          ),
        );
        patient.channel.close();
        await Promise.all(calls);
        const grown = residentMegabytes(agent.process.pid ?? 0) - idle;
        assert.ok(grown < 400, `680 MiB of requests: ${Math.round(grown)} MiB more`);
      } finally {
        inner.resume();
      }
      await eventually(async () => void (await health.check({}, { timeoutMs: 1_000 })));
      const metrics = create(method.getMetrics.input);
      assert.equal((await callInner(channel, method.getMetrics, metrics)).method, 'GetMetrics');
    });
  });

  test('what a hung inner agent has not read counts after its calls have ended, too, and so do checks', async () => {
    await withAgent(forwarding(inner), async (agent) => {
      const callers = await Promise.all(Array.from({ length: 10 }, () => agent.connect()));
      await callInner(callers[0]?.channel as Channel, method.getMetrics, create(method.getMetrics.input));
      await inner.pause();
      try {
        const data = new Uint8Array(2 ** 20);
        const write = create(WriteStreamRequestSchema, { containerId: 'c1', data });
        const service = 'x'.repeat(2 ** 20);
        /** Sends 60 MiB by five callers. Returns how many requests were refused for lack of space, when all have ended. */
        const refused = async (from: number): Promise<number> => {
          const asked = callers
            .slice(from, from + 5)
            .flatMap(({ channel, health }) =>
              Array.from({ length: 12 }, (_, index) =>
                index % 2 === 0
                  ? callInner(channel, method.writeStdin, write, { timeoutMs: 2_000 })
                  : health.check({ service }, { timeoutMs: 2_000 }),
              ),
            );
          const ended = (await Promise.allSettled(asked)) as readonly PromiseRejectedResult[];
          const codes = ended.map(({ reason }) => (reason as TtrpcError).code);
          for (const code of codes)
            assert.ok(code === Code.DeadlineExceeded || code === Code.ResourceExhausted, codeName(code));
          return codes.filter((code) => code === Code.ResourceExhausted).length;
        };
        assert.equal(await refused(0), 0);
        // Deadlines count from when a call was forwarded.
        await delay(1_500);
        assert.ok((await refused(5)) > 0, '120 MiB wait for the inner agent');
      } finally {
        inner.resume();
      }
      await eventually(async () => {
        const [first] = callers;
        await callInner(first?.channel as Channel, method.getMetrics, create(method.getMetrics.input));
      });
    });
  });

  test('large and slow replies are passed on, and a caller that goes away ends its calls', async () => {
    await withAgent(forwarding(inner), async (agent) => {
      const { channel } = await agent.connect();
      const bytes = 4 * 2 ** 20 - 100;
      const large = create(method.statsContainer.input, { containerId: `large:${bytes}` });
      assert.equal((await callInner(channel, method.statsContainer, large)).request.length, bytes);
      const slow = callInner(
        channel,
        method.statsContainer,
        create(method.statsContainer.input, { containerId: 'slow:500' }),
      );
      const quick = callInner(channel, method.getMetrics, create(method.getMetrics.input));
      assert.equal(await Promise.race([slow, quick]).then(({ method: name }) => name), 'GetMetrics');
      await slow;
      const pid = inner.pid;
      const open = descriptors(pid);
      const gone = await agent.connect();
      const waiting = create(method.waitProcess.input, { containerId: 'block' });
      const calls = Array.from({ length: 5 }, () =>
        assert.rejects(callInner(gone.channel, method.waitProcess, waiting), { code: Code.Canceled }),
      );
      await eventually(() => assert.equal(descriptors(pid), open + 1));
      gone.channel.close();
      await Promise.all(calls);
      await eventually(() => assert.equal(descriptors(pid), open));
    });
  });

  test('replies that a caller does not take wait at the inner agent, and other callers get theirs', async () => {
    await withAgent(forwarding(inner), async (agent) => {
      const other = await agent.connect();
      const metrics = create(method.getMetrics.input);
      await callInner(other.channel, method.getMetrics, metrics);
      const idle = residentMegabytes(agent.process.pid ?? 0);
      const socket = connectSocket(agent.socketPath);
      const channel = connect(socket);
      socket.pause();
      const bytes = 2 ** 20;
      const large = create(method.statsContainer.input, { containerId: `large:${bytes}` });
      const calls = Array.from({ length: 300 }, () => callInner(channel, method.statsContainer, large));
      const begun = (): number => inner.calls.filter((name) => name === 'StatsContainer').length;
      const before = begun();
      await waitUntil('calls have begun', () => begun() > before);
      // On a busy machine the agent stops reading requests before the last ones, since replies wait: all, or as many as begin.
      await stableResult(begun);
      await delay(1_000);
      assert.equal((await callInner(other.channel, method.getMetrics, metrics)).method, 'GetMetrics');
      const grown = residentMegabytes(agent.process.pid ?? 0) - idle;
      assert.ok(grown < 80, `${begun() - before} MiB of replies: ${Math.round(grown)} MiB more`);
      socket.resume();
      for (const { request } of await Promise.all(calls)) assert.equal(request.length, bytes);
      channel.close();
    });
  });

  test('64 clients: each has its connection, and nothing stays behind', async () => {
    const clients = 64;
    // Those of the round before may still be closing.
    await withAgent(forwarding(inner, undefined, '[limits]\nconnections = 256\n'), async (agent) => {
      const pid = agent.process.pid ?? 0;
      const round = async (): Promise<void> => {
        const connections = await Promise.all(Array.from({ length: clients }, () => agent.connect()));
        await Promise.all(
          connections.map(async ({ channel }, index) => {
            for (let call = 0; call < 20; call += 1) {
              const request = create(method.statsContainer.input, { containerId: `c${index}-${call}` });
              const reply = await callInner(channel, method.statsContainer, request);
              assert.deepEqual(
                Buffer.from(reply.request),
                Buffer.from(toBinary(method.statsContainer.input, request)),
              );
            }
          }),
        );
        for (const { channel } of connections) channel.close();
      };
      await round();
      await delay(200);
      const before = {
        descriptors: descriptors(pid),
        inner: descriptors(inner.pid),
        memory: residentMegabytes(pid),
      };
      for (let count = 0; count < 10; count += 1) await round();
      await eventually(() => {
        assert.equal(descriptors(pid), before.descriptors);
        assert.equal(descriptors(inner.pid), before.inner);
      });
      const grown = residentMegabytes(pid) - before.memory;
      assert.ok(grown < 40, `640 connections and 12,800 calls: ${Math.round(grown)} MiB more`);
    });
  });

  test('a socket that others can reach is refused at start, and an abstract one when the document is read', async () => {
    chmodSync(inner.directory, 0o755);
    try {
      const exposed = await AgentProcess.run({ config: forwarding(inner) });
      assert.equal(exposed.code, 3);
      assert.match(exposed.stderr, /other users have access to it \(mode 755\), and to the directory/);
    } finally {
      chmodSync(inner.directory, 0o700);
    }
    chmodSync(inner.socket, 0o777);
    try {
      const exposed = await AgentProcess.run({ config: forwarding(inner) });
      assert.equal(exposed.code, 3);
      assert.match(exposed.stderr, /other users can connect to it \(mode 777\)/);
    } finally {
      chmodSync(inner.socket, 0o755);
    }
    const abstract = forwarding(inner).replace(inner.address, 'unix://@inner');
    const refused = await AgentProcess.run({ config: abstract });
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /an abstract socket has no owner and no mode/);
  });

  test('the guest package is not loaded, and memory is less than with it', async (context) => {
    const resident = async (config: string): Promise<number> => {
      const agent = await AgentProcess.start({ config });
      try {
        const { health } = await agent.connect();
        for (let call = 0; call < 20; call += 1) await health.check({});
        await delay(500);
        return residentMegabytes(agent.process.pid ?? 0);
      } finally {
        await agent.dispose();
      }
    };
    const api = '[api]\nallowed_endpoints = ["*"]\n';
    const normal = await resident(api);
    const forward = await resident(forwarding(inner));
    context.diagnostic(
      `resident: ${normal.toFixed(1)} MiB with the guest, ${forward.toFixed(1)} MiB in forward mode`,
    );
    assert.ok(forward < normal);
  });
});

function listener(name: string): string {
  return `[[listener]]\nname = "${name}"\naddress = "vsock://-1:1024"\n`;
}

/** Returns encodings with an unknown field in the message, and in each message inside it. */
function withUnknownField(descriptor: DescMessage, path: readonly DescMessage[] = []): readonly Uint8Array[] {
  const unknown = new BinaryWriter().tag(2047, WireType.Varint).uint32(1).finish();
  const found: Uint8Array[] = [unknown];
  for (const field of descriptor.fields) {
    const message = field.message;
    if (message !== undefined && field.fieldKind !== 'map' && !path.includes(message))
      for (const inside of withUnknownField(message, [...path, descriptor]))
        found.push(new BinaryWriter().tag(field.number, WireType.LengthDelimited).bytes(inside).finish());
    if (field.fieldKind !== 'map') continue;
    found.push(new BinaryWriter().tag(field.number, WireType.LengthDelimited).bytes(unknown).finish());
  }
  return found;
}
