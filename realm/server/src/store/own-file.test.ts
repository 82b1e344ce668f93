import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '../collector/fake-agent.test.fixture.js';
import { fileBeside, openOwnFile, readOwnFile, StoreError, writeFileAtomically } from './own-file.js';
import { openLogDirectory } from './log-directory.js';
import { Revocations } from './revocations.js';

const id = 'ab'.repeat(32);
const space = { max: 2 ** 30, everyMs: 1_000, onChange: () => undefined };
const fifo = (path: string): void => void execFileSync('mkfifo', [path]);
const linkTo =
  (target: string) =>
  (path: string): void =>
    symlinkSync(target, path);

/** Whether it is refused; a FIFO that is waited for ends the test by its timeout. */
const refused = (path: string) => (error: unknown) =>
  error instanceof StoreError && error.message.startsWith(`${path} is not a regular file`);

for (const [what, plant] of [
  ['a link to a file', linkTo('/etc/hostname')],
  ['a link to a device', linkTo('/dev/zero')],
  ['a link to nothing', linkTo('/nowhere')],
  ['a named pipe', fifo],
  ['a directory', (path: string) => mkdirSync(path)],
] as const)
  test(`${what} in place of a file of a store is neither read nor written`, {
    timeout: 20_000,
  }, async (t) => {
    const directory = temporaryDirectory(t);
    const at = (name: string): string => join(directory, name);
    const own = at('own');
    plant(own);
    await assert.rejects(readOwnFile(own), refused(own));
    await assert.rejects(openOwnFile(own, 'append'), refused(own));

    plant(at('log.tree'));
    await assert.rejects(fileBeside(at('log.log'), 'tree').read(), refused(at('log.tree')));
    plant(at('state.new'));
    const written = writeFileAtomically(at('state'), 'x');
    // A directory is not removed; all else is replaced.
    if (what === 'a directory') await assert.rejects(written, { code: /EISDIR|ENOTEMPTY|ERR_FS_EISDIR/ });
    else await written;
    assert.equal(
      lstatSync(at('state'), { throwIfNoEntry: false })?.isFile() ?? false,
      what !== 'a directory',
    );
    plant(at('revocations.json'));
    await assert.rejects(Revocations.open(at('revocations.json')), refused(at('revocations.json')));

    const guest = at(`guests/${id}`);
    mkdirSync(guest, { recursive: true });
    const { storage } = await openLogDirectory(directory, space);
    plant(join(guest, 'guest.json'));
    await assert.rejects(storage(id).described(), refused(join(guest, 'guest.json')));
    plant(join(guest, 'notes'));
    await assert.rejects(storage(id).open(), refused(join(guest, 'notes')));
    assert.doesNotMatch(readFileSync('/etc/hostname', 'utf8'), /^x$/);
  });

test('a file that is not there is no fault, and one of another form is named', async (t) => {
  const directory = temporaryDirectory(t);
  assert.equal(await readOwnFile(join(directory, 'none')), undefined);
  const guest = join(directory, 'guests', id);
  mkdirSync(guest, { recursive: true });
  const { storage } = await openLogDirectory(directory, space);
  assert.equal(await storage(id).described(), undefined);
  for (const text of ['junk', '{"name"', '\u0000']) {
    writeFileSync(join(guest, 'guest.json'), text);
    await assert.rejects(storage(id).described(), /^StoreError: .*guest\.json is not JSON/);
  }
  for (const text of ['null', '1', '[]', '{"name":"x"}']) {
    writeFileSync(join(guest, 'guest.json'), text);
    assert.equal(await storage(id).described(), undefined);
  }
});
