import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { type CreateContainerRequest, CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { LinuxNamespaceSchema } from '@kata-agent/protocol/oci';
import { type AgentConnection, AgentProcess } from '../harness/agent-process.js';
import { readAll } from '../harness/container-client.js';
import { containerRequest, processRequest } from '../harness/container-request.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const podns = '/run/netns/podns';
const listed = [podns, '/run/netns/gone', '/run/netns/file', '/run/netns/uts', '/run/netns/link'];
const config = `[agent]\nnetwork_namespaces = ${JSON.stringify(listed)}\n\n[api]\nallowed_endpoints = ["*"]\n`;

/** As the pod VM of cloud-api-adaptor (netns@.service), and files that are not network namespaces. */
const setup = [
  'ip netns add podns',
  'ip netns exec podns ip link set lo up',
  'touch /run/netns/file /run/netns/uts',
  'mount --bind /proc/self/ns/uts /run/netns/uts',
  'ln -s podns /run/netns/link',
].join(' && ');

const script = 'busybox readlink /proc/self/ns/net; cat /proc/sys/net/ipv4/ping_group_range';

describe('the network namespace of peer pods', { skip: whyNoContainers('iproute2') ?? false }, () => {
  let directory = '';
  let rootfs = '';
  let number = 0;
  const agents: AgentProcess[] = [];

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-netns-'));
    rootfs = makeRootfs(directory);
  });
  after(async () => {
    for (const agent of agents) await agent.dispose();
    rmSync(directory, { recursive: true });
  });

  async function startAgent(
    document?: string,
  ): Promise<{ agent: AgentProcess; client: AgentConnection['agent'] }> {
    const agent = await AgentProcess.start({
      ...(document === undefined ? {} : { config: document }),
      setup,
    });
    agents.push(agent);
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod' });
    return { agent, client };
  }

  /** The request of a container as the forwarder changes it: it appends the namespace. */
  function request(args: readonly string[], ...paths: readonly string[]): CreateContainerRequest {
    number += 1;
    const init = containerRequest({ id: `n${number}-${process.pid}`, rootfs, args });
    const creation = create(CreateContainerRequestSchema, init);
    for (const Path of paths)
      creation.OCI?.Linux?.Namespaces.push(create(LinuxNamespaceSchema, { Type: 'network', Path }));
    return creation;
  }

  async function outputOf(
    client: AgentConnection['agent'],
    creation: CreateContainerRequest,
  ): Promise<string> {
    const { containerId } = creation;
    await client.createContainer(creation);
    await client.startContainer({ containerId });
    const text = String(await readAll(client, 'stdout', containerId));
    await client.removeContainer({ containerId });
    return text;
  }

  const inGuest = ({ process: { pid } }: AgentProcess, ...command: readonly string[]): string =>
    execFileSync('nsenter', ['--mount', '--net', '--target', String(pid), ...command], { encoding: 'utf8' });
  const podnsOf = (agent: AgentProcess): string =>
    `net:[${inGuest(agent, 'stat', '-c', '%i', podns).trim()}]`;
  const ownOf = ({ process: { pid } }: AgentProcess): string => readlinkSync(`/proc/${pid}/ns/net`);

  it('is joined by containers and execs, with its sysctls, if the configuration lists it', async () => {
    const { agent, client } = await startAgent(config);
    assert.notEqual(podnsOf(agent), ownOf(agent));
    const before = inGuest(agent, 'cat', '/proc/sys/net/ipv4/ping_group_range');
    const creation = request(['sh', '-c', `${script}; sleep 60`], podns);
    if (creation.OCI?.Linux) creation.OCI.Linux.Sysctl = { 'net.ipv4.ping_group_range': '7 77' };
    const { containerId } = creation;
    await client.createContainer(creation);
    const { pid } = agent.process;
    const descriptors = readdirSync(`/proc/${pid}/fd`).map((fd) => linkOf(`/proc/${pid}/fd/${fd}`));
    assert.ok(!descriptors.includes(podns), 'the descriptor is closed');
    await client.startContainer({ containerId });
    await client.execProcess({ containerId, execId: 'e', process: processRequest(['sh', '-c', script]) });
    assert.equal(String(await readAll(client, 'stdout', containerId, 'e')), `${podnsOf(agent)}\n7\t77\n`);
    assert.equal(inGuest(agent, 'cat', '/proc/sys/net/ipv4/ping_group_range'), before);
    await client.removeContainer({ containerId });
    assert.equal(
      await outputOf(client, request(['busybox', 'readlink', '/proc/self/ns/net'])),
      `${ownOf(agent)}\n`,
    );
  });

  it('is joined without a configuration, as with Kata’s agent', async () => {
    const { agent, client } = await startAgent();
    const creation = request(['busybox', 'readlink', '/proc/self/ns/net'], podns);
    assert.equal(await outputOf(client, creation), `${podnsOf(agent)}\n`);
  });

  it('is refused unless it is listed, exists, and is a network namespace', async () => {
    const { client } = await startAgent(config);
    const refusal = async (...paths: readonly string[]): Promise<readonly [string, string]> => {
      const { code, message } = await answerOf(client.createContainer(request(['true'], ...paths)));
      return [code, message];
    };
    const refusals: readonly (readonly [paths: readonly string[], code: string, message: RegExp])[] = [
      [['/proc/1/ns/net'], 'PERMISSION_DENIED', /network-namespace \(\/proc\/1\/ns\/net\)/],
      [
        ['/run/netns/../netns/podns'],
        'PERMISSION_DENIED',
        /network-namespace .*network_namespaces can allow it/,
      ],
      [['/run/netns/gone'], 'INVALID_ARGUMENT', /"\/run\/netns\/gone" does not exist/],
      [['/run/netns/file'], 'INVALID_ARGUMENT', /"\/run\/netns\/file" is not a network namespace/],
      [['/run/netns/uts'], 'INVALID_ARGUMENT', /"\/run\/netns\/uts" is not a network namespace/],
      [['/run/netns/link'], 'PERMISSION_DENIED', /link/],
      [[podns, ''], 'INVALID_ARGUMENT', /several network namespaces/],
    ];
    for (const [paths, code, message] of refusals) {
      const [got, text] = await refusal(...paths);
      assert.match(text, message);
      assert.equal(got, code, text);
    }
    const { client: closed } = await startAgent('[api]\nallowed_endpoints = ["*"]\n');
    const { code, message } = await answerOf(closed.createContainer(request(['true'], podns)));
    assert.equal(code, 'PERMISSION_DENIED');
    assert.match(
      message,
      /network-namespace \(\/run\/netns\/podns\): \[agent\] network_namespaces can allow it/,
    );
  });
});

/** Undefined: a descriptor that was closed meanwhile. */
function linkOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
