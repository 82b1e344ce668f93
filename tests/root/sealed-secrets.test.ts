import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { MountSchema } from '@kata-agent/protocol/oci';
import { AgentProcess } from '../harness/agent-process.js';
import { readAll } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { type ComponentName, GuestComponentPrograms } from '../harness/guest-components.js';
import { withGuestPaths } from '../harness/guest-paths.js';
import { eventually } from '../harness/retry.js';
import { sealedSecret } from '../harness/sealed-secret.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { answerOf } from '../harness/sweep.js';

const shared = '/run/kata-containers/shared/containers';
const resource = 'kbs:///default/key/1';
const secret = (place: string): string =>
  `[[secret]]\ncontainer = "app"\n${place}\nresource = "${resource}"\n`;
const config = withGuestPaths(
  `[agent]\ncdh_api_timeout = 1\n[api]\nallowed_endpoints = ["*"]\nrelease = "4.1"\n${secret('env = "SECRET"')}${secret('file = "/secrets/password"')}`,
);
const sealed = sealedSecret({ name: resource });
const plain = `plain text of ${sealed}`;

describe('sealed secrets (R18)', { skip: whyNoContainers() ?? false }, () => {
  let directory = '';
  let rootfs = '';
  let programs: GuestComponentPrograms;
  let agent: AgentProcess;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'kata-agent-test-'));
    rootfs = makeRootfs(directory);
  });
  after(() => rmSync(directory, { recursive: true }));
  beforeEach(() => {
    programs = new GuestComponentPrograms();
  });
  afterEach(async () => {
    await agent.dispose();
    programs.dispose();
  });

  const start = async (
    document: string = config,
  ): Promise<Awaited<ReturnType<AgentProcess['connect']>>['agent']> => {
    agent = await AgentProcess.start({
      ...(document === 'none' ? {} : { config: document }),
      setup: programs.setup,
    });
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod' });
    return client;
  };
  let count = 0;
  /** Returns a request for a container that prints its secrets, in a volume of the shared directory. */
  function request(options: { readonly env?: readonly string[]; readonly volume?: string } = {}) {
    count += 1;
    const id = `secrets-${process.pid}-${count}`;
    const args = [
      'sh',
      '-c',
      'echo "env=$SECRET"; cat /secrets/password 2>/dev/null; cat /secrets/plain 2>/dev/null',
    ];
    const made = create(
      CreateContainerRequestSchema,
      containerRequest({
        id,
        rootfs,
        args,
        env: options.env ?? [],
        annotations: { 'io.kubernetes.cri.container-name': 'app' },
      }),
    );
    if (options.volume !== undefined)
      made.OCI?.Mounts.push(
        create(MountSchema, {
          type: 'bind',
          destination: '/secrets',
          source: `${shared}/${options.volume}`,
          options: ['rbind', 'ro'],
        }),
      );
    return made;
  }
  const inGuest = (path: string): string => `/proc/${agent.process.pid}/root${path}`;
  /** Writes a volume as Kubernetes does for a Secret. */
  function writeVolume(name: string, files: Readonly<Record<string, string>>): void {
    const place = `${shared}/${name}`;
    const links = Object.keys(files).map((file) => `ln -s ..data/${file} ${place}/${file}`);
    const texts = Object.entries(files).map(
      ([file, text]) => `printf %s '${text}' > ${place}/..2026/${file}`,
    );
    const script = [
      `mkdir -p ${place}/..2026`,
      ...texts,
      `ln -s ..2026 ${place}/..data`,
      ...links,
      `chmod 440 ${place}/..2026/*`,
    ].join(' && ');
    execFileSync('nsenter', ['--mount', '-t', String(agent.process.pid), 'sh', '-c', script]);
  }
  const mountsOf = (): string =>
    readFileSync(inGuest('/proc/self/mountinfo').replace('/root/proc/self', ''), 'utf8');

  interface Outcome {
    readonly kind: string;
    readonly method?: string;
    readonly subject?: { readonly containerId?: string };
    readonly result?: {
      readonly code: string;
      readonly secrets?: { readonly count: number; readonly names: readonly string[] };
    };
  }
  /** The result of CreateContainer of a container in the audit log. */
  const recorded = (id: string): Outcome['result'] =>
    readFileSync(agent.auditLog, 'utf8')
      .split('\n')
      .filter((line) => line.includes('"CreateContainer"') && line.includes('"outcome"'))
      .map((line) => JSON.parse(line) as Outcome)
      .findLast(({ subject }) => subject?.containerId === id)?.result;

  it('in the environment and in files are plain text for the container, and nowhere else', async () => {
    const client = await start();
    writeVolume('vol-secret', { password: sealed, plain: 'not sealed' });
    const made = request({ env: [`SECRET=${sealed}`], volume: 'vol-secret' });
    await client.createContainer(made);
    await client.startContainer({ containerId: made.containerId });
    const output = (await readAll(client, 'stdout', made.containerId)).toString();
    assert.equal(output, `env=${plain}\n${plain}not sealed`);
    assert.equal(
      readFileSync(inGuest(`${shared}/vol-secret/password`).replace('password', '..2026/password'), 'utf8'),
      sealed,
    );
    assert.match(mountsOf(), /copies\/1 .* tmpfs /);
    await client.removeContainer({ containerId: made.containerId });
    assert.doesNotMatch(mountsOf(), /copies\/1/);
    await agent.stop();
    assert.ok(!agent.log.join('\n').includes('plain text of'));
    assert.ok(!readFileSync(agent.auditLog, 'utf8').includes('plain text of'));
    assert.equal(programs.calls('confidential-data-hub').length, 2);
    // The log of this guest, and of no other one, says that it asked for them.
    assert.deepEqual(recorded(made.containerId)?.secrets, { count: 2, names: [resource, resource] });
  });

  it('without a configuration, serviceaccount tokens and volumes without secrets are not looked into, and stay the shared ones', async () => {
    const client = await start('none');
    for (const name of ['vol-serviceaccount', 'vol-plain']) {
      writeVolume(name, { password: name === 'vol-plain' ? 'sealed' : sealed });
      const made = request({ volume: name });
      await client.createContainer(made);
      await client.startContainer({ containerId: made.containerId });
      assert.doesNotMatch((await readAll(client, 'stdout', made.containerId)).toString(), /plain text/);
      await client.removeContainer({ containerId: made.containerId });
    }
    assert.doesNotMatch(mountsOf(), /copies\//);
    assert.equal(existsSync(join(programs.directory, 'confidential-data-hub.calls')), false);
  });

  const failures = [
    ['refuses', 'FAILED_PRECONDITION', /the confidential data hub: the key broker refuses/],
    ['hangs', 'DEADLINE_EXCEEDED', /has not answered for 1 s \(cdh_api_timeout\)/],
    [
      'dies in a call',
      'FAILED_PRECONDITION',
      /the connection was closed|confidential-data-hub has ended: exit code 7/,
    ],
  ] as const;
  for (const [behaviour, code, message] of failures)
    it(`a data hub that ${behaviour} is an error of the container, which leaves nothing`, async () => {
      const client = await start();
      writeVolume('vol-secret', { password: sealed });
      const before = mountsOf();
      programs.behave('confidential-data-hub', behaviour);
      for (const options of [{ env: [`SECRET=${sealed}`] }, { volume: 'vol-secret' }]) {
        const made = request(options);
        const answer = await answerOf(client.createContainer(made));
        assert.deepEqual([answer.code, message.test(answer.message)], [code, true], answer.message);
        await eventually(() => {
          const { code: result, secrets } = recorded(made.containerId) ?? {};
          // A data hub that has died before is not asked.
          assert.deepEqual([result, secrets], [code, { count: 1, names: [resource] }]);
        });
        assert.ok(!answer.message.includes(sealed));
      }
      assert.equal(mountsOf(), before);
      programs.behave('confidential-data-hub', undefined);
      if (behaviour === 'dies in a call') return;
      const made = request({ env: [`SECRET=${sealed}`] });
      await client.createContainer(made);
      await client.removeContainer({ containerId: made.containerId });
    });

  it('a volume of secrets that is too large is refused', async () => {
    const client = await start();
    writeVolume('vol-secret', { password: sealed });
    const script = `head -c 17000000 /dev/zero > ${shared}/vol-secret/large`;
    execFileSync('nsenter', ['--mount', '-t', String(agent.process.pid), 'sh', '-c', script]);
    const before = mountsOf();
    const answer = await answerOf(client.createContainer(request({ volume: 'vol-secret' })));
    assert.equal(answer.code, 'RESOURCE_EXHAUSTED', answer.message);
    assert.equal(mountsOf(), before);
  });

  it('without a data hub they stay sealed, as with Kata’s agent', async () => {
    programs.dispose();
    const names: readonly ComponentName[] = [];
    programs = new GuestComponentPrograms(names);
    agent = await AgentProcess.start({ config });
    const { agent: client } = await agent.connect();
    await client.createSandbox({ sandboxId: 'pod' });
    const made = request({ env: [`SECRET=${sealed}`] });
    await client.createContainer(made);
    await client.startContainer({ containerId: made.containerId });
    assert.equal((await readAll(client, 'stdout', made.containerId)).toString(), `env=${sealed}\n`);
    await client.removeContainer({ containerId: made.containerId });
  });
});
