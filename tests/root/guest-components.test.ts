import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { writeInitdataImage } from '@kata-agent/config';
import { Management } from '@kata-agent/protocol/management';
import { createClient } from '@kata-agent/ttrpc';
import { AgentProcess } from '../harness/agent-process.js';
import { DeliverySources } from '../harness/delivery-sources.js';
import { componentNames, GuestComponentPrograms } from '../harness/guest-components.js';
import { eventually } from '../harness/retry.js';
import { whyNoContainers } from '../harness/rootfs.js';

const api = '[api]\nallowed_endpoints = ["@pod"]\n';
const cdh = '/run/confidential-containers/cdh.sock';
const aa = '/run/confidential-containers/attestation-agent/attestation-agent.sock';

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    assert.equal((error as NodeJS.ErrnoException).code, 'ESRCH');
    return false;
  }
}

describe('guest components (R18)', { skip: whyNoContainers() ?? false }, () => {
  let programs: GuestComponentPrograms;
  let agent: AgentProcess | undefined;
  beforeEach(() => {
    programs = new GuestComponentPrograms();
    agent = undefined;
  });
  afterEach(async () => {
    await agent?.dispose();
    programs.dispose();
  });

  const factsOf = (running: AgentProcess): Readonly<Record<string, unknown>> =>
    running.records()[0]?.['facts'] as Readonly<Record<string, unknown>>;

  it('the attestation agent is asked for evidence of the claims', async () => {
    agent = await AgentProcess.start({
      config: `[agent]\nguest_components_procs = "attestation-agent"\n[evidence]\nsources = ["attestation-agent"]\nrequire = ["attestation-agent"]\n${api}[[listener]]\nname = "host"\naddress = "vsock://-1:1024"\nmanagement = ["Attest"]\n`,
      setup: programs.setup,
    });
    const { channel } = await agent.connect();
    const { bundle } = await createClient(Management, channel).attest({ nonce: new Uint8Array(32) });
    const json = JSON.parse(Buffer.from(bundle).toString()) as {
      readonly claims: string;
      readonly evidence: readonly { readonly kind: string; readonly quote: string }[];
    };
    const claims = Buffer.from(json.claims, 'base64');
    // The SHA-384 of the claims and 16 zero bytes, which the stand-in returns as its quote.
    const reportData = `${createHash('sha384').update(claims).digest('hex')}${'00'.repeat(16)}`;
    assert.deepEqual(
      json.evidence.map(({ kind, quote }) => [kind, Buffer.from(quote, 'base64').toString('hex')]),
      [['tdx', reportData]],
    );
    assert.equal(programs.calls('attestation-agent').at(-1)?.['runtimeData'], reportData);
  });

  it('are started in order, with the arguments and environment of Kata, before the agent listens; and end with it', async () => {
    agent = await AgentProcess.start({
      config: `[agent]\nguest_components_rest_api = "all"\n${api}`,
      setup: programs.setup,
      env: { SECRET_OF_THE_AGENT: 'x' },
    });
    assert.deepEqual(factsOf(agent)['guestComponents'], componentNames);
    const attestation = programs.started('attestation-agent');
    assert.deepEqual(attestation.args, ['--attestation_sock', `unix://${aa}`]);
    assert.deepEqual(
      Object.keys(attestation.env).filter(
        (name) => !['PWD', 'SHLVL', '_', 'OLDPWD', 'NO_COLOR'].includes(name),
      ),
      ['PATH'],
    );
    const hub = programs.started('confidential-data-hub');
    assert.deepEqual(hub.args, []);
    assert.equal(hub.env['OCICRYPT_KEYPROVIDER_CONFIG'], undefined);
    await eventually(() => assert.deepEqual(programs.started('api-server-rest').args, ['--features', 'all']));
    const log = agent.log.map((line) => JSON.parse(line) as Readonly<Record<string, string>>);
    const started = log.filter(({ msg }) => msg === 'a guest component is started');
    assert.deepEqual(
      started.map(({ component }) => component),
      componentNames,
    );
    const hello = log.find(({ msg }) => msg === 'attestation-agent says hello');
    assert.equal(hello?.['component'], 'attestation-agent');
    const pids = componentNames.map((name) => programs.started(name).pid);
    assert.deepEqual(pids.map(alive), [true, true, true]);
    await agent.stop();
    assert.deepEqual(pids.map(alive), [false, false, false]);
    assert.doesNotMatch(agent.log.join('\n'), /a guest component has ended/);
  });

  it('the data hub gets the file of its key provider if the image has it: else it writes its own', async () => {
    const etc = 'mount -t overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work kata-test /etc';
    agent = await AgentProcess.start({
      config: api,
      setup: `${programs.setup} && mkdir /run/upper /run/work && ${etc} && echo '{}' > /etc/ocicrypt_config.json`,
    });
    const { env } = programs.started('confidential-data-hub');
    assert.equal(env['OCICRYPT_KEYPROVIDER_CONFIG'], '/etc/ocicrypt_config.json');
  });

  it('get the parts of initdata', async () => {
    const initdata =
      'version = "0.1.0"\nalgorithm = "sha256"\n\n[data]\n"aa.toml" = "[token_configs]"\n"cdh.toml" = "[kbc]"\n';
    const guest = new DeliverySources().disk(writeInitdataImage(Buffer.from(initdata)));
    try {
      const config = `${api}[delivery]\naccept = ["initdata"]\nbind = "none"\nrequired = false\n`;
      agent = await AgentProcess.start({ config, setup: `${guest.setup} && ${programs.setup}` });
      const directory = '/run/confidential-containers/initdata';
      assert.deepEqual(programs.started('attestation-agent').args.slice(2), [
        '--initdata-toml',
        `${directory}/initdata.toml`,
        '-c',
        `${directory}/aa.toml`,
      ]);
      assert.deepEqual(programs.started('confidential-data-hub').args, ['-c', `${directory}/cdh.toml`]);
    } finally {
      await agent?.dispose();
      agent = undefined;
      guest.dispose();
    }
  });

  const levels = [
    ['none', []],
    ['attestation-agent', componentNames.slice(0, 1)],
    ['confidential-data-hub', componentNames.slice(0, 2)],
  ] as const;
  for (const [level, names] of levels)
    it(`guest_components_procs = "${level}" starts ${names.length}`, async () => {
      const config = `[agent]\nguest_components_procs = "${level}"\n${api}`;
      agent = await AgentProcess.start({ config, setup: programs.setup });
      assert.deepEqual(factsOf(agent)['guestComponents'] ?? [], names);
      assert.equal(factsOf(agent)['missingComponents'], undefined);
      if (level === 'none') assert.doesNotMatch(agent.log.join('\n'), /guest.component/);
    });

  it('without the programs a level that is not asked for is silent, and one that is asked for is a warning with their names', async () => {
    programs.dispose();
    programs = new GuestComponentPrograms([]);
    agent = await AgentProcess.start({ config: api });
    assert.doesNotMatch(agent.log.join('\n'), /none is started/);
    await agent.dispose();
    const config = `[agent]\nguest_components_procs = "attestation-agent"\n${api}`;
    agent = await AgentProcess.start({ config });
    assert.match(
      agent.log.join('\n'),
      /"WARN".*"missing":"\/usr\/local\/bin\/attestation-agent".*none is started/,
    );
    assert.deepEqual(factsOf(agent)['missingComponents'], ['/usr/local/bin/attestation-agent']);
  });

  it('if one program is missing, none is started, and the warning has its name', async () => {
    programs.dispose();
    programs = new GuestComponentPrograms(['attestation-agent', 'api-server-rest']);
    agent = await AgentProcess.start({ config: api, setup: programs.setup });
    assert.match(
      agent.log.join('\n'),
      /"WARN".*"missing":"\/usr\/local\/bin\/confidential-data-hub".*none is started/,
    );
    assert.equal(factsOf(agent)['guestComponents'], undefined);
    assert.equal(existsSync(join(programs.directory, 'attestation-agent.json')), false);
  });

  it('one that ends or does not listen in time stops the start, and those before it are stopped', async () => {
    for (const [behaviour, message] of [
      ['exits', /guest component confidential-data-hub \(.*\) has ended at its start: exit code 3/],
      [
        'never listens',
        /guest component confidential-data-hub: \/run\/confidential-containers\/cdh\.sock is not there after 2 s/,
      ],
    ] as const) {
      programs.behave('confidential-data-hub', behaviour);
      const config = `[agent]\nlaunch_process_timeout = 2\n${api}`;
      const { code, stderr } = await AgentProcess.run({ config, setup: programs.setup });
      assert.equal(code, 3, stderr);
      assert.match(stderr, message);
      assert.match(stderr, /confidential-data-hub says hello/);
      assert.doesNotMatch(stderr, /"msg":"listening"/);
      for (const name of ['attestation-agent', 'confidential-data-hub'])
        assert.equal(alive(programs.started(name).pid), false, name);
    }
  });

  it('the end of one is an error in the agent log', async () => {
    agent = await AgentProcess.start({ config: api, setup: programs.setup });
    process.kill(programs.started('attestation-agent').pid, 'SIGKILL');
    const running = agent;
    await eventually(() =>
      assert.match(
        running.log.join('\n'),
        /"ERRO".*"component":"attestation-agent".*killed by SIGKILL.*a guest component has ended/,
      ),
    );
  });

  describe('of an extension image', () => {
    const root = '/run/kata-extensions/coco';
    const withManifest = (text: string | undefined): string => {
      const image = join(programs.directory, 'extension');
      mkdirSync(join(image, 'etc/kata-extensions'), { recursive: true });
      if (text !== undefined) writeFileSync(join(image, 'etc/kata-extensions/components.toml'), text);
      for (const name of ['aa', 'aa-nv']) programs.write(join('extension/usr/bin', name), name);
      return `${programs.setup} && mkdir -p ${root} && mount --bind ${image} ${root}`;
    };
    const manifest = `schema_version = 1
[paths]
"ocicrypt-config" = "etc/ocicrypt.json"
[[process]]
id = "attestation-agent"
level = 1
args = ["--sock", "\${aa_attestation_uri}"]
optional_args = [{ when = "initdata_toml_path", args = ["--initdata", "\${initdata_toml_path}"] }]
select = "\${attester_variant}"
env = { BASE = "1", BOTH = "base" }
  [process.variants.default]
  path = "usr/bin/aa"
  [process.variants.nvidia]
  path = "usr/bin/aa-nv"
  args = ["--gpu"]
  env = { BOTH = "variant", KEYS = "\${ocicrypt_config_path}" }
`;

    it('replace the built-in ones; KATA_ATTESTER_VARIANT selects the variant', async () => {
      const setup = withManifest(manifest);
      agent = await AgentProcess.start({ config: api, setup });
      assert.deepEqual(factsOf(agent)['guestComponents'], ['attestation-agent']);
      await eventually(() => assert.deepEqual(programs.started('aa').args, ['--sock', `unix://${aa}`]));
      await agent.dispose();
      agent = await AgentProcess.start({ config: api, setup, env: { KATA_ATTESTER_VARIANT: 'nvidia' } });
      await eventually(() => {
        const { args, env } = programs.started('aa-nv');
        assert.deepEqual(args, ['--sock', `unix://${aa}`, '--gpu']);
        assert.deepEqual(
          [env['BASE'], env['BOTH'], env['KEYS']],
          ['1', 'variant', `${root}/etc/ocicrypt.json`],
        );
      });
    });

    it('without a data hub puller = "cdh" stops the start, and what was started', async () => {
      const config = `${api}[image]\npuller = "cdh"\n`;
      const waits = 'wait_socket = "${aa_attestation_socket}"\ntimeout_secs = "5"\n';
      const process = `[[process]]\nid = "attestation-agent"\nlevel = 1\npath = "usr/bin/waited"\n${waits}`;
      const setup = withManifest(`schema_version = 1\n${process}`);
      programs.write('extension/usr/bin/waited', 'attestation-agent');
      const { code, stderr } = await AgentProcess.run({ config, setup });
      assert.equal(code, 3, stderr);
      assert.match(stderr, /is not started: the extension image does not have it/);
      assert.equal(alive(programs.started('attestation-agent').pid), false);
    });

    const wrong: readonly (readonly [string | undefined, RegExp])[] = [
      [undefined, /no readable manifest/],
      ['schema_version = 2\n', /schema_version must be 1, not the integer 2/],
      ['[[process]]\n', /schema_version must be 1, not missing/],
      ['schema_version = ', /components\.toml:1:/],
      [manifest.replace('usr/bin/aa"', '../aa"'), /\.\.\/aa\\" is not a path in the image/],
      [manifest.replace('aa_attestation_uri', 'no_such'), /\$\{no_such\}\\" is not a variable/],
      [manifest.replace('variants.default', 'variants.other'), /has no variant \\"default\\"/],
      [manifest.replace('args = ["--sock"', 'args = [1'), /args must be a list of texts, not the integer 1/],
    ];
    for (const [text, message] of wrong)
      it(`a manifest is refused: ${message.source}`, async () => {
        const { code, stderr } = await AgentProcess.run({ config: api, setup: withManifest(text) });
        assert.equal(code, 3, stderr);
        assert.match(stderr, message);
      });
  });

  it('the data hub listens where its clients look', async () => {
    agent = await AgentProcess.start({ config: api, setup: programs.setup });
    assert.ok(existsSync(`/proc/${agent.process.pid}/root${cdh}`));
  });
});
