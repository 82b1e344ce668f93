import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDocument, renderDiagnostic } from '../index.js';

async function check(text: string): Promise<string> {
  const { diagnostics, exitCode } = await checkDocument(Buffer.from(text), 'config.toml');
  assert.equal(exitCode, diagnostics.some(({ severity }) => severity === 'error') ? 1 : 0);
  return diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n\n');
}

/** A document that serves something, so that only what a test adds is reported. */
function withApi(text: string): string {
  return `api.allowed_endpoints = ["*"]\n${text}`;
}

const faults: readonly (readonly [string, string, string])[] = [
  [
    'an unknown key',
    withApi('[agent]\nlog_levle = "info"'),
    `config.toml:3:1: error[KA1101]: unknown key "log_levle" in [agent]
  log_levle = "info"
  ^^^^^^^^^
help: did you mean "log_level"?`,
  ],
  [
    'a key like no other',
    withApi('[agent]\nfrobnicate = 1'),
    `config.toml:3:1: error[KA1101]: unknown key "frobnicate" in [agent]
  frobnicate = 1
  ^^^^^^^^^^
help: docs/reference/settings.md lists the keys of [agent]`,
  ],
  [
    'a key like no other in a small section',
    withApi('[audit]\nfrobnicate = 1'),
    `config.toml:3:1: error[KA1101]: unknown key "frobnicate" in [audit]
  frobnicate = 1
  ^^^^^^^^^^
help: [audit] has file, on_failure, max_size, keep, facts, checkpoint_every, heartbeat, witness_quorum, required_within`,
  ],
  [
    'a register that the guest can reset, required',
    withApi('[measurement]\ntpm = "require"\npcr = 23'),
    `config.toml:4:1: error[KA1109]: pcr = 23 with tpm = "require": root in the guest can reset this register, and then extend it with another digest
  pcr = 23
  ^^^
help: use a register from 8 to 15`,
  ],
  [
    'checkpoints in the register of the configuration',
    withApi('[measurement]\ntpm = "try"\ncheckpoint_pcr = 13'),
    `config.toml:4:1: error[KA1109]: checkpoint_pcr and pcr are both 13: the value of this register could not be computed in advance any more
  checkpoint_pcr = 13
  ^^^^^^^^^^^^^^
help: use another register from 8 to 15`,
  ],
  [
    'checkpoints without a TPM',
    withApi('[measurement]\ncheckpoint_pcr = 14'),
    `config.toml:3:1: error[KA1109]: checkpoint_pcr = 14 with tpm = "off": no checkpoint would be extended
  checkpoint_pcr = 14
  ^^^^^^^^^^^^^^
help: write tpm = "require" or "try", or remove checkpoint_pcr`,
  ],
  [
    'checkpoints in a register that the guest can reset',
    withApi('[measurement]\ntpm = "require"\ncheckpoint_pcr = 16'),
    `config.toml:4:18: error[KA1102]: checkpoint_pcr must be "off" or a register of a TPM that the guest cannot reset, from 0 to 15, not the integer 16
  checkpoint_pcr = 16
                   ^^
help: for example: checkpoint_pcr = 14`,
  ],
  [
    'a required source of evidence that is not a source',
    withApi('[measurement]\ntpm = "require"\n[evidence]\nsources = ["tpm"]\nrequire = ["configfs-tsm"]'),
    `config.toml:6:1: error[KA1110]: require names "configfs-tsm", and sources does not
  require = ["configfs-tsm"]
  ^^^^^^^
help: add it: sources = ["tpm", "configfs-tsm"]`,
  ],
  [
    'evidence of a TPM that measures nothing',
    withApi('[evidence]\nsources = ["tpm"]'),
    `config.toml:3:1: error[KA1110]: sources names "tpm", and [measurement] tpm = "off": the TPM would not know the configuration
  sources = ["tpm"]
  ^^^^^^^
help: write tpm = "require" in [measurement]`,
  ],
  [
    'two sources of reports of the one processor',
    withApi('[evidence]\nsources = ["configfs-tsm", "attestation-agent"]'),
    `config.toml:3:1: error[KA1135]: sources names "configfs-tsm" and "attestation-agent": both are reports of the one processor
  sources = ["configfs-tsm", "attestation-agent"]
  ^^^^^^^
help: keep "configfs-tsm", which does not depend on another program`,
  ],
  [
    'a certificate of a key that nothing signs with',
    withApi('[evidence]\nsources = ["configfs-tsm"]\nak_certificate = 0x1800100'),
    `config.toml:4:1: error[KA1110]: ak_certificate is about the key of a TPM, and sources does not name "tpm"
  ak_certificate = 0x1800100
  ^^^^^^^^^^^^^^
help: add "tpm" to sources, or remove ak_certificate`,
  ],
  [
    'an invalid NV index',
    withApi('[measurement]\ntpm = "try"\n[evidence]\nsources = ["tpm"]\nak_certificate = 5'),
    `config.toml:6:18: error[KA1102]: ak_certificate must be "off", or an NV index of a TPM, from 0x1000000 to 0x1ffffff, not the integer 5
  ak_certificate = 5
                   ^
help: for example: ak_certificate = 0x1800100`,
  ],
  [
    'evidence with a register that the guest can reset',
    withApi('[measurement]\ntpm = "try"\npcr = 16\n[evidence]\nsources = ["tpm"]'),
    `config.toml:4:1: error[KA1110]: pcr = 16 with [evidence]: root in the guest can reset this register, and then extend it with another digest
  pcr = 16
  ^^^
help: use a register from 8 to 15`,
  ],
  [
    'a misspelt source of evidence',
    withApi('[evidence]\nsources = ["configfs_tsm"]'),
    `config.toml:3:11: error[KA1102]: sources must be a list of "configfs-tsm", "attestation-agent", "tpm", each once, not a list
  sources = ["configfs_tsm"]
            ^^^^^^^^^^^^^^^^
help: did you mean "configfs-tsm"?`,
  ],
  [
    'a key of another section',
    withApi('[agent]\nkeep = 4'),
    `config.toml:3:1: error[KA1101]: unknown key "keep" in [agent]
  keep = 4
  ^^^^
help: keep belongs in [audit]`,
  ],
  [
    "a key at the top, as in Kata's own file",
    withApi('log_level = "info"'),
    `config.toml:2:1: error[KA1101]: unknown key "log_level" at the top of the document
  log_level = "info"
  ^^^^^^^^^
help: log_level belongs in [agent]: put it below that line`,
  ],
  [
    'an unknown section',
    withApi('[aduit]\nkeep = 4'),
    `config.toml:2:2: error[KA1101]: unknown section "aduit" at the top of the document
  [aduit]
   ^^^^^
help: did you mean "audit"?`,
  ],
  [
    'a section like no other',
    withApi('[[frobnicate]]\nkeep = 4'),
    `config.toml:2:3: error[KA1101]: unknown section "frobnicate" at the top of the document
  [[frobnicate]]
    ^^^^^^^^^^
help: a document has version, [agent], [api], [delivery], [measurement], [image], [evidence], [audit], [limits], [[listener]] and [[secret]]`,
  ],
  [
    "Kata's former section",
    withApi('[endpoints]\nallowed = ["CreateContainerRequest"]'),
    `config.toml:2:2: error[KA1101]: unknown section "endpoints" at the top of the document
  [endpoints]
   ^^^^^^^^^
help: write the entries of Kata's [endpoints] in [api]: allowed_endpoints = ["CreateSandbox"]`,
  ],
  [
    'a wrong type',
    withApi('[agent]\nhotplug_timeout = "3"'),
    `config.toml:3:19: error[KA1102]: hotplug_timeout must be a number of seconds from 1 to 2147483, not the text "3"
  hotplug_timeout = "3"
                    ^^^
help: for example: hotplug_timeout = 10`,
  ],
  [
    'a wrong word',
    withApi('[agent]\nlog_level = "inf"'),
    `config.toml:3:13: error[KA1102]: log_level must be "trace", "debug", "info", "warn", "error" or "critical", not the text "inf"
  log_level = "inf"
              ^^^^^
help: did you mean "info"?`,
  ],
  [
    'a size in the wrong unit',
    withApi('[limits]\nstream_buffer = "16mb"'),
    `config.toml:3:17: error[KA1102]: stream_buffer must be a size from 4KiB to 1GiB, in bytes or as "64KiB", "16MiB", "1GiB", not the text "16mb"
  stream_buffer = "16mb"
                  ^^^^^^
help: did you mean "16MiB"?`,
  ],
  [
    'a release that is a number',
    withApi('').replace('\n', '\napi.release = 3.20'),
    `config.toml:2:15: error[KA1102]: release must be a release of Kata Containers such as "3.21" or "3.21.0", from "2.0" on, not the number 3.20
  api.release = 3.20
                ^^^^
help: write it in quotes: release = "3.20"`,
  ],
  [
    '__proto__ as a section',
    withApi('[__proto__]\nstrict = true'),
    `config.toml:2:2: error[KA1101]: unknown section "__proto__" at the top of the document
  [__proto__]
   ^^^^^^^^^
help: a document has version, [agent], [api], [delivery], [measurement], [image], [evidence], [audit], [limits], [[listener]] and [[secret]]`,
  ],
  [
    '__proto__ and constructor as keys',
    withApi('[limits]\n__proto__ = { connections = 1 }\nconstructor.connections = 1'),
    `config.toml:3:1: error[KA1101]: unknown key "__proto__" in [limits]
  __proto__ = { connections = 1 }
  ^^^^^^^^^
help: [limits] has connections, requests_per_connection, containers, execs_per_container, request_fields, stream_buffer, frame_timeout

config.toml:4:1: error[KA1101]: unknown key "constructor" in [limits]
  constructor.connections = 1
  ^^^^^^^^^^^
help: [limits] has connections, requests_per_connection, containers, execs_per_container, request_fields, stream_buffer, frame_timeout`,
  ],
  [
    'a section that is a value',
    withApi('agent = 5'),
    `config.toml:2:1: error[KA1103]: agent must be a section, not the integer 5
  agent = 5
  ^^^^^
help: write [agent] on a line of its own`,
  ],
  [
    'a section that is a list',
    withApi('[[agent]]\nlog_level = "info"'),
    `config.toml:2:3: error[KA1103]: agent must be a section, not a list of tables
  [[agent]]
    ^^^^^
help: write [agent] on a line of its own`,
  ],
  [
    'another version',
    withApi('version = 2'),
    `config.toml:2:11: error[KA1106]: version must be 1, the only version of this language, not the integer 2
  version = 2
            ^
help: write version = 1, or leave it out`,
  ],
  [
    'delivery that accepts nothing',
    withApi('[delivery]\naccept = []\n[measurement]\ntpm = "of"'),
    `config.toml:3:1: error[KA1701]: [delivery] accepts no delivery source
  accept = []
  ^^^^^^
help: write accept = ["initdata"], "fw_cfg", "kernel_line" or "drop_ins", or remove the section

config.toml:5:7: error[KA1102]: tpm must be "off", "try" or "require", not the text "of"
  tpm = "of"
        ^^^^
help: did you mean "off"?`,
  ],
  [
    "a setting of Kata's that is not built",
    withApi('[agent]\ntracing = true'),
    `config.toml:3:1: warning[KA1105]: tracing is not built yet: setting it changes nothing
  tracing = true
  ^^^^^^^
help: docs/reference/differences.md lists what this agent does not do yet`,
  ],
  [
    "a setting that Kata's agent never uses",
    withApi('[agent]\ndev_mode = true'),
    `config.toml:3:1: warning[KA1108]: dev_mode does nothing: Kata's agent accepts it and never uses it, and so does this agent
  dev_mode = true
  ^^^^^^^^
help: remove it`,
  ],
  [
    'overridable with an unknown key',
    withApi('[agent]\noverridable = ["log_levle", "lock", "zzzzzz"]'),
    `config.toml:3:16: error[KA1101]: unknown key "log_levle" in overridable
  overridable = ["log_levle", "lock", "zzzzzz"]
                 ^^^^^^^^^^^
help: did you mean "log_level"?

config.toml:3:29: error[KA1101]: unknown key "lock" in overridable
  overridable = ["log_levle", "lock", "zzzzzz"]
                              ^^^^^^
help: docs/reference/settings.md lists the keys

config.toml:3:37: error[KA1101]: unknown key "zzzzzz" in overridable
  overridable = ["log_levle", "lock", "zzzzzz"]
                                      ^^^^^^^^
help: docs/reference/settings.md lists the keys`,
  ],
  [
    'overridable that is not a list of texts',
    withApi('[agent]\noverridable = [1]'),
    `config.toml:3:15: error[KA1102]: overridable must be a list of texts in quotes, not a list
  overridable = [1]
                ^^^
help: for example: overridable = ["log_level"]`,
  ],
  [
    'lock beside overridable',
    withApi('[agent]\nlock = true\noverridable = ["log_level"]'),
    `config.toml:4:1: warning[KA1108]: overridable has no effect beside lock = true
  overridable = ["log_level"]
  ^^^^^^^^^^^
help: remove one of the two`,
  ],
];

for (const [name, text, rendered] of faults) {
  test(`${name} is reported with its place and a fix`, async () => {
    assert.equal(await check(text), rendered);
  });
}

test('all errors of a document are reported at once, in document order', async () => {
  const rendered = await check(
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

test('a valid document with an editor comment and a version gives no diagnostics', async () => {
  assert.equal(
    await check('#:schema ./kata-agent.schema.json\nversion = 1\n[api]\nallowed_endpoints = ["*"]\n'),
    '',
  );
});

test('of many faults the first hundred are reported, and the document is rejected', async () => {
  for (const text of [
    withApi(Array.from({ length: 500 }, (_, index) => `k${index} = 1`).join('\n')),
    withApi(`agent = {${Array.from({ length: 500 }, (_, index) => `k${index} = 1`).join(', ')}}`),
    withApi(`agent.overridable = [${'"zzzz", '.repeat(500)}]`),
    `api.allowed_endpoints = [${'"*", '.repeat(500)}]`,
  ]) {
    const faults = (await check(text)).split('\n\n');
    assert.equal(faults.length, 101);
    assert.match(
      faults.at(-1) ?? '',
      /^config\.toml:\d+:\d+: error\[KA1007\]: there are more than 100 errors: the rest is not shown/,
    );
  }
});

test('every wrong type is described in words', async () => {
  const found = async (value: string): Promise<string> =>
    /, not (.*)/.exec(await check(withApi(`[agent]\nlog_level = ${value}`)))?.[1] ?? '';
  assert.equal(await found('true'), 'the boolean true');
  assert.equal(await found('1.5'), 'the number 1.5');
  assert.equal(await found('2026-11-25'), 'the date 2026-11-25');
  assert.equal(await found('2026-11-25T10:00:00Z'), 'the date 2026-11-25T10:00:00Z');
  assert.equal(await found('{ a = 1 }'), 'a table');
  assert.equal(await found('[1]'), 'a list');
  assert.equal(await found('1'), 'the integer 1');
  assert.equal(await found(`"${'x'.repeat(100)}"`), `the text "${'x'.repeat(80)}…"`);
});

test('faults are reported in line order, whatever the order of sections', async () => {
  const lines = (
    await check('[limits]\nfoo = 1\nbar = 1\n[api]\nbaz = 1\nallowed_endpoints = ["*"]\n[agent]\nqux = 1')
  ).split('\n');
  assert.deepEqual(
    lines.filter((line) => line.startsWith('config.toml')).map((line) => line.split(':')[1]),
    ['2', '3', '5', '8'],
  );
});
