import assert from 'node:assert/strict';
import { it } from 'node:test';
import { RealmHome, RealmProcess } from '../harness/realm-process.js';
import { newGuest, witnessKey } from '../harness/witnessed-guest.js';
import { build } from './artifacts.js';
import { askGo, openQuestion } from './tlog-peer.js';

const built = build('tlog-peer');

it("Go opens a checkpoint with a realm's cosignature", {
  skip: built.ok ? false : built.missing,
}, async () => {
  assert.ok(built.ok);
  const home = new RealmHome('[[guest]]\nname = "web"\nconfigurations = ["*"]\n');
  const { file, verifier } = witnessKey(home);
  const realm = await RealmProcess.start(home, ['--witness-key', file]);
  try {
    const guest = await (await newGuest(home)).connect();
    guest.log.addMany(41);
    await guest.stored();
    const notes: string[] = [];
    for (const [old, size] of [
      [0, 17],
      [17, 42],
    ] as const) {
      const { status, body } = await guest.ask(old, size);
      assert.equal(status, 200, body);
      notes.push(guest.log.checkpoint(size) + body);
    }
    const { name } = verifier;
    const log = guest.log.signer.verifier;
    const keys = [log.toString(), verifier.toString()];
    const wrong = notes[0]?.replace('\n17\n', '\n18\n') ?? '';
    const answers = await askGo(
      built.path('tlog-peer'),
      [...notes, wrong].map((note) => openQuestion(note, keys)),
    );
    assert.deepEqual(answers[0]?.signed?.toSorted(), [log.name, name].toSorted());
    assert.deepEqual(answers[1]?.signed?.toSorted(), [log.name, name].toSorted());
    assert.notEqual(answers[2]?.error, undefined);
    guest.close();
  } finally {
    await realm.stop();
    home.remove();
  }
});
