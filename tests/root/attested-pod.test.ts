import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, it } from 'node:test';
import { fromJson, type JsonValue, type Message } from '@bufbuild/protobuf';
import { writeInitdataImage } from '@kata-agent/config';
import { AgentService } from '@kata-agent/protocol/agent';
import type { Client } from '@kata-agent/ttrpc';
import { AgentProcess } from '../harness/agent-process.js';
import { Authority } from '../harness/authority.js';
import { cgroupParent } from '../harness/container-request.js';
import { DeliverySources } from '../harness/delivery-sources.js';
import { endWithTests } from '../harness/end-with-tests.js';
import { GuestComponentPrograms } from '../harness/guest-components.js';
import { pageBlocks } from '../harness/guide.js';
import { GuideDirectory } from '../harness/guide-directory.js';
import { pauseBundle } from '../harness/pause-bundle.js';
import { ctlProgram, repository } from '../harness/repository.js';
import { eventually } from '../harness/retry.js';
import { whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';
import { client } from './scenario-replay.js';
import { type ListedCall, makeImage } from './scenario-share.js';

// The pod of docs/attested-pod.md on a real agent, with the base document of its image and the initdata that `annotate` writes: who reads
// its output, and who runs commands in it.

const example = join(repository, 'examples/attested-pod');
/** A machine of tests has no reports of a processor; its data hub, a stand-in, pulls the image. */
const baseText = readFileSync(join(example, 'base.toml'), 'utf8')
  .replace(/^\[evidence\]\n[^[]*\[[^]*?\]\n[^[]*\[[^]*?\]\n/m, '')
  .replace(/^puller = "built-in"\n[^]*?\n\n/m, 'puller = "cdh"\n\n');
const started: readonly string[] = ['CreateSandbox', 'CopyFile', 'CreateContainer', 'StartContainer'];
const printed = 'orders: listens at --listen 0.0.0.0:8080';

/** Returns the codes of the decisions that audit records have. */
function codesOf(records: ReturnType<AgentProcess['records']>): readonly (string | undefined)[] {
  return records.map(({ decision }) => (decision as { readonly code?: string } | undefined)?.code);
}

type Call = (message: Message) => Promise<Message>;

describe('an attested pod: its host reads and runs nothing, and its tenant’s operator does', {
  skip: whyNoContainers('util-linux', 'iproute2', 'openssl') ?? false,
}, () => {
  const directory = new GuideDirectory();
  const at = (name: string): string => join(directory.path, name);
  const components = new GuestComponentPrograms();
  const delivered = new DeliverySources();
  let agent: AgentProcess;
  let host: Client<typeof AgentService>;
  let container = '';

  before(async () => {
    cpSync(example, directory.path, { recursive: true });
    // The operator's certificate is made as the page says.
    const [made] = pageBlocks('docs/attested-pod.md').filter(({ section }) => section === 'The operators');
    const { status, output } = directory.run(made?.text ?? assert.fail());
    assert.equal(status, 0, output);
    writeFileSync(at('base.toml'), baseText);
    const lock = at('kata-images.lock');
    const setup = ['--runtime', 'rs', '--guest', 'confidential', '--images', 'lock'];
    const base = ['--base', at('base.toml'), '--document', at('tenant.toml'), '--operators', 'tenant'];
    const parts = ['--aa', at('aa.toml'), '--cdh', at('cdh.toml')];
    const options = ['--pin', '--lock', lock, ...setup, ...base, ...parts];
    const annotated = await client('annotate', '-f', at('pod.yaml'), ...options);
    assert.equal(annotated.code, 0, annotated.stderr);
    writeFileSync(at('annotated.yaml'), annotated.stdout);
    const { stdout } = await client('annotate', '-f', at('annotated.yaml'), ...options, '--format', 'json');
    const { workloads } = JSON.parse(stdout) as {
      readonly workloads: readonly { readonly initdata: { readonly text: string } }[];
    };
    const initdata = Buffer.from(workloads[0]?.initdata.text ?? assert.fail());
    const digest = createHash('sha256').update(initdata).digest();
    delivered.disk(writeInitdataImage(initdata)).mrConfigId(Buffer.concat([digest, Buffer.alloc(16)]));

    const replay = ['--pod', at('annotated.yaml'), '--lock', lock, ...setup];
    const list = await client(
      'replay',
      ...replay,
      '--cgroup-parent',
      `/${cgroupParent}`,
      '--list',
      '--format',
      'json',
    );
    const calls = JSON.parse(list.stdout) as readonly ListedCall[];
    const image = join(components.directory, 'image');
    makeImage(image, calls);
    writeFileSync(
      join(image, 'usr/bin/orders'),
      '#!/bin/sh\necho "orders: listens at $*"\nwhile :; do sleep 1; done\n',
    );
    agent = await AgentProcess.start({
      config: baseText,
      setup: ['ip link set lo up', delivered.setup, pauseBundle(directory.path, components)].join(' && '),
    });
    ({ agent: host } = await agent.connect());
    for (const { method, request } of calls) {
      if (!started.includes(method)) continue;
      const { input, localName } = AgentService.methods.find(({ name }) => name === method) ?? assert.fail();
      const message = fromJson(input, request as unknown as JsonValue);
      await (host[localName as keyof typeof host] as unknown as Call)(message);
      if (method === 'CreateContainer')
        container = (message as unknown as { containerId: string }).containerId;
    }
  });
  after(async () => {
    await host?.removeContainer({ containerId: container }).catch(() => undefined);
    await agent?.dispose();
    delivered.dispose();
    components.dispose();
    directory.dispose();
  });

  /** Starts the client of an operator in the guest's network. Its certificate is `NAME.pem`. */
  function operate(name: string, ...args: readonly string[]) {
    const boot = agent.records()[0] ?? assert.fail('the audit log is empty');
    const { pin } = (boot['facts'] as { readonly tls: { readonly pin: string } }).tls;
    const [command = '', ...rest] = args;
    const connection = ['-a', 'tls://127.0.0.1:8443', '--pin', pin];
    const identity = ['--cert', at(`${name}.pem`), '--key', at(`${name}.key`)];
    const words = [process.execPath, ctlProgram, command, ...connection, ...identity, ...rest];
    const child = endWithTests(spawn('nsenter', ['--net', '--target', String(agent.process.pid), ...words]));
    return { child, lines: createInterface({ input: child.stdout as NodeJS.ReadableStream }) };
  }

  async function output(name: string, ...args: readonly string[]): Promise<string> {
    const { child, lines } = operate(name, ...args);
    let errors = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    const found: string[] = [];
    for await (const line of lines) found.push(line);
    return [...found, errors].join('\n');
  }

  it('the host gets an empty output, and each of its reads is recorded as denied', async () => {
    const request = { containerId: container, execId: '', len: 4096 };
    assert.equal((await host.readStdout(request)).data.length, 0);
    assert.equal((await host.readStderr(request)).data.length, 0);
    await eventually(() => {
      const reads = agent
        .records()
        .filter(({ method, listener }) => method === 'ReadStdout' && listener === 'host');
      assert.deepEqual(codesOf(reads), ['KA3001']);
    });
  });

  it('the host runs no command, and sends no input', async () => {
    const process = { Args: ['cat', '/proc/1/status'], Cwd: '/', Terminal: false };
    const exec = host.execProcess({ containerId: container, execId: 'x', process });
    assert.equal((await answerOf(exec)).code, 'UNIMPLEMENTED');
    const written = host.writeStdin({ containerId: container, execId: '', data: Buffer.from('x') });
    assert.equal((await answerOf(written)).code, 'UNIMPLEMENTED');
  });

  it('the operator reads the output that the host did not get', async () => {
    const { child, lines } = operate('ann', 'logs', container);
    try {
      for await (const line of lines) {
        assert.equal(line, printed);
        return;
      }
      assert.fail('logs has ended');
    } finally {
      child.kill();
    }
  });

  it('the operator runs a command, as the user of the container', async () => {
    const status = await output(
      'ann',
      'exec',
      '--user',
      '65532',
      container,
      '--',
      'cat',
      '/proc/self/status',
    );
    assert.match(status, /^Uid:\t65532\t/m);
    assert.match(await output('ann', 'ps'), /orders/);
  });

  it('a certificate that the CA of tenant.toml did not sign is not connected', async () => {
    const { cert, key } = new Authority('another CA').client({ uris: ['spiffe://example/ops/ann'] });
    writeFileSync(at('other.pem'), cert);
    writeFileSync(at('other.key'), key);
    assert.doesNotMatch(await output('other', 'exec', container, '--', 'cat', '/proc/self/status'), /^Uid:/m);
    await eventually(() => assert.ok(codesOf(agent.records()).includes('KA3203')));
  });
});
