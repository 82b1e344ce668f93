import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { writeInitdataImage } from '@kata-agent/config';
import { AgentProcess } from '../harness/agent-process.js';
import { DeliverySources } from '../harness/delivery-sources.js';
import { whyNoContainers } from '../harness/rootfs.js';

const defaults =
  'package agent_policy\n\ndefault CreateSandboxRequest := true\ndefault ExecProcessRequest := false\n';
const rules = `${defaults}ExecProcessRequest {\n  input.process.Args[0] == "ls"\n}\n`;
const components = { 'aa.toml': '[token_configs]\n', 'cdh.toml': 'socket = "x"\n' };

function envelopeOf(files: Readonly<Record<string, string>>): string {
  const data = Object.entries(files).map(([name, text]) => `"${name}" = '''\n${text}'''\n`);
  return `algorithm = "sha384"\nversion = "0.1.0"\n\n[data]\n${data.join('')}`;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

const base = (delivery: string): string =>
  `[api]\nallowed_endpoints = ["@pod", "ExecProcess"]\n\n[delivery]\n${delivery}\n`;

const accepting = (envelope: string, more = ''): string =>
  base(`accept = ["initdata"]\nbind = "sha256:${sha256(envelope)}"\n${more}`);

/** Runs work in a guest with an initdata device. */
async function withDevice<T>(envelope: string, work: (guest: DeliverySources) => Promise<T>): Promise<T> {
  const guest = new DeliverySources().disk(writeInitdataImage(Buffer.from(envelope)));
  try {
    return await work(guest);
  } finally {
    guest.dispose();
  }
}

interface BootFacts {
  readonly documents: readonly {
    readonly file: string;
    readonly sha256: string;
    readonly binding?: string;
  }[];
  readonly initdata?: {
    readonly sha256: string;
    readonly binding?: string;
    readonly files: readonly { readonly name: string; readonly outcome: string; readonly reason?: string }[];
  };
}

interface Started {
  readonly agent: AgentProcess;
  readonly facts: BootFacts;
  /** Returns a file of the guest components; throws ENOENT if it was not written. */
  readonly kept: (name: string) => string;
}

/** Runs work with an agent that listens. */
async function withAgent<T>(
  options: { readonly config?: string; readonly setup: string; readonly args?: readonly string[] },
  work: (started: Started) => Promise<T>,
): Promise<T> {
  const agent = await AgentProcess.start(options);
  const root = `/proc/${agent.process.pid}/root`;
  const directory = `${root}/run/confidential-containers/initdata`;
  try {
    const log = options.config === undefined ? `${root}/run/kata-agent/audit.log` : agent.auditLog;
    const [first = ''] = readFileSync(log, 'utf8').split('\n');
    const { facts } = JSON.parse(first) as { readonly facts: BootFacts };
    return await work({ agent, facts, kept: (name) => readFileSync(join(directory, name), 'utf8') });
  } finally {
    await agent.dispose();
  }
}

/** Returns the output of an agent that does not listen. */
async function rejected(guest: DeliverySources, config?: string): Promise<string> {
  const { code, stderr } = await AgentProcess.run({
    ...(config === undefined ? {} : { config }),
    setup: guest.setup,
  });
  assert.equal(code, 3, stderr);
  assert.doesNotMatch(stderr, /"msg":"listening"/);
  return stderr;
}

describe('files of initdata (R8)', { skip: whyNoContainers() ?? false }, () => {
  const envelope = envelopeOf({ ...components, 'policy.rego': defaults, 'other.txt': 'x' });

  it('a policy of defaults narrows before the agent listens, and each file is in the boot record', () =>
    withDevice(envelope, (guest) =>
      withAgent({ config: accepting(envelope), setup: guest.setup }, async ({ agent, facts, kept }) => {
        const { agent: client } = await agent.connect();
        await assert.rejects(client.execProcess({}), /ExecProcess.*initdata \(\/dev\/vdb\) policy\.rego/s);
        await assert.rejects(client.createContainer({}), /CreateContainer.*policy\.rego/s);
        assert.deepEqual(
          facts.initdata?.files.map(({ name, outcome }) => [name, outcome]),
          [
            ['aa.toml', 'kept'],
            ['cdh.toml', 'kept'],
            ['policy.rego', 'applied'],
            ['other.txt', 'ignored'],
          ],
        );
        assert.equal(facts.initdata.binding, 'pin');
        assert.deepEqual(
          facts.documents.slice(1).map(({ file, sha256: digest }) => [file, digest]),
          [['initdata (/dev/vdb)', sha256(envelope)]],
        );
        assert.equal(kept('initdata.toml'), envelope);
        assert.equal(kept('aa.toml'), components['aa.toml']);
        assert.equal(kept('cdh.toml'), components['cdh.toml']);
        const path = `/proc/${agent.process.pid}/root/run/confidential-containers/initdata`;
        assert.equal(statSync(join(path, 'aa.toml')).mode & 0o777, 0o644);
      }),
    ));

  it("without a configuration initdata is used as by Kata's agent", () =>
    withDevice(envelope, (guest) =>
      withAgent({ setup: guest.setup }, async ({ agent, facts, kept }) => {
        assert.deepEqual(facts.documents, []);
        assert.equal(facts.initdata?.binding, 'none');
        const { agent: client } = await agent.connect();
        await assert.rejects(client.execProcess({}), /ExecProcess.*policy\.rego/s);
        await client.createSandbox({ sandboxId: 's' });
        assert.equal(kept('cdh.toml'), components['cdh.toml']);
        assert.match(agent.log.join('\n'), /only the policy in initdata restricts the API/);
        assert.match(agent.log.join('\n'), /"msg":"initdata"/);
      }),
    ));

  it('an agent that is started again in the same boot without the device restricts as much', () =>
    withDevice(envelope, async (guest) => {
      const args = ['--state-dir', join(guest.directory, 'state')];
      const denied = ({ agent }: Started) =>
        agent
          .connect()
          .then(({ agent: client }) => assert.rejects(client.execProcess({}), /ExecProcess is not served/));
      const mayExec = '[api]\nallowed_endpoints = ["@pod", "ExecProcess"]\n';
      await withAgent({ args, setup: guest.setup, config: accepting(envelope) }, denied);
      await withAgent({ args, setup: ':', config: mayExec }, denied);
    }));

  it('an agent that is started again in the same boot has the same document, or does not start', () => {
    const document = '[api]\nblocked_endpoints = ["ExecProcess"]\n';
    const envelope = envelopeOf({ 'kata-agent.toml': document });
    return withDevice(envelope, async (guest) => {
      const args = ['--state-dir', join(guest.directory, 'state')];
      const config = base('accept = ["initdata"]\nbind = "none"\nrequired = false');
      const denied = ({ agent }: Started) =>
        agent
          .connect()
          .then(({ agent: client }) => assert.rejects(client.execProcess({}), /ExecProcess is not served/));
      await withAgent({ args, setup: guest.setup, config }, denied);
      await withAgent({ args, setup: guest.setup, config }, denied);
      const other = new DeliverySources().disk(Buffer.alloc(4096));
      try {
        const { code, stderr } = await AgentProcess.run({ args, setup: other.setup, config });
        assert.equal(code, 3, stderr);
        assert.match(stderr, /began with a delivered document that is missing now: sha256:[0-9a-f]{64}/);
      } finally {
        other.dispose();
      }
    });
  });

  it('a policy with rules stops the start, with and without a configuration', () => {
    const ruled = envelopeOf({ 'policy.rego': rules });
    return withDevice(ruled, async (guest) => {
      for (const config of [undefined, accepting(ruled)]) {
        assert.match(
          await rejected(guest, config),
          /policy\.rego:5:1: error\[KA1713\]: .*policy\.rego cannot be applied: [^]*help: convert it: kata-agent-ctl config migrate policy\.rego/,
        );
      }
    });
  });

  it('unused_initdata = "record" ignores a policy with rules, in the agent log and the boot record', () => {
    const ruled = envelopeOf({ ...components, 'policy.rego': rules });
    const config = accepting(ruled, 'unused_initdata = "record"\nrequired = false');
    return withDevice(ruled, (guest) =>
      withAgent({ config, setup: guest.setup }, async ({ agent, facts, kept }) => {
        assert.match(agent.log.join('\n'), /"WARN".*policy\.rego cannot be applied/);
        const policy = facts.initdata?.files.find(({ name }) => name === 'policy.rego');
        assert.equal(policy?.outcome, 'ignored');
        assert.match(policy.reason ?? '', /is no default/);
        assert.equal(kept('aa.toml'), components['aa.toml']);
      }),
    );
  });

  it('a device that the base document does not accept stops the start, or is recorded and not used', () =>
    withDevice(envelope, async (guest) => {
      const plain = '[api]\nallowed_endpoints = ["@pod", "ExecProcess"]\n';
      assert.match(
        await rejected(guest, plain),
        /error\[KA1714\]: initdata \(\/dev\/vdb\) is not used: .*does not accept/,
      );
      const config = base('unused_initdata = "record"');
      await withAgent({ config, setup: guest.setup }, async ({ agent, facts, kept }) => {
        assert.match(agent.log.join('\n'), /"WARN".*initdata \(\/dev\/vdb\) is not used/);
        assert.deepEqual([...new Set(facts.initdata?.files.map(({ outcome }) => outcome))], ['ignored']);
        assert.equal(facts.initdata?.binding, undefined);
        assert.throws(() => kept('initdata.toml'), { code: 'ENOENT' });
      });
    }));
});
