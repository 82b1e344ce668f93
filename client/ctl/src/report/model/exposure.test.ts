import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadConfiguration } from '@kata-agent/config';
import { createRuleChecker } from '@kata-agent/gate/rules';
import { type CellState, type Exposure, exposureOf } from './exposure.js';

/** The exposure of documents that are merged in this order. */
async function exposed(...documents: readonly string[]): Promise<Exposure> {
  const [base = '', ...later] = documents;
  const loaded = await loadConfiguration({
    flags: {},
    configFlag: 'base.toml',
    environment: {},
    files: { read: () => ({ ok: true, bytes: Buffer.from(base) }) },
    rules: async () => createRuleChecker(),
    delivery: [],
    hostData: () => ({ ok: false, message: '', help: '' }),
    offline: {
      later: later.map((text, index) => ({ file: `later-${index}.toml`, bytes: Buffer.from(text) })),
      sense: 'warning',
    },
  });
  assert.ok(loaded.ok, JSON.stringify(loaded));
  const texts = new Map(
    documents.map((text, index) => [index === 0 ? 'base.toml' : `later-${index - 1}.toml`, text]),
  );
  return exposureOf(loaded.configuration, texts);
}

function states({ areas }: Exposure, method: string): readonly CellState[] {
  const row = areas.flatMap(({ rows }) => rows).find((one) => one.method === method);
  return row?.cells.map(({ state }) => state) ?? [];
}

test('the cells of a method: each listener, then what each document says alone', async () => {
  const exposure = await exposed(
    `[api]
release = "4.1"
[delivery]
accept = ["drop_ins"]
[[listener]]
name = "host"
address = "vsock://-1:1024"
peers = ["host"]
allowed_endpoints = ["@pod", "@copy"]
[[listener]]
name = "tenant"
address = "unix:///run/t.sock"
peers = ["uid:1000"]
management = ["Describe"]
allowed_endpoints = ["@exec"]
[[api.rule]]
name = "audited"
endpoints = ["ExecProcess"]
enforcement = "audit"
expression = "false"
`,
    `[api]
blocked_endpoints = ["@copy"]
# Only the first.
[[api.rule]]
name = "started"
endpoints = ["StartContainer"]
expression = "true"
`,
    '[agent]\nlog_level = "warn"\n',
  );
  assert.deepEqual(
    exposure.columns.map(({ name }) => name),
    ['host', 'tenant', 'base.toml', 'later-0.toml', 'later-1.toml'],
  );
  assert.deepEqual(states(exposure, 'StartContainer'), [
    'under rules',
    'refused',
    'served',
    'under rules',
    'says nothing',
  ]);
  assert.deepEqual(states(exposure, 'CopyFile'), ['refused', 'refused', 'served', 'refused', 'says nothing']);
  assert.deepEqual(states(exposure, 'ExecProcess'), [
    'refused',
    'served',
    'served',
    'served',
    'says nothing',
  ]);
  assert.deepEqual(states(exposure, 'Describe').slice(0, 2), ['refused', 'served']);
  assert.deepEqual(exposure.counts, { methods: 42, served: 15, underRules: 1 });
  const [audited, started] = exposure.rules;
  assert.equal(audited?.enforcement, 'audit');
  assert.deepEqual([started?.comment, started?.place], ['Only the first.', 'later-0.toml:5']);
});

test('settings that open the guest: privileged containers first, then by the table of settings', async () => {
  const { openings } = await exposed(`[agent]
hooks = "cdi"
capabilities = ["CAP_NET_ADMIN"]
guest_paths = []
debug_console = true
log_level = "debug"
privileged_containers = "allow"
[api]
allowed_endpoints = ["@pod"]
`);
  assert.deepEqual(
    openings.map(({ setting, value, source }) => `${setting} = ${value} ${source}`),
    [
      '[agent] privileged_containers = "allow" base.toml:7',
      '[agent] debug_console = true base.toml:5',
      '[agent] hooks = "cdi" base.toml:2',
      '[agent] capabilities = ["CAP_NET_ADMIN"] base.toml:3',
    ],
  );
  for (const { purpose } of openings) assert.doesNotMatch(purpose, /\]\(|`/);
});
