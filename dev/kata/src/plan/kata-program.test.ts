import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { describeProgram, inspectProgram, parseVersion, type ProgramRole } from './kata-program.js';

const goShim =
  'Kata Containers containerd shim (Golang): id: "io.containerd.kata.v2", version: 4.1.0, commit: 7c6ba40c54\n';
const rustShim =
  'Kata Containers containerd shim (Rust): id: io.containerd.kata.v2, version: 4.1.0, commit: 7c6ba40c54-dirty\n';
const agent =
  'kata-agent version 4.1.0 (api version: 0.0.1, commit version: 7c6ba40c54, type: rust, extra-features: ["seccomp"])\n';

describe('what a program of Kata says of itself', () => {
  const known: readonly [role: ProgramRole, output: string, stated: object][] = [
    ['shim', goShim, { version: '4.1.0', kind: 'Go', commit: '7c6ba40c54' }],
    ['shim', rustShim, { version: '4.1.0', kind: 'runtime-rs', commit: '7c6ba40c54-dirty' }],
    ['agent', agent, { version: '4.1.0', commit: '7c6ba40c54' }],
    ['agent-ctl', 'kata-agent-ctl 0.0.1\n', { version: '0.0.1' }],
  ];
  for (const [role, output, stated] of known)
    it(`${role}: ${output.trim()}`, () => assert.deepEqual(parseVersion(role, output), stated));

  const others: readonly [role: ProgramRole, output: string][] = [
    ['shim', ''],
    ['shim', agent],
    ['agent', goShim],
    ['agent-ctl', 'kata-agent-ctl: error\n'],
    ['agent-ctl', agent],
  ];
  for (const [role, output] of others)
    it(`not ${role}: ${output.trim() || 'nothing'}`, () =>
      assert.equal(parseVersion(role, output), undefined));
});

describe('a program that is given', () => {
  const script = (t: TestContext, text: string): string => {
    const directory = mkdtempSync(join(tmpdir(), 'kata-program-'));
    t.after(() => rmSync(directory, { recursive: true }));
    const path = join(directory, 'program');
    writeFileSync(path, text, { mode: 0o755 });
    return path;
  };

  it('is named with its version, path and SHA-256', (t) => {
    const text = `#!/bin/sh\n[ "$1" = --version ] && printf '%s' '${goShim}'\n`;
    const path = script(t, text);
    const sha256 = createHash('sha256').update(text).digest('hex');
    const program = inspectProgram('shim', path);
    assert.equal(describeProgram(program), `shim: Go 4.1.0 (7c6ba40c54), ${path}, sha256:${sha256}`);
  });

  it('is an error if it is another one, or none', (t) => {
    const other = script(t, '#!/bin/sh\necho other\n');
    assert.throws(
      () => inspectProgram('shim', other),
      /--shim .*: it is not Kata's containerd-shim.*"other"/,
    );
    const none = script(t, 'no program\n');
    assert.throws(() => inspectProgram('agent', none), /--agent .*: it is not Kata's kata-agent/);
  });
});
