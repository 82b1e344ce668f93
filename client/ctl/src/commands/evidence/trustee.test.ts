import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
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

/** A pod with initdata of its own. */
function pod(name: string): string {
  const value = gzipSync(writeInitdata(Buffer.from(`# ${name}\n[api]\n`), 'sha-256')).toString('base64');
  return `kind: Pod
metadata:
  name: ${name}
  annotations: {io.katacontainers.config.hypervisor.cc_init_data: ${value}}
spec: {containers: [{name: app, image: app}]}
`;
}

test('initdata is read from annotated pods, of files and standard input, and from disk images', () => {
  writeFileSync(at('pods.yaml'), `${pod('a')}---\n${pod('b')}---\nkind: Service\n`);
  writeFileSync(at('c.toml'), document);
  const digest = runBinary(['config', 'digest', at('c.toml'), '--out', at('c.img'), '--format', 'json']);
  assert.equal(digest.code, 0, digest.stderr);
  const shown = ['pods.yaml', 'c.img'].flatMap((file) => {
    const { stdout } = runBinary(['config', 'show', at(file), '--format', 'json']);
    return (JSON.parse(stdout) as readonly { readonly hostdata: string }[]).map(({ hostdata }) => hostdata);
  });
  assert.equal(new Set(shown).size, 3);
  writeFileSync(at('values.json'), JSON.stringify({ v: 1, accept: ['snp'], snp: [snp] }));
  const command = ['evidence', 'trustee', '--reference', at('values.json'), '--out', at('out')];
  const files = runBinary([...command, '--initdata', at('pods.yaml'), '--initdata', at('c.img')]);
  assert.equal(files.code, 0, files.stderr);
  const policy = (): string => readFileSync(at('out/resource-policy.rego'), 'utf8');
  for (const each of shown) assert.ok(policy().includes(`"${each}"`), policy());
  const piped = runBinary([...command, '--initdata', '-'], pod('a'));
  assert.equal(piped.code, 0, piped.stderr);
  assert.ok(policy().includes(`"snp": {"${shown[0]}"}`), policy());
  const bare = pod('a').replace(/ {2}annotations.*\n/, '');
  const none = runBinary([...command, '--initdata', '-'], bare);
  assert.equal(none.code, 4);
  assert.match(none.stderr, /no pod has initdata/);
});

test('evidence verify takes one annotated pod for --initdata', () => {
  writeFileSync(at('bundle.json'), '{}');
  writeFileSync(at('pods.yaml'), `${pod('a')}---\n${pod('b')}`);
  const command = ['evidence', 'verify', at('bundle.json'), '--reference', at('values.json')];
  const several = runBinary([...command, '--initdata', at('pods.yaml')]);
  assert.equal(several.code, 2);
  assert.match(several.stderr, /Pod a .* and Pod b .* have initdata/);
});

test('wrong resources, and values that Trustee does not ask for, are refused', () => {
  assert.match(run({ snp: [snp] }, '--resource', 'a/b').stderr, /must be REPOSITORY\/TYPE\/TAG/);
  assert.match(run({}).stderr, /has no values of snp or tdx/);
  assert.equal(runBinary(['evidence', 'trustee', '--out', at('x')]).code, 2);
});
