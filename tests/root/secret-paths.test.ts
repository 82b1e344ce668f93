import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { MountSchema } from '@kata-agent/protocol/oci';
import { AgentProcess } from '../harness/agent-process.js';
import { readAll } from '../harness/container-client.js';
import { containerRequest } from '../harness/container-request.js';
import { GuestComponentPrograms } from '../harness/guest-components.js';
import { withGuestPaths } from '../harness/guest-paths.js';
import { repository } from '../harness/repository.js';
import { makeRootfs, whyNoContainers } from '../harness/rootfs.js';
import { sealedSecret, sealedText } from '../harness/sealed-secret.js';
import { answerOf } from '../harness/sweep.js';

const shared = '/run/kata-containers/shared/containers';
const resource = 'kbs:///default/key/1';
const sealed = sealedSecret({ name: resource });
const other = sealedSecret({ name: 'kbs:///default/key/2' });
const envelope = sealedSecret({ type: 'envelope', key_id: resource, encrypted_data: 'eA==' });
const hash = createHash('sha256').update(envelope).digest('hex');
const plain = (text: string): string => `plain text of ${text}`;

const config = withGuestPaths(`[api]
allowed_endpoints = ["*"]
release = "4.1"

[[secret]]
container = "db"
env = "DB_PASSWORD"
resource = "${resource}"

[[secret]]
container = "db"
file = "/etc/keys/tls.key"
resource = "${resource}"

[[secret]]
container = "db"
file = "/etc/keys/data"
sha256 = "${hash}"
`);

interface Asked {
  /** The name that the host claims. */
  readonly container?: string;
  readonly env?: readonly string[];
  /** Destinations and paths in the shared directory. */
  readonly mounts?: readonly (readonly [destination: string, source: string])[];
  /** What the container prints: a shell command. */
  readonly prints?: string;
  readonly args?: readonly string[];
}

describe('places of sealed secrets (S39)', { skip: whyNoContainers() ?? false }, () => {
  let directory = '';
  let rootfs = '';
  let programs: GuestComponentPrograms;
  let agent: AgentProcess;
  let client: Awaited<ReturnType<AgentProcess['connect']>>['agent'];
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

  async function start(document?: string): Promise<void> {
    agent = await AgentProcess.start({
      ...(document === undefined ? {} : { config: document }),
      setup: programs.setup,
    });
    ({ agent: client } = await agent.connect());
    await client.createSandbox({ sandboxId: 'pod' });
  }
  let count = 0;
  function request({ container, env = [], mounts = [], prints = '', args = ['sh', '-c', prints] }: Asked) {
    count += 1;
    const made = create(
      CreateContainerRequestSchema,
      containerRequest({
        id: `places-${process.pid}-${count}`,
        rootfs,
        args,
        env,
        annotations: container === undefined ? {} : { 'io.kubernetes.cri.container-name': container },
      }),
    );
    for (const [destination, source] of mounts)
      made.OCI?.Mounts.push(
        create(MountSchema, {
          type: 'bind',
          destination,
          source: `${shared}/${source}`,
          options: ['rbind', 'ro'],
        }),
      );
    return made;
  }
  async function outputOf(asked: Asked): Promise<string> {
    const made = request(asked);
    await client.createContainer(made);
    await client.startContainer({ containerId: made.containerId });
    const output = (await readAll(client, 'stdout', made.containerId)).toString();
    await client.removeContainer({ containerId: made.containerId });
    return output;
  }
  /** Runs a command in the shared directory. */
  function inShare(script: string): void {
    const command = `mkdir -p ${shared} && cd ${shared} && ${script}`;
    execFileSync('nsenter', ['--mount', '-t', String(agent.process.pid), 'sh', '-ec', command]);
  }
  /** Writes a volume as the kubelet does: each file a link to one below `..data`. */
  function writeVolume(name: string, files: Readonly<Record<string, string>>): void {
    const lines = Object.entries(files).map(
      ([file, text]) => `printf %s '${text}' > ${name}/..2026/${file}; ln -s ..data/${file} ${name}/${file}`,
    );
    inShare(`mkdir -p ${name}/..2026; ln -s ..2026 ${name}/..data; ${lines.join('; ')}`);
  }
  const unsealed = (): number =>
    existsSync(join(programs.directory, 'confidential-data-hub.calls'))
      ? programs.calls('confidential-data-hub').filter(({ method }) => method === 'UnsealSecret').length
      : 0;

  it('a secret is plain text where the configuration has it', async () => {
    await start(config);
    writeVolume('vol-keys', { 'tls.key': sealed, data: envelope, 'ca.crt': 'certificate' });
    const output = await outputOf({
      container: 'db',
      env: [`DB_PASSWORD=${sealed}`],
      mounts: [['/etc/keys', 'vol-keys']],
      prints: 'echo $DB_PASSWORD; cd /etc/keys; cat tls.key; echo; cat data; echo; cat ca.crt',
    });
    assert.equal(output, `${plain(sealed)}\n${plain(sealed)}\n${plain(envelope)}\ncertificate`);
  });

  const page: Asked = { mounts: [['/www', 'vol-page']], prints: 'cat /www/index.html' };
  const elsewhere: readonly (readonly [what: string, asked: Asked])[] = [
    ['a page of a ConfigMap of another container', { ...page, container: 'web' }],
    ['a page of a ConfigMap of the same container', { ...page, container: 'db' }],
    [
      'the same variable of another container',
      { container: 'web', env: [`DB_PASSWORD=${sealed}`], prints: 'printf %s $DB_PASSWORD' },
    ],
    [
      'the same variable of a container without a name',
      { env: [`DB_PASSWORD=${sealed}`], prints: 'printf %s $DB_PASSWORD' },
    ],
    ['another variable', { container: 'db', env: [`MOTD=${sealed}`], prints: 'printf %s $MOTD' }],
    [
      'the same file in another container',
      { container: 'web', mounts: [['/etc/keys', 'vol-keys']], prints: 'cat /etc/keys/tls.key' },
    ],
    [
      'a second mount of the same source',
      {
        container: 'db',
        mounts: [
          ['/etc/keys', 'vol-keys'],
          ['/www', 'vol-keys'],
        ],
        prints: 'cat /www/tls.key',
      },
    ],
    [
      'another file of the volume',
      { container: 'db', mounts: [['/etc/keys', 'vol-other']], prints: 'cat /etc/keys/index.html' },
    ],
    [
      'another name of the same file',
      { container: 'db', mounts: [['/etc/keys', 'vol-linked']], prints: 'cat /etc/keys/index.html' },
    ],
    [
      'the file below the directory of the kubelet',
      {
        container: 'db',
        mounts: [['/etc/keys', 'vol-keys']],
        prints: `cat /etc/keys/..data/tls.key 2>/dev/null || printf %s ${sealed}`,
      },
    ],
    [
      'a file that is mounted (subPath)',
      {
        container: 'db',
        mounts: [['/www/index.html', 'vol-keys/..2026/tls.key']],
        prints: 'cat /www/index.html',
      },
    ],
  ];
  it('elsewhere a sealed secret stays text, wherever the host puts it', async () => {
    await start(config);
    writeVolume('vol-page', { 'index.html': sealed });
    writeVolume('vol-keys', { 'tls.key': sealed });
    writeVolume('vol-other', { 'index.html': sealed });
    writeVolume('vol-linked', { 'tls.key': sealed });
    inShare('ln -s tls.key vol-linked/index.html');
    for (const [what, asked] of elsewhere) assert.equal(await outputOf(asked), sealed, what);
  });

  it('a file that is mounted itself is unsealed where the configuration has it', async () => {
    await start(config);
    writeVolume('vol-keys', { 'tls.key': sealed });
    const mounts = [['/etc/keys/tls.key', 'vol-keys/..2026/tls.key']] as const;
    assert.equal(await outputOf({ container: 'db', mounts, prints: 'cat /etc/keys/tls.key' }), plain(sealed));
  });

  it('a volume with a secret is copied to memory: it has no links, and no directory with another name of a file', async () => {
    await start(config);
    writeVolume('vol-keys', { 'tls.key': sealed, 'ca.crt': 'certificate' });
    const prints =
      'cd /etc/keys; ls -A; busybox find . -type l; while read -r d p t o; do [ $p != $PWD ] || echo $t; done < /proc/mounts';
    const output = await outputOf({
      container: 'db',
      mounts: [['/etc/keys', 'vol-keys']],
      prints: prints.replace('ls', 'busybox ls'),
    });
    assert.equal(output, 'ca.crt\ntls.key\ntmpfs\n');
  });

  it('another secret in a place of the configuration is an error, and the data hub is not asked', async () => {
    await start(config);
    const twice = sealedText(
      `{"version":"0.1.0","type":"vault","provider":"kbs","name":"kbs:///default/key/2","name":"${resource}"}`,
    );
    const texts: readonly (readonly [text: string, message: RegExp])[] = [
      [other, /names "kbs:\/\/\/default\/key\/2".*kbs:\/\/\/default\/key\/1 is allowed/],
      [envelope, /an envelope, whose data no resource names/],
      [sealedSecret({ name: resource, provider: 'aliyun' }), /its provider is not "kbs"/],
      [twice, /not JSON whose names occur once/],
      [`sealed.${sealed}`, /four parts/],
      ['sealed.x', /four parts/],
      ['hunter2', /is not a sealed secret, and \[\[secret\]\] has kbs:\/\/\/default\/key\/1 there/],
      ['', /is not a sealed secret/],
      [sealed.replace(/\.([^.]*)\.([^.]*)$/, '.$1=.$2'), /base64url without padding/],
    ];
    for (const [text, message] of texts) {
      writeVolume('vol-keys', { 'tls.key': text });
      for (const asked of [
        { env: [`DB_PASSWORD=${text}`] },
        { mounts: [['/etc/keys', 'vol-keys']] as const },
        { mounts: [['/etc/keys/tls.key', 'vol-keys/..2026/tls.key']] as const },
      ]) {
        const answer = await answerOf(
          client.createContainer(request({ ...asked, container: 'db', prints: '' })),
        );
        assert.equal(answer.code, 'PERMISSION_DENIED', answer.message);
        assert.match(answer.message, message);
      }
      inShare('rm -r vol-keys');
    }
    assert.equal(unsealed(), 0);
    writeVolume('vol-keys', { data: sealed });
    const asked = { container: 'db', mounts: [['/etc/keys', 'vol-keys']] as const, prints: '' };
    const answer = await answerOf(client.createContainer(request(asked)));
    assert.match(answer.message, /"data", is a sealed secret that \[\[secret\]\] does not allow there/);
  });

  it('a file of the configuration that a volume does not have is not added later', async () => {
    await start(config);
    writeVolume('vol-keys', { 'ca.crt': 'certificate' });
    const made = request({
      container: 'db',
      mounts: [['/etc/keys', 'vol-keys']],
      prints: 'cat /etc/keys/ca.crt; ls /etc/keys',
    });
    await client.createContainer(made);
    inShare('printf hunter2 > vol-keys/tls.key; printf hunter2 > vol-keys/..2026/tls.key');
    await client.startContainer({ containerId: made.containerId });
    const output = (await readAll(client, 'stdout', made.containerId)).toString();
    assert.equal(output, 'certificateca.crt\n');
    await client.removeContainer({ containerId: made.containerId });
  });

  it('a mount that covers the one with the secret has no other text', async () => {
    await start(config);
    writeVolume('vol-keys', { 'tls.key': sealed });
    writeVolume('vol-plain', { 'tls.key': 'hunter2' });
    const inner = ['/etc/keys/tls.key', 'vol-keys/..2026/tls.key'] as const;
    const outer = ['/etc/keys', 'vol-plain'] as const;
    const prints = 'cat /etc/keys/tls.key';
    const covered = request({ container: 'db', mounts: [inner, outer], prints });
    const answer = await answerOf(client.createContainer(covered));
    assert.equal(answer.code, 'PERMISSION_DENIED', answer.message);
    assert.match(answer.message, /is not a sealed secret/);
    assert.equal(await outputOf({ container: 'db', mounts: [outer, inner], prints }), plain(sealed));
  });

  it('examples/secrets.toml: the database has its secrets, and no container of its name another program', async () => {
    await start(withGuestPaths(readFileSync(`${repository}examples/secrets.toml`, 'utf8')));
    mkdirSync(join(rootfs, 'opt/db'), { recursive: true });
    writeFileSync(join(rootfs, 'opt/db/start.sh'), 'echo $DB_PASSWORD; cat /etc/keys/tls.key');
    const [password, key] = ['password', 'key'].map((name) =>
      sealedSecret({ name: `kbs:///default/database/${name}` }),
    );
    assert.ok(password !== undefined && key !== undefined);
    writeVolume('vol-keys', { 'tls.key': key });
    const asked = {
      container: 'db',
      env: [`DB_PASSWORD=${password}`],
      mounts: [['/etc/keys', 'vol-keys']],
    } as const;
    const database = { ...asked, args: ['sh', '/opt/db/start.sh'] };
    assert.equal(await outputOf(database), `${plain(password)}\n${plain(key)}`);
    const printing = request({ ...asked, args: ['sh', '-c', 'echo $DB_PASSWORD'] });
    const answer = await answerOf(client.createContainer(printing));
    assert.match(answer.message, /rule "?database/);
  });

  it('without [[secret]] nothing is unsealed; without a configuration everything is, as with Kata’s agent', async () => {
    await start(withGuestPaths('[api]\nallowed_endpoints = ["*"]\nrelease = "4.1"\n'));
    const asked: Asked = {
      ...page,
      container: 'db',
      env: [`X=${sealed}`],
      prints: 'echo $X; cat /www/index.html',
    };
    writeVolume('vol-page', { 'index.html': sealed });
    assert.equal(await outputOf(asked), `${sealed}\n${sealed}`);
    await agent.dispose();
    await start();
    writeVolume('vol-page', { 'index.html': sealed });
    assert.equal(await outputOf(asked), `${plain(sealed)}\n${plain(sealed)}`);
  });
});
