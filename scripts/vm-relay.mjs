// In a developer's guest, and in no other: TCP ports of its network device that lead to the agent's vsock port, to any other,
// to a shell beside the agent, and to the agent's end. Whoever can reach them, and has the machine's key, is root in the guest.
import { connectVsock, loadSyscalls } from '@kata-agent/linux';
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { agentPort, dialPort, keyBytes, keyName, shellPort, stopPort } from './vm-ports.mjs';

/** This guest, as it reaches itself. */
const local = 1;
const syscalls = loadSyscalls();

const key = givenKey();

/** What QEMU was given for this guest; nothing where the processor's machines have no SMBIOS without a firmware (aarch64). */
function givenKey() {
  const table = '/sys/firmware/dmi/tables/DMI';
  if (!existsSync(table)) return undefined;
  const text = readFileSync(table, 'latin1');
  const at = text.indexOf(keyName);
  if (at < 0)
    throw new Error(`the machine has no ${keyName} in its SMBIOS: scripts/vm-machine.mjs writes it`);
  return text.substr(at + keyName.length, keyBytes);
}

function listen(port, options, serve) {
  createServer({ ...options, pauseOnConnect: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    const leave = () => socket.destroy();
    const look = () => {
      const begin = socket.read(keyBytes);
      if (begin === null) return;
      socket.off('readable', look).off('end', leave);
      if (key === undefined || begin.toString('latin1') === key) setImmediate(() => serve(socket));
      else leave();
    };
    socket.on('readable', look).on('end', leave);
  }).listen(port, '0.0.0.0');
}

listen(agentPort, { allowHalfOpen: true }, (outside) => {
  connectVsock(syscalls, { cid: local, port: agentPort }).then(
    (inside) => join(outside, inside),
    (error) => {
      process.stderr.write(`relay: ${error.message}\n`);
      outside.resetAndDestroy();
    },
  );
});

listen(dialPort, { allowHalfOpen: true }, (outside) => {
  outside.once('data', (first) => {
    outside.pause();
    const [port, from] = first.toString('latin1').split(' ').map(Number);
    connectVsock(syscalls, { cid: local, port }, { from }).then(
      (inside) => {
        outside.write('\n');
        join(outside, inside);
      },
      (error) => outside.end(`${error.code}\n`),
    );
  });
});

function join(outside, inside) {
  inside.on('error', () => outside.destroy());
  inside.on('close', () => outside.destroy());
  outside.on('close', () => inside.destroy());
  outside.pipe(inside);
  inside.pipe(outside);
}

// Our images have no chroot but busybox's; another's has its own.
const [chroot, applet] = existsSync('/bin/busybox') ? ['/bin/busybox', ['chroot']] : ['/usr/sbin/chroot', []];

// The relay was started before the agent moved to a root of its own; the shell works in the agent's.
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
