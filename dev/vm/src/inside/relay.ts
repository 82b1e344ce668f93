// Runs in a developer's guest only: forwards TCP ports of the network device to the agent's vsock port or
// another one, and has ports that run a shell and that stop the agent (ports.ts). A client that has the
// machine's key is root in the guest.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type ServerOpts, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { connectVsock, loadSyscalls } from '@kata-agent/linux';
import { codeOf, messageOf } from '@kata-agent/tool-command/command-line';
import { agentPort, dialPort, keyBytes, keyName, shellPort, stopPort } from './ports.js';

/** VMADDR_CID_LOCAL: the guest itself. */
const localCid = 1;
const syscalls = loadSyscalls();

const key = readKey();

/**
 * Reads the key that QEMU passes in SMBIOS. Returns undefined if the machine has no SMBIOS: on aarch64 it needs
 * a firmware.
 */
function readKey(): string | undefined {
  const table = '/sys/firmware/dmi/tables/DMI';
  if (!existsSync(table)) return undefined;
  const text = readFileSync(table, 'latin1');
  const nameAt = text.indexOf(keyName);
  if (nameAt < 0)
    throw new Error(
      `the SMBIOS of the machine does not contain ${keyName}\nhelp: boot it with dev/vm/src/machine/start-machine.ts`,
    );
  const begin = nameAt + keyName.length;
  return text.slice(begin, begin + keyBytes);
}

/** Serves connections that begin with the key; closes others. */
function listen(port: number, options: ServerOpts, serve: (socket: Socket) => void): void {
  createServer({ ...options, pauseOnConnect: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    const reject = (): void => void socket.destroy();
    const checkKey = (): void => {
      const received: Buffer | null = socket.read(keyBytes);
      if (received === null) return;
      socket.off('readable', checkKey).off('end', reject);
      if (key === undefined || received.toString('latin1') === key) setImmediate(() => serve(socket));
      else reject();
    };
    socket.on('readable', checkKey).on('end', reject);
  }).listen(port, '0.0.0.0');
}

listen(agentPort, { allowHalfOpen: true }, (outside) => {
  connectVsock(syscalls, { cid: localCid, port: agentPort }).then(
    (inside) => join(outside, inside),
    (error: unknown) => {
      process.stderr.write(`relay: ${messageOf(error)}\n`);
      outside.resetAndDestroy();
    },
  );
});

listen(dialPort, { allowHalfOpen: true }, (outside) => {
  outside.once('data', (first: Buffer) => {
    outside.pause();
    const [port = Number.NaN, from] = first.toString('latin1').split(' ').map(Number);
    connectVsock(syscalls, { cid: localCid, port }, from === undefined ? {} : { from }).then(
      (inside) => {
        outside.write('\n');
        join(outside, inside);
      },
      (error: unknown) => void outside.end(`${codeOf(error)}\n`),
    );
  });
});

function join(outside: Socket, inside: Duplex): void {
  inside.on('error', () => outside.destroy());
  inside.on('close', () => outside.destroy());
  outside.on('close', () => inside.destroy());
  outside.pipe(inside);
  inside.pipe(outside);
}

// Images of this project have busybox's chroot only; other images have coreutils.
const [chroot, ...applet] = existsSync('/bin/busybox')
  ? (['/bin/busybox', 'chroot'] as const)
  : (['/usr/sbin/chroot'] as const);

// The agent may have changed its root after the relay started: the shell runs in the agent's root.
listen(shellPort, { allowHalfOpen: true }, (socket) => {
  createInterface({ input: socket }).once('line', (line) => {
    const child = spawn(chroot, [...applet, '/proc/1/root', '/bin/sh', '-c', `cd / && ${line}`], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: '/usr/sbin:/usr/bin' },
    });
    child.stdout.pipe(socket, { end: false });
    child.stderr.pipe(socket, { end: false });
    child.once('close', (code) => socket.end(`\n${code}\n`));
  });
});

listen(stopPort, {}, (socket) => {
  socket.end();
  process.kill(1, 'SIGTERM');
});
