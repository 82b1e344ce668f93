import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { AgentProcess } from '../harness/agent-process.js';
import { whyNoContainers } from '../harness/rootfs.js';

/** Returns commands that mount another kernel command line in the agent's mount namespace. */
const kernelCommandLine = (text: string) =>
  `printf '%s' '${text}' > /run/cmdline && mount --bind /run/cmdline /proc/cmdline`;

interface Boot {
  readonly log: string;
  /** Sources of the ignored overrides in the boot record. */
  readonly ignored: readonly string[];
}

async function boot(options: Parameters<typeof AgentProcess.start>[0]): Promise<Boot> {
  const agent = await AgentProcess.start(options);
  try {
    await agent.stop();
    const [first] = agent.records();
    assert.equal(first?.['kind'], 'boot');
    const facts = first['facts'] as { readonly ignoredOverrides: readonly { readonly source: string }[] };
    return { log: agent.log.join('\n'), ignored: facts.ignoredOverrides.map(({ source }) => source) };
  } finally {
    await agent.dispose();
  }
}

describe('overrides (R7, S21)', { skip: whyNoContainers() ?? false }, () => {
  it('debug_console on the kernel command line is ignored and recorded if the documents restrict the API', async () => {
    const { log, ignored } = await boot({
      config: '[api]\nblocked_endpoints = ["ExecProcess"]\n',
      setup: kernelCommandLine('quiet agent.debug_console agent.log=debug'),
    });
    assert.deepEqual(ignored, ['kernel command line agent.debug_console']);
    assert.match(log, /agent\.debug_console/);
  });

  it('a rule or a listener alone restricts the API', async () => {
    const unrestricted = '[api]\nrelease = "4.1"\nallowed_endpoints = ["*"]\n';
    const rule =
      '[[api.rule]]\nname = "r"\nendpoints = ["ExecProcess"]\nexpression = "!terminal"\nenforcement = "audit"\n';
    const listener = '[[listener]]\nname = "l"\naddress = "vsock://-1:1024"\n';
    for (const more of ['', rule, listener]) {
      const { ignored } = await boot({
        config: unrestricted + more,
        setup: kernelCommandLine('quiet agent.debug_console'),
      });
      assert.equal(ignored.includes('kernel command line agent.debug_console'), more !== '', more);
    }
  });

  it('lock = true ignores every override, and the agent starts', async () => {
    const { ignored } = await boot({
      config: '[agent]\nserver_addr = "vsock://-1:1024"\nlock = true\n[api]\nallowed_endpoints = ["@pod"]\n',
      args: ['--log-level', 'debug'],
      env: { KATA_AGENT_TRACING: 'true' },
      setup: kernelCommandLine('agent.hotplug_timeout=9 agent.cdh_api_timeout=50'),
    });
    assert.deepEqual(
      [...ignored].sort((a, b) => a.localeCompare(b)),
      [
        'command line --log-level',
        'command line --server-addr',
        'environment KATA_AGENT_TRACING',
        'kernel command line agent.cdh_api_timeout',
        'kernel command line agent.hotplug_timeout',
      ],
    );
  });

  it('an invalid value of a known kernel parameter is fatal; unknown parameters and those after -- are not', async () => {
    const bad = await AgentProcess.run({ setup: kernelCommandLine('agent.hotplug_timeout=soon') });
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /agent\.hotplug_timeout.*soon/s);
    const { log } = await boot({
      config: '[api]\nallowed_endpoints = ["*"]\n',
      setup: kernelCommandLine('agent.nonsense=1 -- agent.log=nope'),
    });
    assert.match(log, /agent\.nonsense/);
  });
});
