import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { namespaceOptions, ownRoot } from './paths.js';

const skip = process.getuid?.() === 0 ? false : 'needs root, for a mount namespace';

function runInRoot(work: string, absent: string, script: string, ...args: readonly string[]): string {
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    [...namespaceOptions('net', 'uts', 'ipc'), 'sh', '-c', ownRoot + script, 'sh', work, absent, ...args],
    { encoding: 'utf8' },
  );
  assert.equal(status, 0, stderr);
  return stdout;
}

test('nothing of the machine can be changed but the given directory', { skip }, (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'kata-root-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const work = join(directory, 'work');
  mkdirSync(work);
  writeFileSync(join(directory, 'there'), 'machine');
  const name = `kata-root-test-${process.pid}`;
  const places = ['/etc', '/opt', '/var/lib', '/usr/bin', '/root', '/', directory];
  const output = runInRoot(
    work,
    '',
    `for place in ${places.join(' ')}; do mkdir -p "$place"; echo x > "$place/${name}"; done
echo changed > ${directory}/there; rm -rf /etc/passwd; echo given > ${work}/given; cat ${directory}/there; ls /run`,
  );
  assert.equal(output, 'changed\n');
  assert.deepEqual(
    places.filter((place) => existsSync(join(place, name))),
    [],
  );
  assert.ok(existsSync('/etc/passwd'));
  assert.equal(readFileSync(join(directory, 'there'), 'utf8'), 'machine');
  assert.equal(readFileSync(join(work, 'given'), 'utf8'), 'given\n');
});

test('a /pause_bundle that is there is not written into', { skip }, (t) => {
  const work = mkdtempSync(join(tmpdir(), 'kata-root-'));
  t.after(() => rmSync(work, { recursive: true }));
  const bundle = join(work, 'own');
  mkdirSync(bundle);
  writeFileSync(join(bundle, 'config.json'), 'own');
  // A machine that has one, and in it the machine of a peer pod.
  const machine = `mkdir /pause_bundle && echo machine > /pause_bundle/config.json
unshare ${namespaceOptions('net').join(' ')} sh -c "$1" sh "$2" pause_bundle "$3"
cat /pause_bundle/*; ls /pause_bundle`;
  const guest = `${ownRoot}cp -a "$1" /pause_bundle; cat /pause_bundle/config.json; echo; ls /pause_bundle`;
  assert.equal(runInRoot(work, '', machine, guest, work, bundle), 'own\nconfig.json\nmachine\nconfig.json\n');
});
