import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wordFaults, wordFaultText, wordRules } from './words.js';

const words = (text: string, file = 'agent/guest/src/a.ts'): readonly string[] =>
  wordFaults(new Map([[file, text]])).map(({ word }) => word.trim());

test('a fault names file, line, word and the better word; 0 is the name of the file', () => {
  const [inName, inText, ...others] = wordFaults(
    new Map([['agent/guest/src/storage/take-back.ts', 'const a = 1;\n// Whoever reads this.\n']]),
  );
  assert.deepEqual(others, []);
  assert.match(
    inName === undefined ? '' : wordFaultText(inName),
    /^agent\/guest\/src\/storage\/take-back\.ts: its name: "take-back"; help: write instead: roll back/,
  );
  assert.match(
    inText === undefined ? '' : wordFaultText(inText),
    /^agent\/guest\/src\/storage\/take-back\.ts:2: "Whoever"; help: write instead: the actor/,
  );
});

const wrong: Readonly<Record<string, string>> = {
  'const mostLayers = 3;': 'mostLayers',
  'await storage.takeBack();': 'takeBack',
  'await putBack(change);': 'putBack',
  'class HeldPlaces {': 'HeldPlaces',
  'await queue.goOn(work);': 'goOn',
  '// The loop goes on.': 'goes on',
  'const usualPort = 1024;': 'usualP',
  "const said = 'x';": 'const said',
  'const twin = find();': 'twin',
  'class StrangersLimit {': 'Strangers',
  'readonly kernelLine: string;': 'kernelLine',
  'const folderOf = 1;': 'folder',
  '// The verdict is printed.': 'verdict',
  'judgeTrust(head);': 'judge',
  "// a directory of the guest's image": "the guest's image",
  '/** Who answers requests. */': '/** Who',
  '// only who knows it': 'only who',
  '// What a guest says is its word.': 'its word',
  '// device "0" is there twice': 'is there twice',
  '// a digest that is none': 'that is none',
  '// an entry that is no text': 'that is no',
  '// The guest is told.': 'is told',
};

test('names and phrases of our own are found', () => {
  for (const [text, word] of Object.entries(wrong)) assert.deepEqual(words(text), [word], text);
});

test('right uses are not found', () => {
  for (const text of [
    'const innermostFirst = 1, atMost = 2, almost = 3;',
    '// Undefined: there is none. It is no longer used, for this reason: that is no reason.',
    '// Two keys cannot be told apart. A log that ends is told from one without records.',
    '// from record 1200 on, and back to the start; put it in the background',
    'setWindowSize(3); const longestWindowMs = 4; // between two',
    '// its words, and those of the kernel command line; a guest image',
    '// the rule that admits it; whose turn it is, and who may call',
    'const keepAlive = true; const prejudice = 1;',
  ])
    assert.deepEqual(words(text), [], text);
});

test('a word is right where an exception says so, and nowhere else', () => {
  assert.deepEqual(words('// the admission of a call', 'lib/ttrpc/src/a.ts'), []);
  assert.deepEqual(words('// the admission of a guest', 'realm/server/src/a.ts'), ['admission']);
  assert.deepEqual(words('// Whoever quotes this', 'docs/records/kata-log.md'), []);
  assert.deepEqual(words('const stranger = client();', 'tests/functional/a.test.ts'), []);
});

test('each rule says what to write, and each exception has a reason', () => {
  for (const { pattern, instead, except = [] } of wordRules) {
    assert.notEqual(instead, '', String(pattern));
    assert.ok(!pattern.global, String(pattern));
    for (const [path, reason] of except) assert.ok(reason.length > 5, String(path));
  }
});
