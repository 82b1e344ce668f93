// In a developer's guest, and in no other: TCP ports of its network device that lead to the agent's vsock port, to any other,
// to a shell beside the agent, and to the agent's end. Whoever can reach them is root in the guest.
import { connectVsock, loadSyscalls } from '@kata-agent/linux';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { agentPort, dialPort, shellPort, stopPort } from './vm-ports.mjs';

/** This guest, as it reaches itself. */
const local = 1;
const syscalls = loadSyscalls();

function listen(port, options, serve) {
  createServer(options, (socket) => {
    socket.on('error', () => socket.destroy());
    serve(socket);
  }).listen(port, '0.0.0.0');
}

listen(agentPort, { allowHalfOpen: true, pauseOnConnect: true }, (outside) => {
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
