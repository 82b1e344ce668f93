import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MethodName } from '@kata-agent/catalogue';
import { checkDocument, renderDiagnostic } from '../index.js';

async function check(text: string): Promise<string> {
  const { diagnostics, exitCode } = await checkDocument(Buffer.from(text), 'config.toml');
  assert.equal(exitCode, diagnostics.some(({ severity }) => severity === 'error') ? 1 : 0);
  return diagnostics.map((diagnostic) => renderDiagnostic(diagnostic)).join('\n\n');
}

const faults: readonly (readonly [string, string, string])[] = [
  [
    'a misspelt endpoint',
    '[api]\nallowed_endpoints = ["ExecProces"]',
    `config.toml:2:22: error[KA1201]: unknown endpoint "ExecProces" in allowed_endpoints
  allowed_endpoints = ["ExecProces"]
                       ^^^^^^^^^^^^
help: did you mean "ExecProcess"?`,
  ],
  [
    'an endpoint in another case',
    '[api]\nblocked_endpoints = ["execprocess"]',
    `config.toml:2:22: error[KA1201]: unknown endpoint "execprocess" in blocked_endpoints
  blocked_endpoints = ["execprocess"]
                       ^^^^^^^^^^^^^
help: did you mean "ExecProcess"?`,
  ],
  [
    "Kata's former name",
    '[api]\nblocked_endpoints = ["ReadStreamRequest"]',
    `config.toml:2:22: error[KA1201]: unknown endpoint "ReadStreamRequest" in blocked_endpoints
  blocked_endpoints = ["ReadStreamRequest"]
                       ^^^^^^^^^^^^^^^^^^^
help: that is the name of a request; its method: "ReadStdout", "ReadStderr"`,
  ],
  [
    'a method that is gone',
    '[api]\nallowed_endpoints = ["ListProcesses"]',
    `config.toml:2:22: error[KA1201]: unknown endpoint "ListProcesses" in allowed_endpoints
  allowed_endpoints = ["ListProcesses"]
                       ^^^^^^^^^^^^^^^
help: Kata Containers removed it in 2.0.4: remove it`,
  ],
  [
    'a method that is only announced',
    '[api]\nallowed_endpoints = ["RebindSandbox"]',
    `config.toml:2:22: error[KA1201]: unknown endpoint "RebindSandbox" in allowed_endpoints
  allowed_endpoints = ["RebindSandbox"]
                       ^^^^^^^^^^^^^^^
help: it is announced, in no release of Kata Containers, and never served: remove it (kata-agent-ctl endpoints RebindSandbox)`,
  ],
  [
    'a look-alike letter',
    '[api]\nallowed_endpoints = ["\u0415xecProcess"]',
    `config.toml:2:22: error[KA1201]: unknown endpoint "\u0415xecProcess" in allowed_endpoints: its character 1 is "\u0415" (U+0415, Cyrillic), not an ASCII letter
  allowed_endpoints = ["\u0415xecProcess"]
                       ^^^^^^^^^^^^^
help: did you mean "ExecProcess"?`,
  ],
  [
    'an invisible character',
    '[api]\nallowed_endpoints = ["Exec\u200bProcess"]',
    `config.toml:2:22: error[KA1201]: unknown endpoint "Exec\\u{200b}Process" in allowed_endpoints: its character 5 is "\\u{200b}" (U+200B), not an ASCII letter
  allowed_endpoints = ["Exec\\u{200b}Process"]
                       ^^^^^^^^^^^^^^^^^^^^^
help: did you mean "ExecProcess"?`,
  ],
  [
    'a group without @',
    '[api]\nallowed_endpoints = ["pod"]',
    `config.toml:2:22: error[KA1201]: unknown endpoint "pod" in allowed_endpoints
  allowed_endpoints = ["pod"]
                       ^^^^^
help: groups start with @: did you mean "@pod"?`,
  ],
  [
    'an unknown group',
    '[api]\nallowed_endpoints = ["@pods"]',
    `config.toml:2:22: error[KA1201]: unknown endpoint "@pods" in allowed_endpoints
  allowed_endpoints = ["@pods"]
                       ^^^^^^^
help: did you mean "@pod"?`,
  ],
  [
    'a pattern',
    '[api]\nallowed_endpoints = ["Read*"]',
    `config.toml:2:22: error[KA1201]: unknown endpoint "Read*" in allowed_endpoints
  allowed_endpoints = ["Read*"]
                       ^^^^^^^
help: patterns are not supported: write names, @groups, or "*" alone for all`,
  ],
  [
    'an endpoint like no other',
    '[api]\nallowed_endpoints = ["frobnicate the whole thing"]',
    `config.toml:2:22: error[KA1201]: unknown endpoint "frobnicate the whole thing" in allowed_endpoints: its character 11 is " " (U+0020), not an ASCII letter
  allowed_endpoints = ["frobnicate the whole thing"]
                       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
help: kata-agent-ctl endpoints lists the names and the groups`,
  ],
  [
    'an entry that is not a text',
    '[api]\nallowed_endpoints = [["@pod"]]',
    `config.toml:2:22: error[KA1102]: an entry of allowed_endpoints must be a text, not a list
  allowed_endpoints = [["@pod"]]
                       ^^^^^^^^
help: for example: "ExecProcess", "@pod" or "*"`,
  ],
  [
    'an invalid list',
    '[api]\nallowed_endpoints = "*"',
    `config.toml:2:21: error[KA1102]: allowed_endpoints must be a list of texts in quotes, not the text "*"
  allowed_endpoints = "*"
                      ^^^
help: for example: allowed_endpoints = ["@pod", "ReadStdout", "ReadStderr"]`,
  ],
  [
    'an entry twice',
    '[api]\nallowed_endpoints = ["@pod", "@pod"]',
    `config.toml:2:30: warning[KA1202]: "@pod" is in allowed_endpoints twice
  allowed_endpoints = ["@pod", "@pod"]
                               ^^^^^^
help: remove one of the two`,
  ],
  [
    'an entry in both lists',
    '[api]\nallowed_endpoints = ["@pod", "@stdio"]\nblocked_endpoints = ["@stdio"]',
    `config.toml:3:22: warning[KA1203]: "@stdio" is in both lists: it is not served
  blocked_endpoints = ["@stdio"]
                       ^^^^^^^^
help: remove it from one of the two`,
  ],
  [
    'a method that came after the release',
    '[api]\nrelease = "3.21"\nallowed_endpoints = ["@pod", "GetDiagnosticData"]',
    `config.toml:3:30: warning[KA1205]: "GetDiagnosticData" was added in 3.29.0, after release = "3.21": it is not served
  allowed_endpoints = ["@pod", "GetDiagnosticData"]
                               ^^^^^^^^^^^^^^^^^^^
help: remove it, or write release = "3.29.0"`,
  ],
  [
    'a release that never was',
    '[api]\nrelease = "3.221"\nallowed_endpoints = ["@pod"]',
    `config.toml:2:1: warning[KA1209]: release = "3.221" is not a release of Kata Containers that this agent knows
  release = "3.221"
  ^^^^^^^
help: write one that exists: release = "3.21"`,
  ],
  [
    'a release that never was, under strict',
    '[api]\nstrict = true\nrelease = "3.221"\nallowed_endpoints = ["@pod"]',
    `config.toml:3:1: error[KA1209]: release = "3.221" is not a release of Kata Containers that this agent knows
  release = "3.221"
  ^^^^^^^
help: write one that exists: release = "3.21"`,
  ],
  [
    'open lists under strict',
    '[api]\nstrict = true\nallowed_endpoints = ["*", "@pod", "ExecProcess"]\nblocked_endpoints = ["@exec"]',
    `config.toml:3:22: error[KA1208]: under strict, "*" needs a release: it can include more methods later
  allowed_endpoints = ["*", "@pod", "ExecProcess"]
                       ^^^
help: write the release of Kata Containers it was written for: release = "3.21"

config.toml:4:1: error[KA1208]: under strict, blocked_endpoints needs a release: it can leave more methods served later
  blocked_endpoints = ["@exec"]
  ^^^^^^^^^^^^^^^^^
help: write the release of Kata Containers it was written for: release = "3.21"`,
  ],
  [
    'no list',
    '[agent]\nlog_level = "info"',
    `config.toml:1:1: warning[KA1206]: this document has no list of endpoints, so NOTHING is served but Health
  [agent]
  ^
help: write allowed_endpoints in [api]: ["@pod"], or ["*"] for everything`,
  ],
  [
    'an empty allow-list',
    '[api]\nallowed_endpoints = []',
    `config.toml:2:1: warning[KA1206]: these lists leave nothing: NOTHING is served but Health
  allowed_endpoints = []
  ^^^^^^^^^^^^^^^^^
help: for everything: allowed_endpoints = ["*"]`,
  ],
  [
    'everything blocked',
    '[api]\nblocked_endpoints = ["*"]',
    `config.toml:2:1: warning[KA1206]: these lists leave nothing: NOTHING is served but Health
  blocked_endpoints = ["*"]
  ^^^^^^^^^^^^^^^^^
help: for everything: allowed_endpoints = ["*"]`,
  ],
];

for (const [name, text, rendered] of faults) {
  test(`${name} is reported with its place and a fix`, async () => {
    assert.equal(await check(text), rendered);
  });
}

test('a method left out of the build is an error by name and a warning in a group', async () => {
  const handlers = new Set<MethodName>(['CreateSandbox', 'ReadStdout']);
  const text = '[api]\nallowed_endpoints = ["CreateSandbox", "ExecProcess", "@logs", "@exec"]';
  const { diagnostics } = await checkDocument(Buffer.from(text), 'config.toml', { handlers });
  assert.deepEqual(
    diagnostics.map(({ severity, code, message }) => `${severity}[${code}]: ${message}`),
    [
      'error[KA1204]: "ExecProcess" was left out when this agent was built',
      'warning[KA1204]: "@logs" is smaller in this build, which leaves out ReadStderr',
      'warning[KA1204]: "@exec" is smaller in this build, which leaves out ExecProcess',
    ],
  );
});
