import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { type PermittedSecret, secretPermits } from './secret-permits.js';

const payload = (name: string): string =>
  Buffer.from(JSON.stringify({ type: 'vault', provider: 'kbs', name })).toString('base64url');
const sealed = (name: string): Buffer => Buffer.from(`sealed.e30.${payload(name)}.c2ln`);
const [one, two] = ['kbs:///a/b/1', 'kbs:///a/b/2'] as const;
const hashOf = (text: Buffer): string => createHash('sha256').update(text).digest('hex');
const env = (resource: string, more: Partial<PermittedSecret> = {}): PermittedSecret => ({
  container: 'db',
  place: { kind: 'env', name: 'A' },
  resource,
  ...more,
});
const file = (path: string): PermittedSecret => ({ ...env(one), place: { kind: 'file', path } });

test('without a configuration each variable and each file has any secret', () => {
  const permits = secretPermits(undefined, '', []);
  assert.equal(permits.ofVariable('ANY')?.(Buffer.from('sealed.x'), 'it'), true);
  assert.equal(permits.ofVariable('ANY')?.(Buffer.from('plain'), 'it'), false);
  assert.equal(permits.filesOf('/any'), undefined);
});

test('a variable is that of one container, with one resource', () => {
  const permit = secretPermits([env(one)], 'db', []).ofVariable('A');
  permit?.(sealed(one), 'the variable');
  assert.throws(() => permit?.(sealed(two), 'the variable'), {
    kind: 'refused',
    message:
      /^the variable is a sealed secret .* names "kbs:\/\/\/a\/b\/2".*, and kbs:\/\/\/a\/b\/1 is allowed/,
  });
  for (const container of ['web', '', 'DB'])
    assert.equal(secretPermits([env(one)], container, []).ofVariable('A'), undefined);
  for (const name of ['a', 'A ', ''])
    assert.equal(secretPermits([env(one)], 'db', []).ofVariable(name), undefined);
});

test('a place that is named has a sealed secret, and no other text', () => {
  for (const bound of [env(one), env(one, { sha256: hashOf(sealed(one)) })])
    for (const text of ['hunter2', '', 'sealed', 'Sealed.e30.e30.e30', ` ${String(sealed(one))}`])
      assert.throws(
        () => secretPermits([bound], 'db', []).ofVariable('A')?.(Buffer.from(text), 'the variable'),
        { kind: 'refused', message: /^the variable is not a sealed secret, and \[\[secret\]\] has kbs:/ },
      );
});

test('resource and hash must fit together; several tables are alternatives', () => {
  const both = secretPermits([env(one, { sha256: hashOf(sealed(one)) })], 'db', []).ofVariable('A');
  both?.(sealed(one), 'it');
  const crossed = secretPermits([env(two, { sha256: hashOf(sealed(one)) })], 'db', []).ofVariable('A');
  assert.throws(() => crossed?.(sealed(one), 'it'), /is allowed/);
  const either = secretPermits([env(one), env(two)], 'db', []).ofVariable('A');
  either?.(sealed(one), 'it');
  either?.(sealed(two), 'it');
  assert.throws(
    () => either?.(sealed('kbs:///a/b/3'), 'it'),
    /kbs:\/\/\/a\/b\/1, or kbs:\/\/\/a\/b\/2 is allowed/,
  );
});

test('files of a mount are those below its destination, or the mount itself', () => {
  const permits = secretPermits(
    [file('/etc/keys/a'), file('/etc/keys/sub/b'), file('/etc/keys-2/c')],
    'db',
    [],
  );
  const below = (destination: string): readonly string[] => [...(permits.filesOf(destination)?.keys() ?? [])];
  assert.deepEqual(below('/etc/keys'), ['a', 'sub/b']);
  assert.deepEqual(below('/etc/keys/sub'), ['b']);
  assert.deepEqual(below('/etc/keys/a'), ['']);
  assert.deepEqual(below('/etc/key'), []);
  assert.deepEqual(below('/www'), []);
});

test('a file is in the last mount that its path is below', () => {
  const mounts = ['/etc', '/etc/keys', '/etc/keys-2', '/etc/keys/sub/other'];
  const permits = secretPermits([file('/etc/keys/a'), file('/etc/keys/sub/b'), file('/etc/c')], 'db', mounts);
  const below = (destination: string): readonly string[] => [...(permits.filesOf(destination)?.keys() ?? [])];
  assert.deepEqual(mounts.map(below), [['c'], ['a', 'sub/b'], [], []]);
  const covered = secretPermits([file('/etc/keys/a')], 'db', ['/etc/keys/a', '/etc/keys']);
  assert.deepEqual([...(covered.filesOf('/etc/keys')?.keys() ?? [])], ['a']);
  assert.equal(covered.filesOf('/etc/keys/a')?.size, 0);
});
