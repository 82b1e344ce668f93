import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { codes } from '@kata-agent/catalogue/codes';
import { runProgram } from '@kata-agent/cli';
import { fakeIo } from '@kata-agent/cli/testing/fake-io';
import type { Diagnostic as Found } from '@kata-agent/config';
import { Editor } from '@kata-agent/language-server/testing/editor';
import { program } from '../program.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-agent-ctl-lsp-'));
after(() => rmSync(directory, { recursive: true }));

const entry = fileURLToPath(new URL('../main.js', import.meta.url));
const started: Editor[] = [];
after(() => started.forEach((editor) => editor.stop()));

function start(): Editor {
  const editor = Editor.start(process.execPath, [entry, 'lsp']);
  started.push(editor);
  return editor;
}

const uri = 'file:///etc/kata-agent/config.toml';

/** Returns a text without its `|`, and the position of that. */
function marked(text: string): { readonly text: string; readonly line: number; readonly character: number } {
  const before = text.slice(0, text.indexOf('|')).split('\n');
  return {
    text: text.replace('|', ''),
    line: before.length - 1,
    character: before.at(-1)?.length ?? 0,
  };
}

/** Messages are plain text, as the client has not said that it shows Markdown. */
function messageOf(message: unknown): string {
  assert.ok(typeof message === 'string');
  return message;
}

const rules = fileURLToPath(new URL('../../../../examples/rules', import.meta.url));

/** Returns a text with edits that are in ascending order. */
function formatted(text: string, edits: Awaited<ReturnType<Editor['format']>>): string {
  const lines = text.split('\n');
  for (const { range, newText } of edits.toReversed()) {
    const line = lines[range.start.line] ?? '';
    lines[range.start.line] =
      line.slice(0, range.start.character) + newText + line.slice(range.end.character);
  }
  return lines.join('\n');
}

const wrong = `[agent]
log_levle = "debug"

[api]
release = "4.1"
allowed_endpoints = ["@pod", "ExecProces"]

[[api.rule]]
name = "checks"
endpoints = ["StartContainer"]
expression = 'container.state == "created" && request.container != ""'
`;

test('a session of an editor', { timeout: 60_000 }, async (t) => {
  const editor = start();
  const completed = async (document: string): Promise<readonly string[]> => {
    const { text, line, character } = marked(document);
    await editor.change(uri, ++version, text);
    return (await editor.complete(uri, { line, character })).map(({ label }) => label);
  };
  const hovered = async (document: string): Promise<string> => {
    const { text, line, character } = marked(document);
    await editor.change(uri, ++version, text);
    const contents = (await editor.hover(uri, { line, character }))?.contents;
    return typeof contents === 'object' && 'value' in contents ? contents.value : '';
  };
  let version = 1;

  await t.test('it says what it can do', async () => {
    const { capabilities, serverInfo } = await editor.initialize();
    assert.equal(serverInfo?.name, 'kata-agent-ctl');
    assert.equal(capabilities.hoverProvider, true);
  });

  await t.test('faults of a document are at their ranges', async () => {
    const diagnostics = await editor.open(uri, wrong);
    assert.deepEqual(
      diagnostics.map(({ code, severity, range: { start: from, end }, message }) => [
        code,
        severity,
        `${from.line}:${from.character}-${end.line}:${end.character}`,
        messageOf(message).replace(/\n.*/s, ''),
      ]),
      [
        ['KA1101', 1, '1:0-1:9', 'unknown key "log_levle" in [agent]'],
        ['KA1201', 1, '5:29-5:41', 'unknown endpoint "ExecProces" in allowed_endpoints'],
        ['KA1303', 1, '10:54-10:63', 'StartContainerRequest has no field "container"'],
      ],
    );
    const [first] = diagnostics;
    assert.match(messageOf(first?.message), /\nhelp: did you mean "log_level"\?$/);
    const link = new URL(first?.codeDescription?.href ?? '');
    assert.equal(link.hash, '#ka1101');
    assert.match(readFileSync(link, 'utf8'), /^### KA1101$/m);
  });

  await t.test('sections and keys are completed, without those that are there', async () => {
    const keys = await completed('[api]\nrelease = "4.1"\nallo|');
    assert.ok(keys.includes('allowed_endpoints'), keys.join());
    assert.ok(keys.includes('[[api.rule]]'), keys.join());
    assert.ok(!keys.includes('release'), keys.join());
    const headers = await completed('[[|');
    const ofPod = headers.filter((name) => name.startsWith('api.values.'));
    assert.ok(ofPod.includes('api.values.container'), headers.join());
    assert.deepEqual(headers, ['api.rule', 'listener', 'secret', 'audit.witness', ...ofPod]);
    assert.ok((await completed('[[listener]]\ntls = { client|')).includes('client_ca'));
  });

  await t.test('endpoints, groups and other values are completed', async () => {
    const endpoints = await completed('[api]\nallowed_endpoints = ["@pod", "|"]');
    assert.ok(endpoints.includes('ExecProcess') && endpoints.includes('@stdio'), endpoints.join());
    assert.ok(!endpoints.includes('@pod'), endpoints.join());
    assert.ok((await completed('[agent]\nlog_level = "|')).includes('debug'));
    assert.deepEqual(await completed('[agent]\ndebug_console = |'), ['true', 'false']);
  });

  await t.test('the values that a profile reads are completed and described', async () => {
    const [profile = ''] = await completed('[api]\nprofile = "|"');
    assert.match(profile, /^rs-shared-1@sha256:[0-9a-f]{64}$/);
    const except = await completed('[api]\nprofile_except = ["exec-|"]');
    assert.ok(except.includes('exec-process-commands'), except.join());
    assert.ok((await completed('[api]\n[api.values]\nho|')).includes('host_name'));
    const container = '[[api.values.container]]\nname = "web"\n';
    const keys = await completed(`${container}la|`);
    assert.ok(keys.includes('last_args') && !keys.includes('name') && !keys.includes('host_name'));
    assert.deepEqual(await completed(`${container}any_args = |`), ['true', 'false']);
    assert.ok((await completed(`${container}env_like = [{ na|`)).includes('name'));
    assert.match(
      await hovered(`${container}last_|args = ["-v"]`),
      /^`last_args`: list of text\n\nThe last words of the command line/,
    );
    assert.match(await hovered('[[api.values.con|tainer]]'), /^`container`: \[\[api\.values\.container\]\]/);
    assert.match(
      await hovered('[api]\nprofile_except = ["exec-process-comm|ands"]'),
      /The whole command line, by container/,
    );
  });

  await t.test('names, fields and functions of expressions are completed', async () => {
    const rule = (endpoint: string, expression: string): string =>
      `[api]\n[[api.rule]]\nexpression = '''\n${expression}'''\nendpoints = ["${endpoint}"]\n`;
    const names = await completed(rule('ExecProcess', 'te|'));
    assert.ok(names.includes('terminal') && names.includes('has'), names.join());
    assert.ok(!names.includes('mounts'), names.join());
    assert.deepEqual(await completed(rule('CreateContainer', 'mounts.all(mount, mount.|')), [
      'destination',
      'source',
      'type',
      'options',
    ]);
    assert.ok((await completed(rule('CopyFile', 'path.|'))).includes('within'));
    assert.ok((await completed(rule('CopyFile', 'file_type == "|"'))).includes('symlink'));
  });

  await t.test('what is completed replaces what is there', async () => {
    const { text, line, character } = marked('[api]\nallowed_endpoints = ["@pod", "Exec|Proc"]');
    await editor.change(uri, ++version, text);
    const items = await editor.complete(uri, { line, character });
    assert.deepEqual(items.find(({ label }) => label === 'ExecProcess')?.textEdit, {
      range: { start: { line: 1, character: 29 }, end: { line: 1, character: 39 } },
      newText: '"ExecProcess"',
    });
  });

  await t.test('keys, endpoints, codes, and fields of expressions are described', async () => {
    assert.match(
      await hovered('[agent]\nlog_l|evel = "info"'),
      /^`log_level`: .*"debug".*\n\nThe level of the agent log/,
    );
    assert.match(await hovered('[api]\nallowed_endpoints = ["Exec|Process"]'), /A hostile caller: /);
    assert.match(await hovered('[a|pi]'), /Which methods are served/);
    assert.match(await hovered('[agent]\nlog_|levle = "info"'), /^\*\*KA1101: .*\*\*/);
    const rule =
      '[[api.rule]]\nendpoints = ["CreateContainer"]\nexpression = "mounts.all(m, m.op|tions.size() < 9)"';
    assert.match(await hovered(rule), /^`options`: list\(string\)/);
    assert.equal(await hovered('# a com|ment'), '');
  });

  await t.test('expressions are formatted, and nothing else of a document', async () => {
    const text = `[api]\nstrict=true\n[[api.rule]]\nexpression = "args==[]&&\\u0020!terminal"\n[[api.rule]]\nexpression = '''\n  𝒳==1 // 𝒳==1\n'''\n`;
    await editor.change(uri, ++version, text);
    // The library's lexer takes no other letters, so the second is not changed; nor is the escape.
    assert.equal(formatted(text, await editor.format(uri)), text.replace('args==[]&&', 'args == [] &&'));
    await editor.change(uri, ++version, `${text}x = [`);
    assert.deepEqual(await editor.format(uri), []);
    for (const name of readdirSync(rules).filter((each) => each.endsWith('.toml'))) {
      const example = readFileSync(join(rules, name), 'utf8');
      await editor.change(uri, ++version, example);
      assert.deepEqual(await editor.format(uri), [], name);
    }
  });

  await t.test('a document that is right has no diagnostics', async () => {
    const right = wrong
      .replace('log_levle', 'log_level')
      .replace('ExecProces"', 'ExecProcess"')
      .replace('request.container ', 'request.container_id ');
    assert.deepEqual(await editor.change(uri, ++version, right), []);
  });

  await t.test('shutdown and exit end it', async () => {
    assert.deepEqual(await editor.exit(), { code: 0, stderr: '' });
  });
});

test('diagnostics are those of config check', { timeout: 60_000 }, async () => {
  const editor = start();
  await editor.initialize();
  const documents = Object.values(codes).flatMap(({ example }) =>
    example.kind === 'document' ? [example.document] : [],
  );
  // Wide characters before a fault, with code points of two units; another kind of line.
  documents.push(
    '# 𝒳\r\n[agent]\r\nproxy = "𝒳𝒳"',
    '[api]\nallowed_endpoints = ["𝒳", "x"]',
    '[agent',
    '\ufeff[api]',
  );
  for (const [index, text] of documents.entries()) {
    const file = join(directory, `${index}.toml`);
    writeFileSync(file, text);
    const published = await editor.open(pathToFileURL(file).href, text);
    const checked = await checkedBy(file);
    assert.deepEqual(
      published.map(({ code, message, severity, range: { start: from } }) => [
        code,
        message,
        severity,
        from.line,
      ]),
      checked.map(({ code, message, help, severity, span }) => [
        code,
        help === undefined ? message : `${message}\nhelp: ${help}`,
        severity === 'error' ? 1 : 2,
        (span?.line ?? 1) - 1,
      ]),
      text,
    );
    for (const [at, { range }] of published.entries()) {
      const span = checked[at]?.span;
      const line = text.split('\n')[range.start.line] ?? '';
      const column = span === undefined ? 1 : Array.from(line.slice(0, range.start.character)).length + 1;
      assert.equal(column, span?.column ?? 1, text);
    }
  }
  assert.ok(documents.length > 50, String(documents.length));
  assert.equal((await editor.exit()).code, 0);
});

/** Returns what `config check` reports for a file. */
async function checkedBy(file: string): Promise<readonly Found[]> {
  const io = fakeIo({});
  await runProgram(program, ['config', 'check', file, '--format', 'json'], io);
  const { diagnostics } = JSON.parse(io.stdout.text) as { readonly diagnostics: readonly Found[] };
  return diagnostics;
}

test('documents that are large or nest deeply need little memory, and do not end it', {
  timeout: 60_000,
}, async () => {
  const editor = Editor.start(process.execPath, ['--max-old-space-size=256', entry, 'lsp']);
  started.push(editor);
  await editor.initialize();
  const texts = [
    `x = ${'{a='.repeat(12_000)}`,
    ...['"', "'", '"""', "'''", '#'].map((quote) => `x = ${quote}${'\\n𝒳'.repeat(40_000)}`),
    `x = "${'a'.repeat(10_000_000)}"`,
  ];
  let version = 1;
  await editor.open(uri, '');
  for (const text of texts) {
    const name = text.slice(0, 20);
    const [found, ...others] = await editor.change(uri, ++version, text);
    assert.ok(found?.code !== undefined && others.length === 0, name);
    for (const character of [1, text.length]) {
      const position = { line: 0, character };
      await editor.complete(uri, position);
      await editor.hover(uri, position);
    }
    assert.deepEqual(await editor.format(uri), [], name);
  }
  assert.deepEqual(await editor.exit(), { code: 0, stderr: '' });
});

const ends: readonly (readonly [string, string, RegExp])[] = [
  [
    'no message',
    'hello\r\n\r\n',
    /^kata-agent-ctl: the session with the client is broken: .*\n.*docs\/editors\.md/,
  ],
  ['a body that is not JSON', 'Content-Length: 3\r\n\r\n{a}', /is broken: /],
  ['no length', 'a: b\r\n\r\n', /is broken: Header must provide a Content-Length property/],
];

for (const [name, sent, message] of ends) {
  test(`${name} ends it without a stack trace`, { timeout: 30_000 }, async () => {
    const editor = start();
    editor.write(sent);
    const { code, stderr } = await editor.ended;
    assert.equal(code, 1);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /^ +at /m);
  });
}

test('messages and the end of the input at once end it as the messages say', { timeout: 60_000 }, () => {
  const message = (content: object): string => {
    const body = JSON.stringify({ jsonrpc: '2.0', ...content });
    return `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  };
  const initialize = message({
    id: 1,
    method: 'initialize',
    params: { processId: null, rootUri: null, capabilities: {} },
  });
  const textDocument = { uri, languageId: 'toml', version: 1, text: wrong };
  const opened = message({ method: 'textDocument/didOpen', params: { textDocument } }).repeat(20);
  const closed = message({ method: 'textDocument/didClose', params: { textDocument: { uri } } });
  const shutdown = message({ id: 2, method: 'shutdown' });
  const ended = (input: string): number | null =>
    spawnSync(process.execPath, [entry, 'lsp'], { input, timeout: 30_000 }).status;
  assert.equal(ended(`${initialize}${opened}${closed}${shutdown}${message({ method: 'exit' })}`), 0);
  assert.equal(ended(`${initialize}${opened}${message({ method: 'exit' })}`), 1);
  assert.equal(ended(`${initialize}${opened}`), 1);
});

test('an editor that is gone ends it', { timeout: 30_000 }, async () => {
  const editor = start();
  await editor.initialize();
  editor.write('Content-Length: 100\r\n\r\n{');
  const { code, stderr } = await editor.abandon();
  assert.equal(code, 1);
  assert.match(stderr, /^kata-agent-ctl: the client ended the session without shutdown\n/);
  assert.doesNotMatch(stderr, /^ +at /m);
});
