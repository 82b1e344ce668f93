import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseBaseDocument } from './base-document.js';
import { parseKernelCommandLine } from '../kernel-command-line.js';
import { type DocumentRead, type Inputs, renderDiagnostic } from '../index.js';

const defaultPath = '/etc/kata-agent/config.toml';

type Choice = Partial<Pick<Inputs, 'builtIn' | 'configFlag' | 'requireConfig' | 'defaultPath'>> & {
  readonly kernelCommandLine?: string;
  /** The existing files. */
  readonly files?: readonly string[];
};

function choose(choice: Choice): string {
  const { files = [], kernelCommandLine = '', ...inputs } = choice;
  const read = (path: string): DocumentRead => {
    if (path === '/link')
      return { ok: false, missing: false, code: 'KA1604', message: '"/link" is a symbolic link', help: 'h' };
    return files.includes(path)
      ? { ok: true, bytes: Buffer.from(path) }
      : { ok: false, missing: true, code: 'KA1603', message: `there is no document at "${path}"`, help: 'h' };
  };
  const chosen = chooseBaseDocument(
    { defaultPath, files: { read }, ...inputs },
    parseKernelCommandLine(kernelCommandLine),
  );
  if (!chosen.ok) return chosen.diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n');
  if (chosen.document === undefined) return 'none';
  const { file, source, bytes } = chosen.document;
  assert.equal(Buffer.from(bytes).toString(), source === 'built in' ? 'bytes' : file);
  return `${file} (${source})`;
}

const builtIn = { name: 'built-in.toml', bytes: Buffer.from('bytes') };
const word = 'agent.config_file=/k.toml';

test('the base document is the built-in one, then -c, then the default path, then agent.config_file', () => {
  assert.equal(choose({}), 'none');
  assert.equal(choose({ kernelCommandLine: word, files: ['/k.toml'] }), '/k.toml (agent.config_file)');
  assert.equal(choose({ files: [defaultPath] }), `${defaultPath} (default path)`);
  assert.equal(choose({ files: [defaultPath, '/c.toml'], configFlag: '/c.toml' }), '/c.toml (-c)');
  assert.equal(choose({ files: [defaultPath], builtIn }), 'built-in.toml (built in)');
});

test('a weaker source may name the file that a stronger one chose', () => {
  const kernelCommandLine = `agent.config_file=${defaultPath}`;
  assert.equal(choose({ files: [defaultPath], kernelCommandLine }), `${defaultPath} (default path)`);
  assert.equal(
    choose({
      files: [defaultPath],
      kernelCommandLine,
      configFlag: '/etc/kata-agent/../kata-agent/config.toml',
    }),
    'error[KA1603]: there is no document at "/etc/kata-agent/../kata-agent/config.toml"\nhelp: h',
  );
  assert.equal(
    choose({
      files: ['/c.toml'],
      configFlag: '/c.toml',
      kernelCommandLine: 'agent.config_file=/x/../c.toml',
    }),
    '/c.toml (-c)',
  );
});

test('a weaker source that names another file is fatal', () => {
  assert.equal(
    choose({ files: [defaultPath, '/k.toml'], kernelCommandLine: `quiet ${word}` }),
    `/proc/cmdline:1:7: error[KA1602]: agent.config_file names "/k.toml", but "/etc/kata-agent/config.toml" (default path) is the configuration of this guest
  quiet agent.config_file=/k.toml
        ^^^^^^^^^^^^^^^^^^^^^^^^^
help: remove agent.config_file: it has lower precedence`,
  );
  assert.match(
    choose({ files: ['/c.toml', '/k.toml'], configFlag: '/c.toml', kernelCommandLine: word }),
    /but "\/c\.toml" \(-c\) is the/,
  );
  assert.match(choose({ builtIn, kernelCommandLine: word }), /but the built-in document is the/);
  assert.equal(
    choose({ builtIn, configFlag: '/c.toml' }),
    `error[KA1602]: -c names "/c.toml", but the built-in document is the configuration of this guest
help: remove -c: it has lower precedence`,
  );
  assert.match(
    choose({ files: [defaultPath], kernelCommandLine: `agent.config_file=${defaultPath} ${word}` }),
    /names "\/k\.toml"/,
  );
});

test('a named document must exist; the default path need not', () => {
  assert.equal(
    choose({ configFlag: '/c.toml' }),
    'error[KA1603]: there is no document at "/c.toml"\nhelp: h',
  );
  assert.equal(
    choose({ kernelCommandLine: word }),
    `/proc/cmdline:1:1: error[KA1603]: there is no document at "/k.toml"
  agent.config_file=/k.toml
  ^^^^^^^^^^^^^^^^^^^^^^^^^
help: h`,
  );
  assert.equal(choose({ defaultPath: '/link' }), 'error[KA1604]: "/link" is a symbolic link\nhelp: h');
});

test('two kernel words that name different files are an error, whichever exists', () => {
  assert.match(
    choose({ files: ['/k.toml', '/a.toml'], kernelCommandLine: `agent.config_file=/a.toml ${word}` }),
    /^\/proc\/cmdline:1:1: error\[KA1602\]: agent\.config_file names "\/a\.toml", but "\/k\.toml" \(agent\.config_file\) is/,
  );
  assert.match(choose({ files: ['/k.toml'], kernelCommandLine: `${word} ${word}` }), /^\/k\.toml/);
});

test('agent.config_file needs an absolute path', () => {
  for (const [kernelCommandLine, found] of [
    ['agent.config_file', 'has no value'],
    ['agent.config_file=', 'names ""'],
    ['agent.config_file=k.toml', 'names "k.toml"'],
  ] as const) {
    assert.match(
      choose({ kernelCommandLine, files: [defaultPath] }),
      new RegExp(`agent\\.config_file ${found}; it must name an absolute path`),
    );
  }
});

test('--require-config makes a missing document fatal', () => {
  assert.equal(
    choose({ requireConfig: true }),
    `error[KA1601]: there is no configuration, and --require-config asks for one\nhelp: create ${defaultPath}`,
  );
  assert.equal(choose({ requireConfig: true, files: [defaultPath] }), `${defaultPath} (default path)`);
});

test('without a default path only named documents are read', () => {
  const files = { read: (): DocumentRead => assert.fail('nothing was named') };
  const none = chooseBaseDocument({ files }, parseKernelCommandLine(''));
  assert.deepEqual(none, { ok: true, document: undefined });
  const required = chooseBaseDocument({ files, requireConfig: true }, parseKernelCommandLine(''));
  assert.ok(!required.ok);
  assert.equal(required.diagnostics[0]?.help, 'name one with -c FILE');
});
