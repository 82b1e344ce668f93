import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadSyscalls, RecordingSyscalls, SyscallError } from '@kata-agent/linux';
import { listen, openListener } from './listen.js';

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

for (const [streams, fails] of [
  ['streams that lend bytes', false],
  ['accepted streams, without descriptors for others', true],
] as const)
  test(`a listener with ${streams} counts open connections`, async (context) => {
    const directory = mkdtempSync(join(tmpdir(), 'listen-'));
    context.after(() => rmSync(directory, { recursive: true }));
    const syscalls = new RecordingSyscalls({}, loadSyscalls());
    if (fails) for (let call = 0; call < 2; call += 1) syscalls.fail('dup3', 'EMFILE');
    const served: Socket[] = [];
    const path = join(directory, 's');
    const listener = await listen({
      name: 'host',
      address: `unix://${path}`,
      peers: [],
      limits: { connections: 1 },
      syscalls,
      log: () => undefined,
      audit: { refuse: () => assert.fail('nobody is refused') },
      serve: (stream) => void served.push(stream),
      lends: true,
    });
    context.after(() => listener.close());
    const open = async (): Promise<Socket> => {
      const socket = connect(path);
      await once(socket, 'connect');
      return socket;
    };
    const first = await open();
    await once(await open(), 'close');
    assert.equal(served.length, 1);
    assert.equal(served[0] !== undefined && 'lendTo' in served[0], !fails);
    served[0]?.destroy();
    await once(first, 'close');
    const third = await open();
    while (served.length < 2)
      await once(third, 'close', { signal: AbortSignal.timeout(5) }).catch(() => undefined);
    served[1]?.destroy();
    await once(third, 'close');
  });
