import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostMediaFaults } from './host-media-faults.js';

const tasks = "import { openSource } from '../source/open-source.js';\n";

test('what waits for the host is called by the threads for it alone', () => {
  const with_ = (path: string, text: string): readonly string[] =>
    hostMediaFaults(
      new Map([
        ['media-thread/tasks.ts', tasks],
        ['source/open-source.ts', "import { mount } from '@kata-agent/linux';\n"],
        [path, text],
      ]),
    );
  for (const [path, text, fault] of [
    [
      'a/b.ts',
      "import { type X, openSource } from '../source/open-source.js';\n",
      /a\/b\.ts calls openSource/,
    ],
    [
      'a.ts',
      "import {\n  mount,\n  type Y,\n} from '@kata-agent/linux';\n",
      /a\.ts calls mount, which may wait/,
    ],
    ['a.ts', "import { readFirstBlock as first } from '@kata-agent/linux';\n", /calls readFirstBlock/],
  ] as const)
    assert.match(with_(path, text).join('\n'), fault);
  for (const [path, text] of [
    ['a.ts', "import { type openSource } from './source/open-source.js';\n"],
    ['a.ts', "import { hasCode } from '@kata-agent/linux';\n"],
    [
      'storage/writable-layer.ts',
      "import { mkdirSync } from 'node:fs';\nimport { mount } from '@kata-agent/linux';\n",
    ],
    ['media-thread/thread.ts', "import { openSource } from '../source/open-source.js';\n"],
  ] as const)
    assert.deepEqual(with_(path, text), []);
});

test('an exception that is not needed, and a table that was moved, are found', () => {
  const files = new Map([
    ['media-thread/tasks.ts', tasks],
    ['source/open-source.ts', ''],
    ['storage/writable-layer.ts', ''],
  ]);
  assert.match(hostMediaFaults(files).join('\n'), /no longer calls mount; help: remove the exception/);
  assert.match(hostMediaFaults(new Map()).join('\n'), /the check is blind/);
});

test('files on the event loop need a reason, and a reason needs its use', () => {
  const faults = (path: string, text: string): readonly string[] =>
    hostMediaFaults(
      new Map([
        ['media-thread/tasks.ts', tasks],
        ['source/open-source.ts', "import { below } from './below.js';\n"],
        ['source/below.ts', "import { Directory } from '@kata-agent/linux';\n"],
        [path, text],
      ]),
    );
  for (const text of [
    "import { statSync } from 'node:fs';\n",
    "import { closeSync, openSync as open } from 'node:fs';\n",
    "import { readFile } from 'node:fs/promises';\n",
    "import { Directory } from '@kata-agent/linux';\n",
  ])
    assert.match(faults('storage/new.ts', text).join('\n'), /storage\/new\.ts uses files on the event loop/);
  for (const [path, text] of [
    // By descriptor, a type alone, another directory.
    ['storage/new.ts', "import { closeSync, type Stats } from 'node:fs';\n"],
    ['storage/new.ts', "import { type Directory } from '@kata-agent/linux';\n"],
    ['cgroup/new.ts', "import { readFileSync } from 'node:fs';\n"],
    ['device/device-number.ts', "import { readFileSync } from 'node:fs';\n"],
  ] as const)
    assert.deepEqual(faults(path, text), []);
  // A module that something on the loop uses, too, is on the loop.
  assert.match(
    faults('storage/new.ts', "import { below } from '../source/below.js';\n").join('\n'),
    /source\/below\.ts uses files on the event loop/,
  );
  assert.match(
    faults('device/device-number.ts', '').join('\n'),
    /device-number\.ts uses no files.*remove its reason/,
  );
});
