import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MethodName } from '@kata-agent/catalogue';
import { checkDocument, renderDiagnostic } from './index.js';

function check(text: string | Uint8Array): string {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  const { diagnostics, exitCode } = checkDocument(bytes, 'config.toml');
  assert.equal(exitCode, diagnostics.some(({ severity }) => severity === 'error') ? 1 : 0);
  return diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n\n');
}

/** A document that serves something, so that only what a test adds is reported. */
function withApi(text: string): string {
  return `api.allowed_endpoints = ["*"]\n${text}`;
}

const faults: readonly (readonly [string, string, string])[] = [
  [
    'a misspelt endpoint',
    '[api]\nallowed_endpoints = ["ExecProces"]',
    `config.toml:2:22: unknown endpoint "ExecProces" in allowed_endpoints
  allowed_endpoints = ["ExecProces"]
                       ^^^^^^^^^^^^
help: did you mean "ExecProcess"?`,
  ],
  [
    'an endpoint in another case',
    '[api]\nblocked_endpoints = ["execprocess"]',
    `config.toml:2:22: unknown endpoint "execprocess" in blocked_endpoints
  blocked_endpoints = ["execprocess"]
                       ^^^^^^^^^^^^^
help: did you mean "ExecProcess"?`,
  ],
  [
    "Kata's former name",
    '[api]\nblocked_endpoints = ["ReadStreamRequest"]',
    `config.toml:2:22: unknown endpoint "ReadStreamRequest" in blocked_endpoints
  blocked_endpoints = ["ReadStreamRequest"]
                       ^^^^^^^^^^^^^^^^^^^
help: that is the name of a request; its method: "ReadStdout", "ReadStderr"`,
  ],
  [
    'a method that is gone',
    '[api]\nallowed_endpoints = ["ListProcesses"]',
    `config.toml:2:22: unknown endpoint "ListProcesses" in allowed_endpoints
  allowed_endpoints = ["ListProcesses"]
                       ^^^^^^^^^^^^^^^
help: Kata Containers has not had it since 2.0.4: remove it`,
  ],
  [
    'a look-alike letter',
    '[api]\nallowed_endpoints = ["\u0415xecProcess"]',
    `config.toml:2:22: unknown endpoint "\u0415xecProcess" in allowed_endpoints: its character 1 is "\u0415" (U+0415, Cyrillic), not an ASCII letter
  allowed_endpoints = ["\u0415xecProcess"]
                       ^^^^^^^^^^^^^
help: did you mean "ExecProcess"?`,
  ],
  [
    'an invisible character',
    '[api]\nallowed_endpoints = ["Exec\u200bProcess"]',
    `config.toml:2:22: unknown endpoint "Exec\\u{200b}Process" in allowed_endpoints: its character 5 is "\\u{200b}" (U+200B), not an ASCII letter
  allowed_endpoints = ["Exec\\u{200b}Process"]
                       ^^^^^^^^^^^^^^^^^^^^^
help: did you mean "ExecProcess"?`,
  ],
  [
    'a group without @',
    '[api]\nallowed_endpoints = ["pod"]',
    `config.toml:2:22: unknown endpoint "pod" in allowed_endpoints
  allowed_endpoints = ["pod"]
                       ^^^^^
help: groups are written with @: did you mean "@pod"?`,
  ],
  [
    'an unknown group',
    '[api]\nallowed_endpoints = ["@pods"]',
    `config.toml:2:22: unknown endpoint "@pods" in allowed_endpoints
  allowed_endpoints = ["@pods"]
                       ^^^^^^^
help: did you mean "@pod"?`,
  ],
  [
    'a pattern',
    '[api]\nallowed_endpoints = ["Read*"]',
    `config.toml:2:22: unknown endpoint "Read*" in allowed_endpoints
  allowed_endpoints = ["Read*"]
                       ^^^^^^^
help: patterns are not read: write names, @groups, or "*" alone for all`,
  ],
  [
    'an endpoint like no other',
    '[api]\nallowed_endpoints = ["frobnicate the whole thing"]',
    `config.toml:2:22: unknown endpoint "frobnicate the whole thing" in allowed_endpoints: its character 11 is " " (U+0020), not an ASCII letter
  allowed_endpoints = ["frobnicate the whole thing"]
                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
help: kata-agent-ctl endpoints lists the names and the groups`,
  ],
  [
    'an entry that is no text',
    '[api]\nallowed_endpoints = [["@pod"]]',
    `config.toml:2:22: an entry of allowed_endpoints must be a text, not a list
  allowed_endpoints = [["@pod"]]
                       ^^^^^^^^
help: for example: "ExecProcess", "@pod" or "*"`,
  ],
  [
    'a list that is none',
    '[api]\nallowed_endpoints = "*"',
    `config.toml:2:21: allowed_endpoints must be a list of texts in quotes, not the text "*"
  allowed_endpoints = "*"
                      ^^^
help: for example: allowed_endpoints = ["@pod", "ReadStdout", "ReadStderr"]`,
  ],
  [
    'an unknown key',
    withApi('[agent]\nlog_levle = "info"'),
    `config.toml:3:1: unknown key "log_levle" in [agent]
  log_levle = "info"
  ^^^^^^^^^
help: did you mean "log_level"?`,
  ],
  [
    'a key like no other',
    withApi('[agent]\nfrobnicate = 1'),
    `config.toml:3:1: unknown key "frobnicate" in [agent]
  frobnicate = 1
  ^^^^^^^^^^
help: docs/reference/settings.md lists the keys of [agent]`,
  ],
  [
    'a key like no other in a small section',
    withApi('[audit]\nfrobnicate = 1'),
    `config.toml:3:1: unknown key "frobnicate" in [audit]
  frobnicate = 1
  ^^^^^^^^^^
help: [audit] has file, on_failure, max_size, keep, facts`,
  ],
  [
    'a key of another section',
    withApi('[agent]\nkeep = 4'),
    `config.toml:3:1: unknown key "keep" in [agent]
  keep = 4
  ^^^^
help: keep belongs in [audit]`,
  ],
  [
    "a key at the top, as in Kata's own file",
    withApi('log_level = "info"'),
    `config.toml:2:1: unknown key "log_level" at the top of the document
  log_level = "info"
  ^^^^^^^^^
help: log_level belongs in [agent]: put it below that line`,
  ],
  [
    'an unknown section',
    withApi('[aduit]\nkeep = 4'),
    `config.toml:2:2: unknown section "aduit" at the top of the document
  [aduit]
   ^^^^^
help: did you mean "audit"?`,
  ],
  [
    'a section like no other',
    withApi('[[frobnicate]]\nkeep = 4'),
    `config.toml:2:3: unknown section "frobnicate" at the top of the document
  [[frobnicate]]
    ^^^^^^^^^^
help: a document has version, [agent], [api], [audit] and [limits]`,
  ],
  [
    "Kata's former section",
    withApi('[endpoints]\nallowed = ["CreateContainerRequest"]'),
    `config.toml:2:2: unknown section "endpoints" at the top of the document
  [endpoints]
   ^^^^^^^^^
help: what Kata had in [endpoints] stands in [api]: allowed_endpoints = ["CreateSandbox"]`,
  ],
  [
    'a wrong type',
    withApi('[agent]\nhotplug_timeout = "3"'),
    `config.toml:3:19: hotplug_timeout must be a number of seconds from 1 to 2147483, not the text "3"
  hotplug_timeout = "3"
                    ^^^
help: for example: hotplug_timeout = 10`,
  ],
  [
    'a wrong word',
    withApi('[agent]\nlog_level = "inf"'),
    `config.toml:3:13: log_level must be "trace", "debug", "info", "warn", "error" or "critical", not the text "inf"
  log_level = "inf"
              ^^^^^
help: did you mean "info"?`,
  ],
  [
    'a size in the wrong unit',
    withApi('[limits]\nstream_buffer = "16mb"'),
    `config.toml:3:17: stream_buffer must be a size from 4KiB to 1GiB, in bytes or as "64KiB", "16MiB", "1GiB", not the text "16mb"
  stream_buffer = "16mb"
                  ^^^^^^
help: did you mean "16MiB"?`,
  ],
  [
    'a release that is a number',
    withApi('').replace('\n', '\napi.release = 3.20'),
    `config.toml:2:15: release must be a release of Kata Containers such as "3.21" or "3.21.0", from "2.0" on, not the number 3.20
  api.release = 3.20
                ^^^^
help: write it in quotes: release = "3.20"`,
  ],
  [
    'a duplicate key',
    '[api]\nallowed_endpoints = ["*"]\nallowed_endpoints = []',
    `config.toml:3:1: this key or section stands here a second time
  allowed_endpoints = []
  ^^^^^^^^^^^^^^^^^
help: keep one of the two`,
  ],
  [
    'a duplicate section',
    '[api]\n[agent]\n[api]',
    `config.toml:3:2: this key or section stands here a second time
  [api]
   ^^^
help: keep one of the two`,
  ],
  [
    '__proto__ as a section',
    withApi('[__proto__]\nstrict = true'),
    `config.toml:2:2: unknown section "__proto__" at the top of the document
  [__proto__]
   ^^^^^^^^^
help: a document has version, [agent], [api], [audit] and [limits]`,
  ],
  [
    '__proto__ and constructor as keys',
    withApi('[limits]\n__proto__ = { connections = 1 }\nconstructor.connections = 1'),
    `config.toml:3:1: unknown key "__proto__" in [limits]
  __proto__ = { connections = 1 }
  ^^^^^^^^^
help: [limits] has connections, requests_per_connection, containers, execs_per_container, request_fields, stream_buffer, frame_timeout

config.toml:4:1: unknown key "constructor" in [limits]
  constructor.connections = 1
  ^^^^^^^^^^^
help: [limits] has connections, requests_per_connection, containers, execs_per_container, request_fields, stream_buffer, frame_timeout`,
  ],
  [
    'a section that is a value',
    withApi('agent = 5'),
    `config.toml:2:1: agent must be a section, not the integer 5
  agent = 5
  ^^^^^
help: write [agent] on a line of its own`,
  ],
  [
    'a section that is a list',
    withApi('[[agent]]\nlog_level = "info"'),
    `config.toml:2:3: agent must be a section, not a list of tables
  [[agent]]
    ^^^^^
help: write [agent] on a line of its own`,
  ],
  [
    'another version',
    withApi('version = 2'),
    `config.toml:2:11: version must be 1, the only version of this language, not the integer 2
  version = 2
            ^
help: write version = 1, or leave it out`,
  ],
  [
    'rules',
    withApi('[[api.rule]]\nname = "x"'),
    `config.toml:2:7: [[api.rule]] is not built yet
  [[api.rule]]
        ^^^^
help: remove it: this version would not do what it says`,
  ],
  [
    'listeners',
    withApi('[[listener]]\nname = "host"'),
    `config.toml:2:3: [listener] is not built yet
  [[listener]]
    ^^^^^^^^
help: remove it: this version would not do what it says`,
  ],
  [
    'delivery and measurement, both at once',
    withApi('[delivery]\naccept = []\n[measurement]\ntpm = "off"'),
    `config.toml:2:2: [delivery] is not built yet
  [delivery]
   ^^^^^^^^
help: remove it: this version would not do what it says

config.toml:4:2: [measurement] is not built yet
  [measurement]
   ^^^^^^^^^^^
help: remove it: this version would not do what it says`,
  ],
  [
    'a setting of ours that is not built',
    withApi('[agent]\nforward = "x"\n[audit]\nfacts = true'),
    `config.toml:3:1: forward is not built yet
  forward = "x"
  ^^^^^^^
help: remove it, or write the default: no forward

config.toml:5:1: facts is not built yet
  facts = true
  ^^^^^
help: remove it, or write the default: facts = false`,
  ],
  [
    "a setting of Kata's that is not built",
    withApi('[agent]\ndebug_console = true'),
    `config.toml:3:1: warning: debug_console is not built yet: setting it changes nothing
  debug_console = true
  ^^^^^^^^^^^^^
help: docs/reference/differences.md lists what this agent does not do yet`,
  ],
  [
    'overridable with what is no key',
    withApi('[agent]\noverridable = ["log_levle", "lock", "zzzzzz"]'),
    `config.toml:3:16: unknown key "log_levle" in overridable
  overridable = ["log_levle", "lock", "zzzzzz"]
                 ^^^^^^^^^^^
help: did you mean "log_level"?

config.toml:3:29: unknown key "lock" in overridable
  overridable = ["log_levle", "lock", "zzzzzz"]
                              ^^^^^^
help: docs/reference/settings.md lists the keys

config.toml:3:37: unknown key "zzzzzz" in overridable
  overridable = ["log_levle", "lock", "zzzzzz"]
                                      ^^^^^^^^
help: docs/reference/settings.md lists the keys`,
  ],
  [
    'overridable that is no list of texts',
    withApi('[agent]\noverridable = [1]'),
    `config.toml:3:15: overridable must be a list of texts in quotes, not a list
  overridable = [1]
                ^^^
help: for example: overridable = ["log_level"]`,
  ],
  [
    'lock beside overridable',
    withApi('[agent]\nlock = true\noverridable = ["log_level"]'),
    `config.toml:4:1: warning: overridable does nothing beside lock = true: lock wins
  overridable = ["log_level"]
  ^^^^^^^^^^^
help: remove one of the two`,
  ],
  [
    'an entry twice',
    '[api]\nallowed_endpoints = ["@pod", "@pod"]',
    `config.toml:2:30: warning: "@pod" stands in allowed_endpoints twice
  allowed_endpoints = ["@pod", "@pod"]
                               ^^^^^^
help: remove one of the two`,
  ],
  [
    'an entry in both lists',
    '[api]\nallowed_endpoints = ["@pod", "@stdio"]\nblocked_endpoints = ["@stdio"]',
    `config.toml:3:22: warning: "@stdio" stands in both lists: it is not served
  blocked_endpoints = ["@stdio"]
                       ^^^^^^^^
help: remove it from one of the two`,
  ],
  [
    'a method that came after the release',
    '[api]\nrelease = "3.21"\nallowed_endpoints = ["@pod", "GetDiagnosticData"]',
    `config.toml:3:30: warning: "GetDiagnosticData" came with 3.29.0, after release = "3.21": it is not served
  allowed_endpoints = ["@pod", "GetDiagnosticData"]
                               ^^^^^^^^^^^^^^^^^^^
help: remove it, or write release = "3.29.0"`,
  ],
  [
    'a release that never was',
    '[api]\nrelease = "3.221"\nallowed_endpoints = ["@pod"]',
    `config.toml:2:1: warning: release = "3.221" is not a release of Kata Containers that this agent knows
  release = "3.221"
  ^^^^^^^
help: write one that exists: release = "3.21"`,
  ],
  [
    'a release that never was, under strict',
    '[api]\nstrict = true\nrelease = "3.221"\nallowed_endpoints = ["@pod"]',
    `config.toml:3:1: release = "3.221" is not a release of Kata Containers that this agent knows
  release = "3.221"
  ^^^^^^^
help: write one that exists: release = "3.21"`,
  ],
  [
    'open lists under strict',
    '[api]\nstrict = true\nallowed_endpoints = ["*", "@pod", "ExecProcess"]\nblocked_endpoints = ["@exec"]',
    `config.toml:3:22: under strict, "*" needs a release: what it stands for can grow
  allowed_endpoints = ["*", "@pod", "ExecProcess"]
                       ^^^
help: write the release of Kata Containers it was written for: release = "3.21"

config.toml:4:1: under strict, blocked_endpoints needs a release: what it leaves out can grow
  blocked_endpoints = ["@exec"]
  ^^^^^^^^^^^^^^^^^
help: write the release of Kata Containers it was written for: release = "3.21"

config.toml:4:22: under strict, "@exec" needs a release: what it stands for can grow
  blocked_endpoints = ["@exec"]
                       ^^^^^^^
help: write the release of Kata Containers it was written for: release = "3.21"`,
  ],
  [
    'no list',
    '[agent]\nlog_level = "info"',
    `config.toml:1:1: warning: this document has no list of endpoints, so NOTHING is served but Health
  [agent]
  ^
help: write allowed_endpoints in [api]: ["@pod"], or ["*"] for everything`,
  ],
  [
    'an empty allow-list',
    '[api]\nallowed_endpoints = []',
    `config.toml:2:1: warning: these lists leave nothing: NOTHING is served but Health
  allowed_endpoints = []
  ^^^^^^^^^^^^^^^^^
help: for everything: allowed_endpoints = ["*"]`,
  ],
  [
    'everything blocked',
    '[api]\nblocked_endpoints = ["*"]',
    `config.toml:2:1: warning: these lists leave nothing: NOTHING is served but Health
  blocked_endpoints = ["*"]
  ^^^^^^^^^^^^^^^^^
help: for everything: allowed_endpoints = ["*"]`,
  ],
  [
    'a value without quotes',
    withApi('[agent]\nlog_level = debug'),
    `config.toml:3:13: "debug" cannot stand here
  log_level = debug
              ^^^^^
help: a text stands in quotes, true and false are lower-case, a list stands in [ ]`,
  ],
  [
    'a key with a look-alike letter',
    withApi('[agent]\nl\u043eg_level = "debug"'),
    `config.toml:3:2: "\u043e" (U+043E, Cyrillic) cannot stand here
  l\u043eg_level = "debug"
   ^
help: a text stands in quotes, true and false are lower-case, a list stands in [ ]`,
  ],
  [
    'a document that was cut off',
    '[api]\nallowed_endpoints = ["@pod',
    `config.toml:2:27: this text has no closing quote
  allowed_endpoints = ["@pod
                            ^
help: close it on the same line`,
  ],
  [
    'a number that TOML does not have',
    withApi('[audit]\nkeep = 1__0'),
    `config.toml:3:10: not valid TOML: Underscores are allowed between digits
  keep = 1__0
           ^^
help: see https://toml.io/en/v1.0.0`,
  ],
];

for (const [name, text, rendered] of faults) {
  test(`${name} is reported with its place and what mends it`, () => {
    assert.equal(check(text), rendered);
  });
}

test('a byte order mark, UTF-16, bytes that are no UTF-8 and too many bytes are told apart', () => {
  assert.equal(
    check('\ufeff[api]\nallowed_endpoints = ["*"]'),
    "config.toml:1:1: the document begins with a byte order mark (U+FEFF)\nhelp: remove its first three bytes: sed -i '1s/^\\xEF\\xBB\\xBF//' config.toml",
  );
  for (const bytes of [Buffer.from('\ufeff[api]', 'utf16le'), Buffer.from([0xfe, 0xff, 0, 0x5b])]) {
    assert.equal(
      check(bytes),
      'config.toml:1:1: the document is UTF-16; it must be UTF-8 without a byte order mark\nhelp: convert it: iconv -f UTF-16 -t UTF-8 config.toml',
    );
  }
  assert.equal(
    check(Buffer.from('[api]\nrelease = "\u00e9\xff', 'latin1')),
    "config.toml:2:12: byte 17 of the document, 0xe9, is not UTF-8\nhelp: find it: grep -naxv '.*' config.toml",
  );
  assert.equal(
    check(new Uint8Array(262_145)),
    'config.toml:1:1: the document has 262145 bytes; at most 256KiB are allowed\nhelp: a configuration is a few KiB',
  );
});

test('every kind of ill-formed UTF-8 is found where it begins', () => {
  const illFormed = [
    [0x80],
    [0xc0, 0x80],
    [0xc1, 0xbf],
    [0xc3],
    [0xc3, 0x28],
    [0xe0, 0x80, 0x80],
    [0xe2, 0x82],
    [0xe2, 0x28, 0xa1],
    [0xed, 0xa0, 0x80],
    [0xf0, 0x80, 0x80, 0x80],
    [0xf0, 0x9f, 0x92],
    [0xf4, 0x90, 0x80, 0x80],
    [0xf5, 0x80, 0x80, 0x80],
    [0xff],
  ];
  for (const bytes of illFormed) {
    const before = '# \u00e9\u20ac\u{1f600}\n# ';
    const rendered = check(Buffer.concat([Buffer.from(before), Buffer.from(bytes)]));
    assert.match(
      rendered,
      /^config\.toml:2:3: byte 14 of the document, 0x/,
      Buffer.from(bytes).toString('hex'),
    );
  }
});

test('a document that nests without end, or holds an endless text, is refused and not run into', () => {
  const message = 'config.toml:1:1: the document nests too deeply, or holds a text that is too long';
  for (const text of [
    `x = ${'['.repeat(40)}${']'.repeat(40)}`,
    `x = ${'['.repeat(60_000)}${']'.repeat(60_000)}`,
    `x = ${'{a='.repeat(40)}1${'}'.repeat(40)}`,
    `${'a.'.repeat(40)}a = 1`,
    `[${'a.'.repeat(40)}a]`,
    `x = "${'a'.repeat(250_000)}"`,
  ]) {
    assert.ok(check(text).startsWith(message), text.slice(0, 20));
  }
});

test('all errors of a document are told at once, in its order', () => {
  const rendered = check(
    '[limits]\nconnections = 0\n[agent]\nfoo = 1\n[api]\nallowed_endpoints = ["Foo", "Bar"]',
  );
  assert.deepEqual(
    rendered
      .split('\n')
      .filter((line) => line.startsWith('config.toml:'))
      .map((line) => line.split(': ')[0]),
    ['config.toml:2:15', 'config.toml:4:1', 'config.toml:6:22', 'config.toml:6:29'],
  );
});

test('each way of writing a table means the same', () => {
  for (const text of [
    '[api]\nallowed_endpoints = []\nblocked_endpoints = ["ExecProcess"]',
    'api = { allowed_endpoints = [], blocked_endpoints = ["ExecProcess"] }',
    'api.allowed_endpoints = []\napi."blocked_endpoints" = ["ExecProcess"]',
    "['api']\nallowed_endpoints = [\n  # none\n]\r\n\"blocked_endpoints\" = [ '''\nExecProcess''', ]",
  ]) {
    assert.match(check(text), /these lists leave nothing/, text);
  }
});

test('a document with a comment for editors, a version and nothing wrong is silent', () => {
  assert.equal(
    check('#:schema ./kata-agent.schema.json\nversion = 1\n[api]\nallowed_endpoints = ["*"]\n'),
    '',
  );
});

test('what the build left out is an error by name and a warning in a group', () => {
  const handlers = new Set<MethodName>(['CreateSandbox', 'ReadStdout']);
  const text = '[api]\nallowed_endpoints = ["CreateSandbox", "ExecProcess", "@logs", "@exec"]';
  const { diagnostics } = checkDocument(Buffer.from(text), 'config.toml', { handlers });
  assert.deepEqual(
    diagnostics.map(({ severity, message }) => `${severity}: ${message}`),
    [
      'error: "ExecProcess" was left out when this agent was built',
      'warning: "@logs" is smaller in this build, which leaves out ReadStderr',
      'warning: "@exec" is smaller in this build, which leaves out ExecProcess',
    ],
  );
});
