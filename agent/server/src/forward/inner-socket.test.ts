import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FoundFile, socketFault } from './inner-socket.js';

type Entry = readonly [type: 'directory' | 'socket' | 'file' | 'link', mode: number, uid?: number];

const path = '/run/inner/agent.sock';

const closed: Readonly<Record<string, Entry>> = {
  '/': ['directory', 0o755],
  '/run': ['directory', 0o755],
  '/run/inner': ['directory', 0o700],
  [path]: ['socket', 0o755],
};

function faultOf(changes: Readonly<Record<string, Entry | undefined>>, owner = 0): string | undefined {
  const files: Readonly<Record<string, Entry | undefined>> = { ...closed, ...changes };
  const fault = socketFault(path, owner, (name): FoundFile | undefined => {
    const entry = files[name];
    if (entry === undefined) return undefined;
    const [type, mode, uid = 0] = entry;
    return {
      uid,
      mode,
      isSocket: () => type === 'socket',
      isDirectory: () => type === 'directory',
      isSymbolicLink: () => type === 'link',
    };
  });
  return fault && `${fault.kind} ${fault.message}`;
}

test('a socket in a closed directory of root, and a closed socket, are reached by this agent alone', () => {
  assert.equal(faultOf({}), undefined);
  assert.equal(faultOf({ '/run/inner': ['directory', 0o755], [path]: ['socket', 0o700] }), undefined);
  assert.equal(faultOf({ '/run': ['directory', 0o1777] }), undefined);
  assert.equal(
    faultOf({ '/run/inner': ['directory', 0o700, 1000], [path]: ['socket', 0o700, 1000] }, 1000),
    undefined,
  );
});

for (const [name, changes, expected] of [
  ['a socket that is not there', { [path]: undefined }, 'absent /run/inner/agent.sock does not exist'],
  ['a directory that is not there', { '/run/inner': undefined }, 'absent /run/inner does not exist'],
  ['another file', { [path]: ['file', 0o600] }, 'exposed /run/inner/agent.sock: it is not a socket'],
  [
    'a link in place of the socket',
    { [path]: ['link', 0o777] },
    'exposed /run/inner/agent.sock: it is not a socket',
  ],
  [
    'a socket of another user',
    { [path]: ['socket', 0o700, 5] },
    'exposed /run/inner/agent.sock: it belongs to uid 5',
  ],
  [
    'a socket to which others can connect',
    { [path]: ['socket', 0o722] },
    'exposed /run/inner/agent.sock: other users can connect to it (mode 722)',
  ],
  [
    'an open socket in an open directory',
    { '/run/inner': ['directory', 0o711] },
    'exposed /run/inner/agent.sock: other users have access to it (mode 755), and to the directory that it is in',
  ],
  ['a directory of another user', { '/run': ['directory', 0o755, 5] }, 'exposed /run: it belongs to uid 5'],
  [
    'a directory that others can write',
    { '/run': ['directory', 0o775] },
    'exposed /run: other users can write to it (mode 775)',
  ],
  ['a link in place of a directory', { '/run': ['link', 0o777] }, 'exposed /run: it is a symbolic link'],
] as const)
  test(`${name} is refused`, () => assert.equal(faultOf(changes), expected));

test('a directory of the agent is not one of another user, unless that is this agent', () => {
  assert.equal(faultOf({ '/run': ['directory', 0o755, 7] }, 7), undefined);
});
