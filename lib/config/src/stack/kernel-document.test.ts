import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { deliverySources, type Inputs } from '../index.js';
import { asking, fails, load, narrow, open, pod, warnings } from '../loading.test.fixture.js';
import { isServed } from '../api/served.js';

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function kernelCommandLine(text: string, pin = `sha256:${digestOf(text)}`): Partial<Inputs> {
  const line = `quiet agent.config_b64=${Buffer.from(text).toString('base64')}${pin === '' ? '' : ` agent.config_digest=${pin}`}\n`;
  return { kernelCommandLine: line, delivery: deliverySources({ kernelCommandLine: line }) };
}

test('without a base document, a pinned document on the kernel command line is the base', async () => {
  const configuration = await load(undefined, kernelCommandLine(`${pod}[agent]\nlock = true\n`));
  assert.deepEqual(configuration.documents, [
    {
      file: 'agent.config_b64',
      source: 'kernel_line',
      sha256: digestOf(`${pod}[agent]\nlock = true\n`),
      binding: 'pin',
    },
  ]);
  assert.equal(isServed(configuration.api.documents, 'server_addr', 'ExecProcess'), false);
  assert.equal(configuration.settings.lock, true);
  assert.deepEqual(warnings(configuration), []);
  assert.match(
    warnings(await load(undefined, kernelCommandLine('version = 1\n'))).join(),
    /NOTHING is served/,
  );
});

test('--require-config is not satisfied by it', async () => {
  assert.match(
    await fails(undefined, { ...kernelCommandLine(pod), requireConfig: true }),
    /there is no configuration, and --require-config asks for one/,
  );
});

for (const [name, document, inputs, exitCode, message] of [
  [
    'a document without its digest',
    undefined,
    kernelCommandLine(pod, ''),
    3,
    /^\/proc\/cmdline:1:7: error\[KA1708\]: agent\.config_b64 delivers a document that is not bound/,
  ],
  [
    'a wrong digest',
    undefined,
    kernelCommandLine(pod, `sha256:${'0'.repeat(64)}`),
    3,
    /is not the pinned document/,
  ],
  [
    'a digest of another form',
    undefined,
    kernelCommandLine(pod, digestOf(pod)),
    1,
    /agent\.config_digest is "[0-9a-f]{64}", which is not a digest\n[^]*help: write agent\.config_digest=sha256:/,
  ],
  [
    'a digest without a document',
    undefined,
    { kernelCommandLine: `agent.config_digest=sha256:${digestOf(pod)}` },
    1,
    /pins a document that is not delivered/,
  ],
  [
    'two digests',
    undefined,
    {
      kernelCommandLine: `agent.config_b64=QQ== agent.config_digest=sha256:${digestOf(pod)} agent.config_digest=sha256:${digestOf(pod)}`,
    },
    1,
    /agent\.config_digest is on the kernel command line twice/,
  ],
  [
    'a document that the base does not accept',
    open,
    kernelCommandLine(pod),
    1,
    /agent\.config_b64 delivers a document that \/c\.toml does not accept/,
  ],
  [
    'a second pin that does not fit',
    asking('accept = ["kernel_line"]\nbind = "none"'),
    kernelCommandLine(narrow, `sha256:${'0'.repeat(64)}`),
    3,
    /is not the pinned document/,
  ],
  [
    'one that asks for another by the kernel command line',
    undefined,
    kernelCommandLine(asking('accept = ["kernel_line"]\nbind = "none"')),
    1,
    /this document was delivered on the kernel command line, which delivers only one/,
  ],
] as const) {
  test(`on the kernel command line, ${name} is fatal`, async () => {
    assert.match(await fails(document, inputs, exitCode), message);
  });
}

test('a document truncated by the kernel together with its digest is reported as truncated', async () => {
  const text = `${pod}# ${'x'.repeat(2000)}\n`;
  const line = `quiet agent.config_b64=${Buffer.from(text).toString('base64')} agent.config_digest=sha256:${digestOf(text)}`;
  const cut = `${line.slice(0, 2047)}\n`;
  const message = await fails(
    undefined,
    { kernelCommandLine: cut, delivery: deliverySources({ kernelCommandLine: cut }) },
    3,
  );
  assert.match(message, /agent\.config_b64 ends where the kernel truncates its command line \(2047 bytes\)/);
  assert.match(message, /help: deliver it as initdata or by fw_cfg instead/);
});

test('a base that accepts the kernel command line gets its document bound as required, and not as an override', async () => {
  const bound = await load(
    asking(`accept = ["kernel_line"]\nbind = "sha256:${digestOf(narrow)}"`),
    kernelCommandLine(narrow, ''),
  );
  assert.deepEqual(
    bound.documents.map(({ binding }) => binding),
    [undefined, 'pin'],
  );
  assert.deepEqual(warnings(bound), []);
});
