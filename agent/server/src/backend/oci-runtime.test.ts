import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { CannotApply } from '../cannot-apply.js';
import { demandRuntime, findRuntime } from './oci-runtime.js';

describe('the OCI runtime', () => {
  let directory = '';
  let runc = '';
  let crun = '';

  /** Creates an executable file. */
  function program(...path: string[]): string {
    const file = join(directory, ...path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, '', { mode: 0o755 });
    return file;
  }

  /** Returns the choice with this PATH. */
  function find(named: string | undefined, path: string, more: { cgroup?: string; state?: string } = {}) {
    const { cgroup = join(directory, 'v2'), state = join(directory, 'no-state') } = more;
    return findRuntime(named, { environment: { PATH: path }, cgroup, state });
  }

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'oci-runtime-'));
    for (const name of ['plain', 'directory/runc', 'v2', 'hybrid/unified'])
      mkdirSync(join(directory, name), { recursive: true });
    runc = program('good', 'runc');
    crun = program('fast', 'crun');
    writeFileSync(join(directory, 'plain', 'runc'), '', { mode: 0o644 });
    for (const name of ['v2', 'hybrid/unified'])
      writeFileSync(join(directory, name, 'cgroup.controllers'), '');
  });

  after(() => rmSync(directory, { recursive: true }));

  it('is the first executable one in PATH', () => {
    const names = ['plain', 'directory', 'good'].map((name) => join(directory, name));
    assert.deepEqual(find(undefined, ['relative', ...names].join(':')), { path: runc });
  });

  it('is runc if both are there, in whatever order, and crun if it is alone', () => {
    const directories = [join(directory, 'good'), join(directory, 'fast')];
    assert.deepEqual(find(undefined, directories.join(':')), { path: runc });
    assert.deepEqual(find(undefined, directories.toReversed().join(':')), { path: runc });
    assert.deepEqual(find(undefined, join(directory, 'fast')), { path: crun });
  });

  it('is the configured one, whatever PATH has', () => {
    const named = program('other');
    assert.deepEqual(find(named, join(directory, 'good')), { path: named });
    assert.deepEqual(find(runc, join(directory, 'fast')), { path: runc });
  });

  it('is runc where crun refuses the cgroups, with the reason', () => {
    const cgroup = join(directory, 'hybrid');
    const path = `${directory}/good:${directory}/fast`;
    const instead = `${crun} refuses hybrid cgroups, of v1 with a cgroup2 mount at ${cgroup}/unified`;
    assert.deepEqual(find(undefined, path, { cgroup }), { path: runc });
    assert.deepEqual(find(crun, path, { cgroup }), { path: runc, instead });
    assert.deepEqual(find(crun, `${directory}/fast`, { cgroup }), {
      path: crun,
      missing: `${instead}: install runc, or boot with cgroup v2 alone`,
    });
    assert.deepEqual(find(crun, path), { path: crun });
  });

  it('is that of an earlier agent’s containers', () => {
    const state = join(directory, 'state');
    mkdirSync(join(state, 'crun', 'c1'), { recursive: true });
    mkdirSync(join(state, 'runc'));
    const path = `${directory}/good:${directory}/fast`;
    const instead = 'crun created the containers of an earlier agent';
    assert.deepEqual(find(undefined, path, { state }), { path: crun, instead });
    assert.deepEqual(find(runc, path, { state }), { path: crun, instead });
    rmSync(join(state, 'crun', 'c1'), { recursive: true });
    // crun's cache of seccomp filters.
    mkdirSync(join(state, 'crun', '.cache'));
    assert.deepEqual(find(undefined, path, { state }), { path: runc });
  });

  it('if missing, is an error that names the directories and the fix', () => {
    const path = `${directory}/plain:${directory}/none`;
    assert.deepEqual(find(undefined, path), {
      path: undefined,
      missing: `no runc or crun in ${path}: install one (apt-get install runc), or set oci_runtime`,
    });
    assert.equal(
      find(`${directory}/plain/runc`, '').missing,
      `oci_runtime = "${directory}/plain/runc" is not executable: install it there, or set oci_runtime to another`,
    );
  });

  it('is required in a guest of its own that creates containers', () => {
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
