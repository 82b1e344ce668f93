import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { loadSyscalls } from '../syscalls/load-syscalls.js';
import { visitNamespace } from './other-namespace.js';

const isRoot = process.getuid?.() === 0 || process.env['CI'] === 'true';
const skip: string | false = isRoot ? false : 'needs root';
const domain = '/proc/sys/kernel/domainname';
const messages = '/proc/sys/fs/mqueue/msg_max';
const syscalls = loadSyscalls();
const processes: ChildProcess[] = [];
after(() => {
  for (const each of processes) each.kill('SIGKILL');
});

async function elsewhere(): Promise<number> {
  const child = spawn('unshare', ['--ipc', '--uts', 'sh', '-c', 'echo ready; exec sleep 1000'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  processes.push(child);
  await new Promise((resolve) => child.stdout.once('data', resolve));
  return child.pid ?? 0;
}

function visit<Result>(pid: number, type: 'ipc' | 'uts', task: () => Result): Result {
  const namespace = openSync(`/proc/${pid}/ns/${type}`, 'r');
  try {
    return visitNamespace(syscalls, type, namespace, task);
  } finally {
    closeSync(namespace);
  }
}

test('sysctls written during a visit belong to the visited namespace', { skip }, async () => {
  const pid = await elsewhere();
  const state = (): readonly string[] => [
    readFileSync(domain, 'utf8'),
    readFileSync(messages, 'utf8'),
    readlinkSync('/proc/thread-self/ns/ipc'),
    readlinkSync('/proc/thread-self/ns/uts'),
  ];
  const [before, descriptors] = [state(), readdirSync('/proc/self/fd').length];
  visit(pid, 'uts', () => writeFileSync(domain, 'elsewhere.example', { flag: 'r+' }));
  visit(pid, 'ipc', () => writeFileSync(messages, '7', { flag: 'r+' }));
  assert.equal(
    visit(pid, 'uts', () => readFileSync(domain, 'utf8')),
    'elsewhere.example\n',
  );
  assert.equal(
    visit(pid, 'ipc', () => readFileSync(messages, 'utf8')),
    '7\n',
  );
  assert.throws(() => visit(pid, 'ipc', () => assert.fail('of the task')), { message: 'of the task' });
  assert.deepEqual(state(), before);
  assert.equal(readdirSync('/proc/self/fd').length, descriptors);
});

test('a descriptor of another type is rejected', { skip }, async () => {
  const pid = await elsewhere();
  const namespace = openSync(`/proc/${pid}/ns/uts`, 'r');
  try {
    const task = (): never => assert.fail('it was entered');
    assert.throws(() => visitNamespace(syscalls, 'ipc', namespace, task), { code: 'EINVAL' });
  } finally {
    closeSync(namespace);
  }
});
