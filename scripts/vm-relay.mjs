// In a developer's guest, and in no other: TCP ports of its network device that lead to the agent's vsock port, to a shell
// beside the agent, and to the agent's end. Whoever can reach them is root in the guest.
import { connectVsock, loadSyscalls } from '@kata-agent/linux';
import { spawn } from 'node:child_process';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { agentPort, shellPort, stopPort } from './vm-ports.mjs';

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
    (inside) => {
      inside.on('error', () => outside.destroy());
      inside.on('close', () => outside.destroy());
      outside.on('close', () => inside.destroy());
      outside.pipe(inside);
      inside.pipe(outside);
    },
    (error) => {
      process.stderr.write(`relay: ${error.message}\n`);
      outside.resetAndDestroy();
    },
  );
});

// The relay was started before the agent moved to a root of its own; the shell works in the agent's.
listen(shellPort, { allowHalfOpen: true }, (socket) => {
  createInterface({ input: socket }).once('line', (line) => {
    const child = spawn('/bin/busybox', ['chroot', '/proc/1/root', '/bin/sh', '-c', `cd / && ${line}`], {
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
