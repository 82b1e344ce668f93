import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type DeliverySource, type Loaded, loadConfiguration, renderDiagnostic } from '@kata-agent/config';

const directory = fileURLToPath(new URL('../../../../../lib/config/wrong/', import.meta.url));
const files = readdirSync(directory);
const names = files.filter((name) => /^[^.]+\.toml$/.test(name)).map((name) => name.replace('.toml', ''));

/** The expected results in the first lines of an invalid file. */
function headerOf(text: string, key: string): string | undefined {
  return new RegExp(`^# ${key}: (.*)$`, 'm').exec(text)?.[1];
}

/** Loads the document as an agent would: with `NAME.base.toml` beside it, it is a drop-in. */
async function loadWrong(
  name: string,
  document: string,
  kernelCommandLine: string | undefined,
): Promise<Loaded> {
  const base = files.includes(`${name}.base.toml`) ? read(`${name}.base.toml`) : undefined;
  const bytes = Buffer.from(document);
  const dropIn: DeliverySource = {
    name: 'drop_ins',
    collect: () => ({
      ok: true,
      documents: [{ file: 'wrong.toml', bytes, envelope: bytes, algorithm: 'sha-256' }],
    }),
  };
  return loadConfiguration({
    flags: {},
    environment: {},
    configFlag: base === undefined ? 'wrong.toml' : 'base.toml',
    files: { read: () => ({ ok: true, bytes: Buffer.from(base ?? document) }) },
    rules: async () => (await import('@kata-agent/gate/rules')).createRuleChecker(),
    delivery: base === undefined ? [] : [dropIn],
    hostData: () => ({ ok: false, message: 'there is no report here', help: '' }),
    ...(kernelCommandLine === undefined ? {} : { kernelCommandLine }),
    ...(base === undefined ? { offline: { later: [], sense: 'error' } } : {}),
  });
}

function read(name: string): string {
  return readFileSync(`${directory}${name}`, 'utf8');
}

test('there are at least 40 invalid files, each with a corrected one', () => {
  assert.ok(names.length >= 40, `${names.length} files`);
  for (const name of names) assert.ok(files.includes(`${name}.fixed.toml`), name);
});

for (const name of names) {
  test(`wrong/${name}.toml: the error has the stated position, and its fix works`, async () => {
    const text = read(`${name}.toml`);
    const remedy = headerOf(text, 'remedy') ?? assert.fail('no remedy');
    const wrong = await loadWrong(name, text, headerOf(text, 'kernel command line'));
    assert.ok(!wrong.ok, 'it was loaded');
    const errors = wrong.diagnostics.filter(({ severity }) => severity === 'error');
    const [first] = errors;
    assert.ok(first?.span !== undefined);
    const rendered = errors.map((error) => renderDiagnostic(error)).join('\n');
    const place = `${first.span.file}:${first.span.line}:${first.span.column}`;
    assert.equal(place.replace(/^wrong\.toml:/, ''), headerOf(text, 'at'), rendered);
    assert.equal(first.code, headerOf(text, 'code'), rendered);
    assert.equal(errors.length, 1, rendered);
    assert.ok(first.help?.includes(remedy), `${rendered}\n(${remedy})`);
    const fixed = read(`${name}.fixed.toml`);
    const corrected = await loadWrong(name, fixed, headerOf(text, 'fixed kernel command line'));
    assert.ok(
      corrected.ok,
      corrected.ok ? '' : corrected.diagnostics.map((fault) => renderDiagnostic(fault)).join('\n'),
    );
  });
}
