import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { LinuxNamespaceSchema, MountSchema } from '@kata-agent/protocol/oci';
import { AgentProcess } from '../harness/agent-process.js';
import { readAll } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { withGuestPaths } from '../harness/guest-paths.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const shared = '/run/kata-containers/shared/containers';
const config = withGuestPaths(
  '[agent]\nhost_aliases = { "db.example" = ["10.1.2.3"] }\n[api]\nallowed_endpoints = ["*"]\nrelease = "4.1"\n',
);
const good = '127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.0.1\tweb-0\n10.1.2.3\tdb.example\n';
const evil = '127.0.0.1\tlocalhost\n10.9.9.9\tlocalhost\n';

describe('files that a workload believes (S39)', { skip: whyNoContainers('iproute2') ?? false }, () => {
  let directory = '';
  let rootfs = '';
  let agent: AgentProcess;
  let client: Awaited<ReturnType<AgentProcess['connect']>>['agent'];
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-test-'));
    rootfs = makeRootfs(directory);
    mkdirSync(join(rootfs, 'etc'), { recursive: true });
    for (const name of ['hosts', 'hostname', 'resolv.conf']) writeFileSync(join(rootfs, 'etc', name), '');
    writeFileSync(join(rootfs, 'etc/linked'), '');
    symlinkSync('/etc/hosts', join(rootfs, 'etc/also-hosts'));
  });
  after(() => rmSync(directory, { recursive: true }));
  afterEach(() => agent.dispose());

  async function start(document: string | undefined, hostname = 'web-0'): Promise<void> {
    agent = await AgentProcess.start(document === undefined ? {} : { config: document });
    ({ agent: client } = await agent.connect());
    await client.createSandbox({ sandboxId: 'pod', hostname });
  }
  /** Runs a command in the shared directory. */
  function inShare(script: string): void {
    const command = `mkdir -p ${shared} && cd ${shared} && ${script}`;
    execFileSync('nsenter', ['--mount', '-t', String(agent.process.pid), 'sh', '-ec', command]);
  }
  /** Runs a command in the guest's network. */
  function inNetwork(script: string): string {
    return execFileSync('nsenter', ['--net', '-t', String(agent.process.pid), 'sh', '-ec', script], {
      encoding: 'utf8',
    });
  }
  function write(name: string, text: string): void {
    inShare(`printf %s ${Buffer.from(text).toString('base64')} | base64 -d > ${name}`);
  }
  let count = 0;
  function request(
    mounts: readonly (readonly [destination: string, source: string])[],
    {
      prints = '',
      options = ['rbind', 'rw'],
    }: { readonly prints?: string; readonly options?: string[] } = {},
  ) {
    count += 1;
    const made = create(
      CreateContainerRequestSchema,
      containerRequest({ id: `believed-${process.pid}-${count}`, rootfs, args: ['sh', '-c', prints] }),
    );
    for (const [destination, source] of mounts)
      made.OCI?.Mounts.push(
        create(MountSchema, { type: 'bind', destination, source: `${shared}/${source}`, options }),
      );
    return made;
  }
  async function outputOf(made: ReturnType<typeof request>, meanwhile?: () => void): Promise<string> {
    await client.createContainer(made);
    meanwhile?.();
    await client.startContainer({ containerId: made.containerId });
    const output = (await readAll(client, 'stdout', made.containerId)).toString();
    await client.removeContainer({ containerId: made.containerId });
    return output;
  }

  it('the container has what was checked, whatever the host writes afterwards', async () => {
    await start(config);
    write('hosts', good);
    write('hostname', 'web-0\n');
    write('resolv', 'nameserver 10.96.0.10\n');
    inShare('chmod 640 hosts');
    const made = request(
      [
        ['/etc/hosts', 'hosts'],
        ['/etc/hostname', 'hostname'],
        ['/etc/resolv.conf', 'resolv'],
      ],
      {
        prints:
          'cat /etc/hosts /etc/hostname /etc/resolv.conf; stat -c %a /etc/hosts; echo "10.0.0.1 own" >> /etc/hosts; tail -n 1 /etc/hosts',
      },
    );
    const output = await outputOf(made, () => {
      write('hosts', evil);
      write('resolv', 'nameserver 10.9.9.9\noptions trust-ad\n');
    });
    assert.equal(output, `${good}web-0\nnameserver 10.96.0.10\n640\n10.0.0.1 own\n`);
    const shown = execFileSync('nsenter', [
      '--mount',
      '-t',
      String(agent.process.pid),
      'cat',
      `${shared}/hosts`,
    ]);
    assert.equal(shown.toString(), evil, "the container's write stays in its copy");
  });

  it('CopyFile over the source does not reach the container', async () => {
    await start(config);
    const copy = (text: string): ReturnType<typeof client.copyFile> =>
      client.copyFile({
        path: `${shared}/copied-hosts`,
        fileMode: 0o100644,
        dirMode: 0o755,
        fileSize: BigInt(Buffer.byteLength(text)),
        data: Buffer.from(text),
      });
    await copy(good);
    const made = request([['/etc/hosts', 'copied-hosts']], { prints: 'cat /etc/hosts' });
    await client.createContainer(made);
    await answerOf(copy(evil));
    await client.startContainer({ containerId: made.containerId });
    assert.equal((await readAll(client, 'stdout', made.containerId)).toString(), good);
    await client.removeContainer({ containerId: made.containerId });
  });

  it('another file is refused with its line, wherever it is mounted there from', async () => {
    await start(config);
    write('hosts', evil);
    write('good', good);
    inShare('mkdir -p volume && cp hosts volume/hosts && ln -s hosts link && mkfifo fifo');
    const attacks: readonly (readonly [
      what: string,
      mounts: readonly (readonly [string, string])[],
      message: RegExp,
    ])[] = [
      ['a file', [['/etc/hosts', 'hosts']], /line 2 of \/etc\/hosts, "10\.9\.9\.9\\tlocalhost"/],
      ['a file of a volume (subPath)', [['/etc/hosts', 'volume/hosts']], /line 2 of/],
      ['two slashes', [['//etc/hosts', 'hosts']], /line 2 of/],
      ['a dot', [['/etc/./hosts', 'hosts']], /line 2 of/],
      [
        'a second mount over the first',
        [
          ['/etc/hosts', 'good'],
          ['/etc/hosts', 'hosts'],
        ],
        /line 2 of/,
      ],
      ['a link of the root to it', [['/etc/also-hosts', 'hosts']], /line 2 of/],
      ['a link in the share', [['/etc/hosts', 'link']], /link/],
      ['a FIFO', [['/etc/hosts', 'fifo']], /not a regular file/],
      ['a directory', [['/etc/hosts', 'volume']], /not a regular file/],
    ];
    for (const [what, mounts, message] of attacks) {
      const answer = await answerOf(client.createContainer(request(mounts)));
      assert.equal(answer.code, 'PERMISSION_DENIED', `${what}: ${answer.message}`);
      assert.match(answer.message, message, what);
    }
    inShare('head -c 70000 /dev/zero | tr "\\0" "#" > large');
    const large = await answerOf(client.createContainer(request([['/etc/hosts', 'large']])));
    assert.equal(large.code, 'RESOURCE_EXHAUSTED', large.message);
    write('resolv', 'nameserver 10.0.0.1\noptions trust-ad\n');
    write('hostname', 'other\n');
    for (const [destination, source, message] of [
      ['/etc/resolv.conf', 'resolv', /line 2 of \/etc\/resolv\.conf, "options trust-ad"/],
      [
        '/etc/hostname',
        'hostname',
        /line 1 of \/etc\/hostname, "other": it is not the hostname of the sandbox, "web-0"/,
      ],
    ] as const) {
      const answer = await answerOf(client.createContainer(request([[destination, source]])));
      assert.match(answer.message, message);
    }
    // Elsewhere it is a file like any other.
    assert.equal(await outputOf(request([['/etc/linked', 'hosts']], { prints: 'cat /etc/linked' })), evil);
  });

  it('a file without localhost, the own name or a name of host_aliases gets it', async () => {
    await start(config);
    write('hosts', '10.1.2.3 db.example');
    const output = await outputOf(request([['/etc/hosts', 'hosts']], { prints: 'cat /etc/hosts' }));
    assert.equal(output, '10.1.2.3 db.example\n127.0.0.1\tlocalhost\n::1\tlocalhost\n127.0.0.1\tweb-0\n');
  });

  it('the address of the own name stays in the guest when the host takes its interface away', async () => {
    await start(config);
    inNetwork(
      'ip link add d9 type veth peer name h9 && ip link set h9 up && ip addr add 10.44.0.7/24 dev d9 && ip -6 addr add fd44::7/64 dev d9 nodad && ip link set d9 up',
    );
    write('hosts', `${good}10.44.0.7 web-0\nfd44::7 web-0\n`);
    const made = request([['/etc/hosts', 'hosts']], { prints: 'cat /etc/hosts; sleep 100' });
    await client.createContainer(made);
    // The host has a way for what is sent there.
    inNetwork(
      'ip link del d9 && ip link add d8 type veth peer name h8 && ip link set h8 up && ip addr add 10.45.0.7/24 dev d8 && ip link set d8 up && ip route add default dev d8',
    );
    assert.match(inNetwork('ip route get 10.44.0.7'), /^local 10\.44\.0\.7 dev lo/);
    assert.match(inNetwork('ip -6 route get fd44::7'), /^local fd44::7 .*dev lo/);
    assert.match(inNetwork('ip route get 10.44.0.8'), /dev d8/);
    await client.removeContainer({ containerId: made.containerId });
  });

  it("in a network namespace that the container joins, its own name has that one's addresses", async () => {
    const podns = '/run/netns/podns';
    agent = await AgentProcess.start({
      config: config.replace('[agent]', `[agent]\nnetwork_namespaces = ["${podns}"]`),
      setup: `ip netns add podns && ip -n podns link add p0 type veth peer name p1 && ip -n podns addr add 10.55.0.7/24 dev p0 && ip -n podns link set p0 up && ip -n podns link set p1 up`,
    });
    ({ agent: client } = await agent.connect());
    await client.createSandbox({ sandboxId: 'pod', hostname: 'web-0' });
    write('hosts', `${good}10.55.0.7 web-0\n`);
    const joining = (): ReturnType<typeof request> => {
      const made = request([['/etc/hosts', 'hosts']], { prints: 'cat /etc/hosts' });
      made.OCI?.Linux?.Namespaces.push(create(LinuxNamespaceSchema, { Type: 'network', Path: podns }));
      return made;
    };
    assert.equal(await outputOf(joining()), `${good}10.55.0.7 web-0\n`);
    const outside = await answerOf(
      client.createContainer(request([['/etc/hosts', 'hosts']], { prints: 'true' })),
    );
    assert.match(outside.message, /10\.55\.0\.7 is no address of it/);
  });

  it('the lines of CreateSandbox are checked alike', async () => {
    await start(config);
    const answer = await answerOf(
      client.createSandbox({
        sandboxId: 'pod',
        hostname: 'web-0',
        dns: ['nameserver 10.0.0.1\noptions trust-ad'],
      }),
    );
    assert.equal(answer.code, 'PERMISSION_DENIED');
    assert.match(answer.message, /line 2 of \/etc\/resolv\.conf/);
  });

  it('without a configuration nothing is checked, and the file stays the shared one', async () => {
    await start(undefined);
    write('hosts', evil);
    const made = request([['/etc/hosts', 'hosts']], { prints: 'cat /etc/hosts' });
    assert.equal(await outputOf(made, () => write('hosts', 'live\n')), 'live\n');
  });
});
