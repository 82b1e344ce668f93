import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'node:test';
import { loadSyscalls, RecordingSyscalls, SyscallError } from '@kata-agent/linux';
import { openListener } from './listen.js';

const vsock = 40;
const address = { kind: 'vsock', cid: 0xffff_ffff, port: 1024 } as const;

/** The real kernel, except for vsock, which tests never open on the host. */
function withoutVsock(): RecordingSyscalls {
  const kernel = loadSyscalls();
  return new RecordingSyscalls(
    {
      socket: (domain, type, protocol) => {
        if (domain === vsock) throw SyscallError.named('socket', 'EAFNOSUPPORT', 'vsock');
        return kernel.socket(domain, type, protocol);
      },
    },
    kernel,
  );
}

test('vsock is not opened on a Node.js that does not support it, and the error has a workaround', async () => {
  const syscalls = withoutVsock();
  syscalls.fail('dup3', 'EBUSY');
  await assert.rejects(
    openListener(syscalls, createServer(), address, 0o600),
    /Node\.js v.* cannot serve .* listen on a unix socket .* socat VSOCK-LISTEN:1024/,
  );
  assert.ok(syscalls.argumentsOf('socket').every(([domain]) => domain !== vsock));
});

test('on this Node.js vsock is opened, and the error for a kernel without it names its modules', async () => {
  const syscalls = withoutVsock();
  await assert.rejects(
    openListener(syscalls, createServer(), address, 0o600),
    /EAFNOSUPPORT.*the kernel has no vsock \(modules vsock and vmw_vsock_virtio_transport\)/,
  );
});
