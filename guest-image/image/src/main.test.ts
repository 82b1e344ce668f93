import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { root } from '@kata-agent/setup/bootstrap';

const directory = mkdtempSync(join(tmpdir(), 'kata-image-options-'));
after(() => rmSync(directory, { recursive: true }));
const file = join(directory, 'file');
writeFileSync(file, '');

describe('npm run image', () => {
  const image = (...words: readonly string[]) =>
    spawnSync(process.execPath, [join(root, 'scripts', 'image.mjs'), '--compiled', ...words], {
      encoding: 'utf8',
    });

  it('prints its help and exits with 0', () => {
    const { status, stdout } = image('-h');
    assert.equal(status, 0);
    assert.match(stdout, /Example: npm run image -- /);
  });

  it('exits with 2 for wrong usage, and names the option', () => {
    const gone = join(directory, 'gone');
    for (const [words, says] of [
      [['--config', gone], `--config ${gone}: no such file or directory\n`],
      [['--inner-agent', gone], `--inner-agent ${gone}: no such file or directory\n`],
      [['--out', ''], '--out: the value is empty\n'],
      [['word'], "Unexpected argument 'word'"],
    ] as const) {
      const { status, stderr } = image(...words);
      assert.ok(stderr.startsWith(says), stderr);
      assert.equal(status, 2);
    }
  });

  it('names a file that the configuration needs', () => {
    const config = join(directory, 'tls.toml');
    const tls = 'address = "tls://0.0.0.0:8443"\ntls = { client_ca = "/etc/kata-agent/ca.pem" }\n';
    writeFileSync(config, `[[listener]]\nname = "t"\n${tls}`);
    const words = ['--config', config, '--out', join(directory, 'named')];
    const without = image(...words);
    assert.match(
      without.stderr,
      /listener\.t\.tls\.client_ca names \/etc\/kata-agent\/ca\.pem.*\nhelp: pass --root DIR/,
    );
    assert.equal(without.status, 1);
    const missing = image(...words, '--root', directory);
    assert.match(missing.stderr, /client_ca: cannot read .*ca\.pem below .*: ENOENT/);
  });

  it('refuses an inner agent that the configuration is not in front of', () => {
    const config = join(directory, 'no-forward.toml');
    const program = ['--inner-agent', file, '--out', join(directory, 'inner')];
    const help = 'help: set forward = "unix:///run/kata-agent-inner/agent.sock" in [agent]\n';
    const missing = image(...program);
    assert.ok(missing.stderr.startsWith('--inner-agent: --config is missing'), missing.stderr);
    assert.ok(missing.stderr.endsWith(help), missing.stderr);
    assert.equal(missing.status, 1);
    for (const [agent, what] of [
      ['', 'has no forward'],
      ['forward = "unix:///run/other.sock"', 'has unix:///run/other.sock'],
    ] as const) {
      writeFileSync(config, `[agent]\n${agent}\n`);
      const { status, stderr } = image('--config', config, ...program);
      assert.ok(stderr.startsWith(`--inner-agent: ${config} ${what},`), stderr);
      assert.ok(stderr.endsWith(help), stderr);
      assert.equal(status, 1);
    }
  });

  it('names a missing program', () => {
    const program = join(root, 'scripts', 'image.mjs');
    const { status, stderr } = spawnSync(
      process.execPath,
      [program, '--compiled', '--out', join(directory, 'out')],
      {
        encoding: 'utf8',
        env: { PATH: directory },
      },
    );
    assert.match(stderr, /^apt-cache: no such program in PATH/m);
    assert.equal(status, 1);
  });

  it('exits with 1 if it cannot create the output directory, or the configuration is invalid', () => {
    const none = image('--out', file);
    assert.match(none.stderr, /^--out .*file: cannot create the directory: EEXIST/);
    assert.equal(none.status, 1);
    assert.match(
      image('--out', '/proc/none/below').stderr,
      /^--out \/proc\/none: cannot create the directory: ENOENT/,
    );
    const wrong = join(directory, 'wrong.toml');
    writeFileSync(wrong, '[api]\nallowed_endpoints = ["ExecProces"]\n');
    const refused = image('--config', wrong, '--out', join(directory, 'none'));
    assert.match(
      refused.stderr,
      /^wrong\.toml:2:22: error\[KA1201\]: unknown endpoint "ExecProces"/,
      'before any other step',
    );
    assert.equal(refused.status, 1);
  });
});
