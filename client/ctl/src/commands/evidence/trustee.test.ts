import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { writeInitdata } from '@kata-agent/config';
import { runBinary } from '../../testing/program.js';

const directory = mkdtempSync(join(tmpdir(), 'kata-ctl-trustee-'));
after(() => rmSync(directory, { recursive: true }));
const at = (name: string): string => join(directory, name);

const snp = {
  product: 'Milan',
  measurement: '4d'.repeat(48),
  policy: '0x30000',
  host_data: 'any',
  minimum_tcb: { bootloader: 3, tee: 0, snp: 20, microcode: 209 },
};
const document = Buffer.from('[api]\nallowed_endpoints = ["@pod"]\n');

const run = (values: object, ...more: readonly string[]) => {
  writeFileSync(at('values.json'), JSON.stringify({ v: 1, accept: ['snp', 'tpm'], ...values }));
  writeFileSync(at('initdata.toml'), writeInitdata(document, 'sha-256'));
  const files = ['--reference', at('values.json'), '--initdata', at('initdata.toml'), '--out', at('out')];
  return runBinary(['evidence', 'trustee', ...files, ...more]);
};

test('both files are written, and the policy names what config digest prints as HOSTDATA', () => {
  const { code, stdout, stderr } = run({ snp: [snp] }, '--resource', 'default/key/1');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /rvps-tool register --path .*rvps-message\.json[^]*set-resource-policy --policy-file/);
  const message = JSON.parse(readFileSync(at('out/rvps-message.json'), 'utf8')) as { payload: string };
  const values = JSON.parse(Buffer.from(message.payload, 'base64').toString()) as Record<string, unknown>;
  assert.deepEqual(values['snp_launch_measurement'], [snp.measurement]);
  writeFileSync(at('c.toml'), document);
  const digest = runBinary(['config', 'digest', at('c.toml'), '--format', 'json']);
  const { initdata } = JSON.parse(digest.stdout) as { initdata: { hostdata: string; mrconfigid: string } };
  const policy = readFileSync(at('out/resource-policy.rego'), 'utf8');
  assert.ok(policy.includes(`"snp": {"${initdata.hostdata}"}`), policy);
  assert.ok(policy.includes(`"tdx": {"${initdata.mrconfigid}"}`), policy);
  assert.match(policy, /in \[\["default","key","1"\]\]/);
});

test('wrong resources, and values that Trustee does not ask for, are refused', () => {
  assert.match(run({ snp: [snp] }, '--resource', 'a/b').stderr, /must be REPOSITORY\/TYPE\/TAG/);
  assert.match(run({}).stderr, /has no values of snp or tdx/);
  assert.equal(runBinary(['evidence', 'trustee', '--out', at('x')]).code, 2);
});
