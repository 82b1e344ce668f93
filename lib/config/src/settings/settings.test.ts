import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDocument, type MergeRule, settings } from '../index.js';
import { agentSettings } from './agent-settings-table.js';
import { withoutEffect } from './read-section.js';
import type { SettingRow } from './setting.js';

/** Settings for access of containers to the guest: in documents only. */
const guestAccess = [
  'privileged_containers',
  'devices',
  'guest_paths',
  'network_namespaces',
  'capabilities',
  'share_processes',
  'user_namespaces',
  'kernel_modules',
  'sysctls',
  'host_aliases',
  'nosymfollow',
  'image_volumes',
  'extensions',
];

const agent = settings.filter(({ section }) => section === 'agent');

test("Kata's settings have Kata's words, names and defaults", async () => {
  // docs/records/kata-facts.md, "Settings": TOML name, kernel word, environment variable if Kata has one, default.
  const facts: readonly (readonly [string, string, string | undefined, unknown])[] = [
    ['debug_console', 'agent.debug_console', undefined, false],
    ['dev_mode', 'agent.devmode', undefined, false],
    ['log_level', 'agent.log', 'KATA_AGENT_LOG_LEVEL', 'info'],
    ['tracing', 'agent.trace', 'KATA_AGENT_TRACING', false],
    ['server_addr', 'agent.server_addr', 'KATA_AGENT_SERVER_ADDR', 'vsock://-1:1024'],
    ['hotplug_timeout', 'agent.hotplug_timeout', undefined, 3],
    ['cdh_api_timeout', 'agent.cdh_api_timeout', undefined, 50],
    ['image_pull_timeout', 'agent.image_pull_timeout', undefined, 1200],
    ['cdi_timeout', 'agent.cdi_timeout', undefined, 100],
    ['launch_process_timeout', 'agent.launch_process_timeout', undefined, 6],
    ['visible_cdi_devices', 'agent.visible_cdi_devices', undefined, false],
    ['debug_console_vport', 'agent.debug_console_vport', undefined, 0],
    ['log_vport', 'agent.log_vport', undefined, 0],
    ['passfd_listener_port', 'agent.passfd_listener_port', undefined, 0],
    ['container_pipe_size', 'agent.container_pipe_size', undefined, 0],
    ['unified_cgroup_hierarchy', 'systemd.unified_cgroup_hierarchy', undefined, false],
    ['https_proxy', 'agent.https_proxy', undefined, undefined],
    ['no_proxy', 'agent.no_proxy', undefined, undefined],
    ['guest_components_rest_api', 'agent.guest_components_rest_api', undefined, 'resource'],
    ['guest_components_procs', 'agent.guest_components_procs', undefined, 'api-server-rest'],
    ['secure_storage_integrity', 'agent.secure_storage_integrity', undefined, true],
    ['policy_file', 'agent.policy_file', 'KATA_AGENT_POLICY_FILE', undefined],
    ['mem_agent_enable', 'agent.mem_agent_enable', undefined, false],
    ['mem_agent_memcg_disable', 'agent.mem_agent_memcg_disable', undefined, false],
    ['mem_agent_memcg_swap', 'agent.mem_agent_memcg_swap', undefined, false],
    ['mem_agent_memcg_swappiness_max', 'agent.mem_agent_memcg_swappiness_max', undefined, 50],
    ['mem_agent_memcg_period_secs', 'agent.mem_agent_memcg_period_secs', undefined, 600],
    [
      'mem_agent_memcg_period_psi_percent_limit',
      'agent.mem_agent_memcg_period_psi_percent_limit',
      undefined,
      1,
    ],
    [
      'mem_agent_memcg_eviction_psi_percent_limit',
      'agent.mem_agent_memcg_eviction_psi_percent_limit',
      undefined,
      1,
    ],
    [
      'mem_agent_memcg_eviction_run_aging_count_min',
      'agent.mem_agent_memcg_eviction_run_aging_count_min',
      undefined,
      3,
    ],
    ['mem_agent_compact_disable', 'agent.mem_agent_compact_disable', undefined, false],
    ['mem_agent_compact_period_secs', 'agent.mem_agent_compact_period_secs', undefined, 600],
    [
      'mem_agent_compact_period_psi_percent_limit',
      'agent.mem_agent_compact_period_psi_percent_limit',
      undefined,
      1,
    ],
    ['mem_agent_compact_psi_percent_limit', 'agent.mem_agent_compact_psi_percent_limit', undefined, 5],
    ['mem_agent_compact_sec_max', 'agent.mem_agent_compact_sec_max', undefined, 300],
    ['mem_agent_compact_order', 'agent.mem_agent_compact_order', undefined, 9],
    ['mem_agent_compact_threshold', 'agent.mem_agent_compact_threshold', undefined, 1024],
    ['mem_agent_compact_force_times', 'agent.mem_agent_compact_force_times', undefined, 'max'],
  ];
  for (const [key, word, environment, value] of facts) {
    const row = agent.find((row) => row.key === key);
    assert.ok(row?.override !== undefined, key);
    assert.equal(row.override.kernelWord, word);
    if (environment !== undefined) assert.equal(row.override.environment, environment);
    assert.deepEqual(row.default, value, key);
  }
  const ours = agent.map(({ key }) => key).filter((key) => !facts.some(([fact]) => fact === key));
  assert.deepEqual(ours, [
    'oci_runtime',
    'hooks',
    ...guestAccess,
    'harden',
    'clock_floor',
    'on_end',
    'forward',
    'lock',
    'overridable',
  ]);
});

test('each key has the merge rule of docs/configuration.md, "Merging documents"', async () => {
  const opening =
    /^(debug_console|debug_console_vport|dev_mode|tracing|passfd_listener_port|oci_runtime|forward|policy_file|secure_storage_integrity|guest_components_.*|https_proxy|no_proxy|hooks|privileged_containers|devices|guest_paths|network_namespaces|capabilities|share_processes|user_namespaces|kernel_modules|sysctls|host_aliases|extensions|harden|clock_floor)$/;
  const rule = (section: string, key: string): MergeRule => {
    if (key === 'allowed_endpoints' || key === 'registries') return 'intersect';
    if (key === 'blocked_endpoints' || key === 'signatures') return 'union';
    if (key === 'release') return 'earliest';
    if (key === 'strict' || key === 'require_digest') return 'or';
    if (section === 'limits' || (section === 'image' && key === 'max_size')) return 'minimum';
    if (['audit', 'api', 'delivery', 'measurement', 'image', 'evidence'].includes(section))
      return 'base only';
    if (
      opening.test(key) ||
      ['lock', 'overridable', 'server_addr', 'log_vport', 'nosymfollow', 'image_volumes'].includes(key)
    )
      return 'base only';
    return 'owner';
  };
  for (const { section, key, merge, opensGuest } of settings) {
    assert.equal(merge, rule(section, key), key);
    assert.equal(opensGuest, section === 'agent' && opening.test(key), key);
  }
});

test('names are unique, and every example and default is valid for its type', async () => {
  const names = settings.flatMap(({ section, key, override }) => [
    `${section}/${key}`,
    ...(override === undefined ? [] : [override.flag, override.environment, override.kernelWord]),
    ...(override?.kernelAlias === undefined ? [] : [override.kernelAlias.word]),
  ]);
  assert.equal(new Set(names).size, names.length);
  for (const row of settings) {
    assert.match(row.purpose, /^[A-Z].*\.$/, row.key);
    const texts = [row.example, ...(row.default === undefined ? [] : [row.type.write(row.default)])];
    for (const value of texts) {
      const { diagnostics } = await checkDocument(
        Buffer.from(`[${row.section}]\n${row.key} = ${value}\n`),
        'f',
      );
      const wrong = diagnostics.filter(({ message }) => message.includes('must be'));
      assert.deepEqual(wrong, [], `${row.key} = ${value}`);
    }
    if (row.built !== 'yes') assert.ok(row.section === 'agent' || row.built === 'later', row.key);
    assert.equal(
      row.override === undefined,
      row.section !== 'agent' || ['lock', 'overridable', 'clock_floor', ...guestAccess].includes(row.key),
    );
  }
});

test('none of the guest components can be requested without a warning', async () => {
  for (const value of ['none', 'api-server-rest']) {
    const { diagnostics } = await checkDocument(
      Buffer.from(`[agent]\nguest_components_procs = "${value}"\n`),
      'f',
    );
    assert.deepEqual(
      diagnostics.filter(({ message }) => message.includes('guest_components_procs')),
      [],
    );
  }
});

test('the property of a setting is its key in camel case', async () => {
  for (const [property, { key }] of Object.entries(agentSettings)) {
    assert.equal(
      property.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      key,
    );
  }
});

test('a setting of ours that is not built is an error, unless it is the default', () => {
  const row: SettingRow = { ...agentSettings.onEnd, built: 'later' };
  assert.equal(withoutEffect(row, undefined), undefined);
  assert.deepEqual(withoutEffect(row, 'exit'), {
    severity: 'error',
    code: 'KA1105',
    message: 'on_end is not built yet',
    help: 'remove it, or write the default: no on_end',
  });
});
