import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, test } from 'node:test';
import { CommandError } from '@kata-agent/cli';
import { runBinary } from '../testing/program.js';
import { registryCredentials } from './registry-credentials.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-agent-ctl-credentials-'));
const { DOCKER_CONFIG, PATH = '' } = process.env;
process.env['DOCKER_CONFIG'] = directory;
process.env['PATH'] = `${directory}${delimiter}${PATH}`;
after(() => {
  rmSync(directory, { recursive: true });
  process.env['PATH'] = PATH;
  if (DOCKER_CONFIG === undefined) delete process.env['DOCKER_CONFIG'];
  else process.env['DOCKER_CONFIG'] = DOCKER_CONFIG;
});

const configure = (text: string): void => writeFileSync(join(directory, 'config.json'), text);

/** Configures a helper, a program of the shell. */
function helper(script: string): void {
  writeFileSync(join(directory, 'docker-credential-test'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  configure('{"credsStore": "test"}');
}

const registry = 'registry.example';

async function refusal(): Promise<CommandError> {
  const error: unknown = await registryCredentials(registry).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof CommandError, String(error));
  return error;
}

for (const [name, script, reason] of [
  ['text', 'echo hunter2SECRET', /its output is not/],
  ['null', 'echo null', /its output is not/],
  ['JSON without a secret', `echo '{"Username": "hunter2SECRET"}'`, /its output is not/],
  ['nothing, and fails', 'echo hunter2SECRET >&2; exit 7', /it ended with 7/],
  ['text, and ends by a signal', 'echo hunter2SECRET >&2; kill -KILL $$', /it ended by SIGKILL/],
] as const)
  test(`a helper that prints ${name} is named without its output`, async () => {
    helper(script);
    const { message, exitCode, cause } = await refusal();
    assert.equal(exitCode, 3);
    assert.match(message, /^docker-credential-test has no credential for registry\.example: /);
    assert.match(message, reason);
    assert.doesNotMatch(message + String(cause), /SECRET/);
  });

test('a helper that is not there is named', async () => {
  configure('{"credHelpers": {"registry.example": "missing"}}');
  assert.match((await refusal()).message, /docker-credential-missing .*there is no such program/);
});

test('a command prints nothing that a helper printed', () => {
  helper('echo hunter2SECRET');
  const pod = 'kind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: "127.0.0.1:1/a:1"}]}\n';
  const { code, stdout, stderr } = runBinary(['config', 'pin', '-f', '-', '--images', 'pull'], pod);
  assert.deepEqual([code, stdout], [3, '']);
  assert.match(stderr, /docker-credential-test has no credential for 127\.0\.0\.1:1: /);
  assert.doesNotMatch(stderr, /SECRET|bug/);
});

test('a helper that does not read the name of the registry can have a credential', async () => {
  helper(`exec <&-; echo '{"Username":"me","Secret":"pass"}'`);
  // Longer than what the system takes of a pipe that nobody reads.
  const scope = 'r'.repeat(1 << 20);
  assert.deepEqual(await registryCredentials(scope), [{ scope, user: 'me', password: 'pass' }]);
});

for (const text of ['null', '[]', '"hunter2SECRET"', '{hunter2SECRET'])
  test(`a configuration that is ${text.slice(0, 3)}… is an error that names the file`, async () => {
    configure(text);
    const { message, exitCode, cause } = await refusal();
    assert.equal(exitCode, 3);
    assert.match(message, /cannot read .*config\.json: it is not a JSON object$/);
    assert.doesNotMatch(message + String(cause), /SECRET/);
  });
