import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { CannotApply } from './cannot-apply.js';
import { demandRuntime, findRuntime } from './oci-runtime.js';

describe('the OCI runtime', () => {
  let folder = '';
  let runc = '';

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'oci-runtime-'));
    for (const name of ['good', 'plain', 'directory/runc'])
      mkdirSync(join(folder, name), { recursive: true });
    runc = join(folder, 'good', 'runc');
    writeFileSync(runc, '', { mode: 0o755 });
    writeFileSync(join(folder, 'plain', 'runc'), '', { mode: 0o644 });
  });

  after(() => rmSync(folder, { recursive: true }));

  it('is the first runc in PATH that can be run', () => {
    const path = ['relative', join(folder, 'plain'), join(folder, 'directory'), join(folder, 'good')].join(
      ':',
    );
    assert.deepEqual(findRuntime(undefined, { PATH: path }), { path: runc });
  });

  it('is the one that is named, whatever PATH has', () => {
    const named = join(folder, 'other');
    writeFileSync(named, '', { mode: 0o755 });
    assert.deepEqual(findRuntime(named, { PATH: join(folder, 'good') }), { path: named });
  });

  it('when there is none, says where it was looked for and what mends it', () => {
    const path = `${folder}/plain:${folder}/none`;
    assert.deepEqual(findRuntime(undefined, { PATH: path }), {
      path: undefined,
      missing: `there is no runc in ${path}: install one (apt-get install runc), or name it by oci_runtime`,
    });
    assert.equal(
      findRuntime(`${folder}/plain/runc`, {}).missing,
      `oci_runtime = "${folder}/plain/runc" is no program: put it there, or let oci_runtime name another`,
    );
  });

  it('may be missing, but not in a guest of its own that is to make containers', () => {
    const missing = { path: undefined, missing: 'there is none' };
    const guest = { isFirstProcess: true, servesContainers: true };
    assert.throws(
      () => demandRuntime(missing, guest),
      (error) =>
        error instanceof CannotApply && error.message === 'CreateContainer is served, but there is none',
    );
    demandRuntime({ path: runc }, guest);
    demandRuntime(missing, { ...guest, isFirstProcess: false });
    demandRuntime(missing, { ...guest, servesContainers: false });
  });
});
