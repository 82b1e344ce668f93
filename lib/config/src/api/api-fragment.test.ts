import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { methodNames } from '@kata-agent/catalogue';
import { parseApiFragment, renderDiagnostic, type RuleChecker } from '../index.js';
import { methodsOfRequest } from '../document/api-document.js';

async function allowed(text: string): Promise<readonly string[]> {
  const fragment = await parseApiFragment(text, 'SetPolicy');
  assert.ok(fragment.ok, fragment.ok ? '' : fragment.diagnostics.map((d) => renderDiagnostic(d)).join('\n'));
  assert.ok(fragment.document.allowed !== undefined);
  return Array.from(fragment.document.allowed.keys());
}

async function refused(text: string): Promise<string> {
  const fragment = await parseApiFragment(text, 'SetPolicy');
  assert.ok(!fragment.ok, text);
  return fragment.diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n\n');
}

test('a TOML fragment can contain lists and a release', async () => {
  const fragment = await parseApiFragment(
    '[api]\nrelease = "3.21"\nblocked_endpoints = ["@exec"]\n',
    'SetPolicy',
  );
  assert.ok(fragment.ok);
  assert.equal(fragment.document.release, '3.21');
  assert.equal(fragment.document.allowed, undefined);
  assert.deepEqual(Array.from(fragment.document.blocked?.keys() ?? []), ['ExecProcess']);
  assert.deepEqual(fragment.warnings, []);
  assert.deepEqual(await allowed('# a policy\napi = { allowed_endpoints = ["WaitProcess"] }'), [
    'WaitProcess',
  ]);
  assert.deepEqual(await allowed('[api]\nallowed_endpoints = []'), []);
});

test('a fragment without lists adds no restriction', async () => {
  const fragment = await parseApiFragment('[api]', 'SetPolicy');
  assert.deepEqual(fragment, {
    ok: true,
    document: { file: 'SetPolicy', rules: [], listeners: new Map() },
    warnings: [],
  });
});

test('a fragment can contain nothing else', async () => {
  assert.equal(
    await refused('version = 1\n[agent]\nlock = false\n[api]\nstrict = true\nallowed_endpoints = ["Foo"]'),
    `SetPolicy:1:1: error[KA1801]: "version" cannot be set while the agent runs
  version = 1
  ^^^^^^^
help: write [api] with allowed_endpoints, blocked_endpoints, release or [[api.rule]]

SetPolicy:2:2: error[KA1801]: "agent" cannot be set while the agent runs
  [agent]
   ^^^^^
help: write [api] with allowed_endpoints, blocked_endpoints, release or [[api.rule]]

SetPolicy:5:1: error[KA1801]: "strict" cannot be set while the agent runs
  strict = true
  ^^^^^^
help: write [api] with allowed_endpoints, blocked_endpoints, release or [[api.rule]]

SetPolicy:6:22: error[KA1201]: unknown endpoint "Foo" in allowed_endpoints
  allowed_endpoints = ["Foo"]
                       ^^^^^
help: kata-agent-ctl endpoints lists the names and the groups`,
  );
  assert.match(await refused(''), /^SetPolicy:1:1: error\[KA1801\]: there is no \[api\] section/);
  assert.match(await refused('api = 1'), /^SetPolicy:1:1: error\[KA1801\]: there is no \[api\] section/);
  assert.match(await refused('[api]\nrelease = 3'), /^SetPolicy:2:11: error\[KA1102\]: release must be/);
  assert.match(
    await refused('allow everything'),
    /^SetPolicy:1:7: error\[KA1003\]: there is no = after this key/,
  );
  assert.match(await refused(`[api]\n# ${'x'.repeat(300_000)}`), /at most 256KiB are allowed/);
  assert.match(
    await refused(`[api]\n# ${'x'.repeat(32_762)}`),
    /^SetPolicy:1:1: error\[KA1001\]: a fragment has at most 32KiB, this one has 32770/,
  );
  assert.match(await refused('\ufeff[api]'), /byte order mark/);
});

test("Kata's plain policies are read by their request names", async () => {
  const policy = `# Copyright
package agent_policy

default CreateContainerRequest := true
default ReadStreamRequest := true # both streams
default WriteStreamRequest := true\r
\tdefault GuestDetailsRequest = true
default ExecProcessRequest := false
default AllowRequestsFailingPolicy := true
default VolumeStatsRequest := true
default MemAgentMemcgConfig := true
`;
  assert.deepEqual(await allowed(policy), [
    'CreateContainer',
    'ReadStdout',
    'ReadStderr',
    'WriteStdin',
    'GetGuestDetails',
    'GetVolumeStats',
    'MemAgentMemcgSet',
  ]);
  const fragment = await parseApiFragment(policy, 'SetPolicy');
  assert.ok(fragment.ok);
  assert.deepEqual(fragment.document.allowed?.get('ReadStderr'), {
    entry: 'ReadStreamRequest',
    span: { file: 'SetPolicy', line: 5, column: 1, endColumn: 34 },
  });
  assert.deepEqual(await allowed('package agent_policy'), []);
});

test('the error for a Rego policy beyond a list of defaults points to the first such line', async () => {
  const policy =
    'package agent_policy\ndefault ExecProcessRequest := false\n\n  ExecProcessRequest {\n    input.x\n}\n';
  assert.equal(
    await refused(policy),
    `SetPolicy:4:3: error[KA1802]: line "ExecProcessRequest {" is no default: only "default NAMERequest := true" or "false" can be read
    ExecProcessRequest {
    ^^^^^^^^^^^^^^^^^^^^
help: policies with rules are not read here; write them as an [api] fragment in TOML`,
  );
  for (const line of [
    'import future.keywords.in',
    'package other',
    'default ExecProcessRequest := 1',
    'default ExecProcessRequest := true default X := true',
    'default ExecProcessRequest',
    'default ExecProcessRequest := true; default CopyFileRequest := true',
    'ExecProcessRequest := true',
    'default a.b := true',
  ]) {
    assert.match(
      await refused(`package agent_policy\n${line}`),
      /^SetPolicy:2:1: error\[KA1802\]: line /,
      line,
    );
  }
  assert.match(
    await refused('default CopyFileRequest := false\ndefault CopyFileRequest := true'),
    /^SetPolicy:2:1: error\[KA1802\]: "CopyFileRequest" has a default already, in line 1/,
  );
  assert.match(await refused('import x\n'), /^SetPolicy:1:1: error\[KA1802\]: line "import x"/);
});

test('the request names match agent.proto', async () => {
  // Read as text, to compare the table with another package's file.
  const proto = readFileSync(new URL('../../../protocol/proto/agent.proto', import.meta.url), 'utf8');
  const rpcs = Array.from(proto.matchAll(/rpc (\w+)\s*\((\w+)\)/g), ([, method, request]) => [
    method,
    request,
  ]);
  assert.equal(rpcs.length, methodNames.length);
  const table = Array.from(methodsOfRequest, ([request, methods]) =>
    methods.map((method) => [method, request]),
  ).flat();
  const byName = (a: readonly (string | undefined)[], b: readonly (string | undefined)[]): number =>
    String(a[0]).localeCompare(String(b[0]));
  assert.deepEqual(table.sort(byName), rpcs.sort(byName));
});

const ruled = `[api]
[[api.rule]]
name = "known"
endpoints = ["ExecProcess"]
expression = "!terminal"
`;

test('rules in a fragment are checked like those of documents', async () => {
  const rules = async (): Promise<RuleChecker> => ({
    patternFault: () => undefined,
    check: ({ expression }) => ({
      needsGuest: [],
      faults:
        expression === '!terminal'
          ? []
          : [{ severity: 'error', code: 'KA1302', start: 1, end: 9, message: 'unknown name' }],
    }),
  });
  const fragment = await parseApiFragment(ruled, 'SetPolicy', { rules });
  assert.ok(fragment.ok);
  assert.deepEqual(
    fragment.document.rules.map(({ name, expression, methods }) => [name, expression, [...methods.keys()]]),
    [['known', '!terminal', ['ExecProcess']]],
  );
  const faulty = async (text: string, ruleNames: readonly string[] = []): Promise<string> => {
    const parsed = await parseApiFragment(text, 'SetPolicy', { rules, ruleNames });
    assert.ok(!parsed.ok);
    return parsed.diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n');
  };
  assert.match(
    await faulty(ruled.replace('terminal', 'trminal')),
    /^SetPolicy:5:16: error\[KA1302\]: unknown name/,
  );
  assert.match(
    await faulty(ruled, ['known']),
    /^SetPolicy:3:8: error\[KA1107\]: a rule with the name "known" is in force already/,
  );
  assert.match(
    await faulty(`${ruled.replace('ExecProcess', 'ReadStdout')}on_denied_read = "eof"\n`),
    /on_denied_read of \[\[api\.rule\]\] is allowed only in the base document/,
  );
});

test('without a checker a rule in a fragment is rejected; a listener always is', async () => {
  assert.match(await refused(ruled), /^SetPolicy:2:7: error\[KA1314\]: rules cannot be checked here/);
  assert.match(
    await refused('[api]\n[[listener]]\nname = "x"\n'),
    /^SetPolicy:2:3: error\[KA1801\]: "listener" cannot be set while the agent runs/,
  );
});
