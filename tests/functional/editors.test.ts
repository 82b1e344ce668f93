import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { decodeDocument, parseToml, type TomlTable, type TomlValue } from '@kata-agent/config';
import { repository } from '../harness/repository.js';

const read = (path: string): string => readFileSync(join(repository, path), 'utf8');
const page = read('docs/editors.md');

/** The names of files that are configurations, as globs. */
const globs = ['kata-agent.toml', 'kata-agent/config.toml', '*.kata-agent.toml'];

interface Manifest {
  readonly main: string;
  readonly activationEvents: readonly string[];
  readonly contributes: {
    readonly languages: readonly { readonly id: string; readonly filenamePatterns: readonly string[] }[];
    readonly configuration: {
      readonly properties: Readonly<Record<string, { readonly default: string; readonly scope: string }>>;
    };
  };
  readonly dependencies: Readonly<Record<string, string>>;
}

test('the extension of VS Code begins with a configuration, and has the client of the server’s version', () => {
  const manifest = JSON.parse(read('editors/vscode/package.json')) as Manifest;
  const [language] = manifest.contributes.languages;
  assert.deepEqual(manifest.activationEvents, [`onLanguage:${language?.id}`]);
  assert.deepEqual(
    language?.filenamePatterns.map((pattern) => pattern.replace('**/', '')),
    globs,
  );
  // A workspace must not choose the program.
  assert.equal(manifest.contributes.configuration.properties['kata-agent.path']?.scope, 'machine');
  const server = JSON.parse(read('client/language-server/package.json')) as Manifest;
  assert.equal(manifest.dependencies['vscode-languageclient'], server.dependencies['vscode-languageserver']);
});

test('the extension of VS Code starts the language server, and stops it', async () => {
  const manifest = JSON.parse(read('editors/vscode/package.json')) as Manifest;
  const calls: unknown[] = [];
  class LanguageClient {
    constructor(...given: readonly unknown[]) {
      calls.push(...given.slice(2));
    }
    start = async () => calls.push('start');
    stop = async () => calls.push('stop');
  }
  const settings = manifest.contributes.configuration.properties;
  const modules: Readonly<Record<string, unknown>> = {
    vscode: {
      workspace: {
        getConfiguration: (section: string) => ({
          get: (key: string) => settings[`${section}.${key}`]?.default,
        }),
      },
    },
    'vscode-languageclient/node': { LanguageClient },
  };
  const exports: Record<string, () => Promise<unknown>> = {};
  runInNewContext(read(`editors/vscode/${manifest.main}`), {
    require: (name: string) => modules[name],
    exports,
  });
  await exports['activate']?.();
  await exports['deactivate']?.();
  assert.deepEqual(JSON.parse(JSON.stringify(calls)), [
    { command: 'kata-agent-ctl', args: ['lsp'] },
    { documentSelector: globs.map((glob) => ({ scheme: 'file', pattern: `**/${glob}` })) },
    'start',
    'stop',
  ]);
});

test('the configuration for Helix is TOML, and starts the language server', () => {
  const [, text = ''] = /```toml helix\n(.*?)```/s.exec(page) ?? [];
  const decoded = decodeDocument(Buffer.from(text), 'languages.toml');
  assert.ok(decoded.ok);
  const parsed = parseToml(decoded.source);
  assert.ok(parsed.ok);
  const server = member(parsed.root, 'language-server', 'kata-agent');
  assert.equal(textOf(member(server, 'command')), 'kata-agent-ctl');
  assert.deepEqual(itemsOf(member(server, 'args')).map(textOf), ['lsp']);
  const [language] = itemsOf(member(parsed.root, 'language'));
  assert.deepEqual(itemsOf(member(language, 'language-servers')).map(textOf), ['kata-agent']);
  assert.deepEqual(
    itemsOf(member(language, 'file-types')).map((item) => textOf(member(item, 'glob'))),
    globs,
  );
});

test('the lines for Neovim name the same files and command', () => {
  const [, text = ''] = /```lua\n(.*?)```/s.exec(page) ?? [];
  const texts = (list: string): readonly string[] =>
    [...list.matchAll(/'([^']*)'/g)].map(([, each = '']) => each);
  const [, pattern = ''] = /pattern = \{(.*?)\}/.exec(text) ?? [];
  assert.deepEqual(
    texts(pattern).map((each) => each.replace('*/', '')),
    globs,
  );
  const [, command = ''] = /cmd = \{(.*?)\}/.exec(text) ?? [];
  assert.deepEqual(texts(command), ['kata-agent-ctl', 'lsp']);
});

function member(value: TomlValue | undefined, ...names: readonly string[]): TomlValue | undefined {
  return names.reduce<TomlValue | undefined>(
    (table, name) =>
      table?.kind === 'table' ? (table satisfies TomlTable).entries.get(name)?.value : undefined,
    value,
  );
}

function itemsOf(value: TomlValue | undefined): readonly TomlValue[] {
  return value?.kind === 'array' ? value.items : [];
}

function textOf(value: TomlValue | undefined): string | undefined {
  return value?.kind === 'string' ? value.value : undefined;
}
