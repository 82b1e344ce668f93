import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runs } from '@kata-agent/base/testing';
import * as fc from 'fast-check';
import { RecordingSyscalls } from '../syscalls/fake.js';
import { SyscallError } from '../syscalls/syscall-error.js';
import { encodeAttributes } from './attributes.js';
import { AnswerFlag, AnswerType, encodeMessage, type NetlinkMessage } from './netlink-message.js';
import { NetlinkSocket } from './netlink-socket.js';

const port = 4711;
const GetRoute = 26;
const NewRoute = 24;

/** A kernel that answers the requests in turn, each with datagrams. */
function kernelWith(...answers: readonly (readonly Buffer[])[]): {
  readonly syscalls: RecordingSyscalls;
  readonly socket: NetlinkSocket;
} {
  const waiting: Buffer[] = [];
  const left = [...answers];
  const own = Buffer.alloc(12);
  own.writeUInt32LE(port, 4);
  const syscalls = new RecordingSyscalls({
    ownAddress: () => own,
    send: () => void waiting.push(...(left.shift() ?? [])),
    receive(_, buffer) {
      const datagram = waiting.shift();
      if (datagram === undefined) throw SyscallError.named('recv', 'EAGAIN');
      datagram.copy(buffer);
      return datagram.length;
    },
  });
  return { syscalls, socket: new NetlinkSocket(syscalls) };
}

const message = (more: Partial<NetlinkMessage>): Buffer =>
  encodeMessage({ type: NewRoute, flags: 2, sequence: 1, port, payload: Buffer.alloc(0), ...more });

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
};

const payload = (value: number): Buffer => Buffer.alloc(12, value);
const done = (more: Partial<NetlinkMessage> = {}): Buffer =>
  message({ type: AnswerType.Done, payload: int32(0), ...more });

/** Answers of Linux 6.18, without the sequence and the port. */
const refusals: readonly (readonly [request: Buffer, answer: string, error: object])[] = [
  [
    Buffer.alloc(28),
    '9bffffff2c000000180005050100000000000000200001004e657874686f702068617320696e76616c6964206761746577617900',
    { code: 'ENETUNREACH', errno: 101, message: 'Nexthop has invalid gateway (ENETUNREACH)' },
  ],
  [
    // struct ifinfomsg and an IFLA_MTU of one byte.
    Buffer.concat([Buffer.alloc(16), Buffer.from([5, 0, 4, 0, 1, 0, 0, 0])]),
    'deffffff2800000010000500030000000000000027000100417474726962757465206661696c656420706f6c6963792076616c69646174696f6e00000800020020000000240004800c00040000000000000000000c000500ffffffff000000000800010004000000',
    { code: 'ERANGE', message: 'Attribute failed policy validation (ERANGE), attribute 4' },
  ],
];

test('a refusal has the kernel’s text, and the attribute that it refuses', () => {
  for (const [request, answer, error] of refusals) {
    const flags = AnswerFlag.Capped | AnswerFlag.Attributes;
    const { socket } = kernelWith([
      message({ type: AnswerType.Error, flags, payload: Buffer.from(answer, 'hex') }),
    ]);
    assert.throws(() => socket.change(NewRoute, 0, request), { name: 'NetlinkError', ...error });
  }
  const whole = Buffer.concat([
    int32(-22),
    message({ payload: payload(1) }),
    encodeAttributes([{ type: 1, value: Buffer.from('no\0') }]),
  ]);
  const { socket } = kernelWith([
    message({ type: AnswerType.Error, flags: AnswerFlag.Attributes, payload: whole }),
  ]);
  assert.throws(() => socket.change(NewRoute, 0, payload(1)), { message: 'no (EINVAL)' });
  const short = kernelWith([message({ type: AnswerType.Error, payload: int32(-19) })]);
  assert.throws(() => short.socket.change(NewRoute, 0, payload(1)), { message: 'ENODEV: no such device' });
});

test('a request has the flags and the next sequence; only its own answer counts', () => {
  const answer = (more: Partial<NetlinkMessage>): Buffer =>
    message({ type: AnswerType.Error, payload: int32(0), ...more });
  const { socket, syscalls } = kernelWith(
    [answer({ sequence: 1 })],
    [
      answer({ sequence: 1, payload: int32(-22) }),
      answer({ sequence: 2, port: 1, payload: int32(-22) }),
      answer({ sequence: 2 }),
    ],
  );
  socket.change(NewRoute, 0x500, payload(7));
  socket.change(NewRoute, 0, payload(8));
  assert.deepEqual(
    syscalls.argumentsOf('send').map(([, datagram]) => datagram),
    [
      encodeMessage({ type: NewRoute, flags: 0x505, sequence: 1, port: 0, payload: payload(7) }),
      encodeMessage({ type: NewRoute, flags: 0x005, sequence: 2, port: 0, payload: payload(8) }),
    ],
  );
});

test('a list is read to its end, over several datagrams', () => {
  const { socket, syscalls } = kernelWith([
    Buffer.concat([1, 2].map((value) => message({ payload: payload(value) }))),
    Buffer.concat([message({ payload: payload(3) }), message({ type: NewRoute + 1, payload: payload(9) })]),
    done(),
  ]);
  assert.deepEqual(socket.dump(GetRoute, payload(0)), [1, 2, 3].map(payload));
  const [, request] = syscalls.argumentsOf('send')[0] as [number, Buffer];
  assert.equal(request.readUInt16LE(6), 0x301);
  socket.close();
  assert.equal(syscalls.openDescriptors.size, 0);
});

test('a list that changes meanwhile is read again, and not for ever', () => {
  const interrupted = (sequence: number): Buffer[] => [
    message({ sequence, flags: 2 | AnswerFlag.Interrupted, payload: payload(1) }),
    done({ sequence }),
  ];
  const whole = (sequence: number): Buffer[] => [
    message({ sequence, payload: payload(2) }),
    done({ sequence }),
  ];
  const { socket } = kernelWith(interrupted(1), interrupted(2), whole(3));
  assert.deepEqual(socket.dump(GetRoute, payload(0)), [payload(2)]);
  const atTheEnd = kernelWith([done({ flags: 2 | AnswerFlag.Interrupted })], whole(2));
  assert.deepEqual(atTheEnd.socket.dump(GetRoute, payload(0)), [payload(2)]);
  const never = kernelWith(...Array.from({ length: 20 }, (_, at) => interrupted(at + 1)));
  assert.throws(() => never.socket.dump(GetRoute, payload(0)), /changed 10 times while it was read/);
});

test('a list that the kernel refuses, at its beginning or its end, is no empty list', () => {
  for (const type of [AnswerType.Error, AnswerType.Done]) {
    const { socket } = kernelWith([message({ payload: payload(1) }), message({ type, payload: int32(-2) })]);
    assert.throws(() => socket.dump(GetRoute, payload(0)), { code: 'ENOENT' });
  }
  const text = encodeAttributes([{ type: 1, value: Buffer.from('FIB table does not exist\0') }]);
  const { socket } = kernelWith([
    done({ flags: 2 | AnswerFlag.Attributes, payload: Buffer.concat([int32(-2), text]) }),
  ]);
  assert.throws(() => socket.dump(GetRoute, payload(0)), { message: 'FIB table does not exist (ENOENT)' });
});

test('a datagram that was cut off, and a request without an answer, are errors', () => {
  const { socket } = kernelWith([Buffer.alloc(64 * 1024 + 1)]);
  assert.throws(
    () => socket.dump(GetRoute, payload(0)),
    /a datagram of 65537 bytes, of which 65536 were read/,
  );
  const silent = kernelWith([message({})]);
  assert.throws(() => silent.socket.dump(GetRoute, payload(0)), /a request without an answer/);
  assert.throws(() => silent.socket.change(NewRoute, 0, payload(0)), /a request without an answer/);
});

test('a list without end is refused', () => {
  const part = Buffer.concat(Array.from({ length: 500 }, () => message({ payload: Buffer.alloc(48) })));
  const { socket } = kernelWith(Array.from({ length: 50 }, () => part));
  assert.throws(() => socket.dump(GetRoute, payload(0)), {
    code: 'ENOMEM',
    message: /a list \(type 26\) of more than 20000 messages/,
  });
});

test('any answer is read, or refused', () => {
  const answers = fc.array(
    fc.record({
      type: fc.constantFrom(AnswerType.Error, AnswerType.Done, NewRoute),
      flags: fc.nat(0x3ff),
      payload: fc.uint8Array({ maxLength: 64 }).map((each) => Buffer.from(each)),
    }),
    { maxLength: 4 },
  );
  fc.assert(
    fc.property(answers, fc.nat(200), (each, cut) => {
      const datagram = Buffer.concat(each.map(message));
      for (const request of ['dump', 'change'] as const) {
        const { socket } = kernelWith([datagram.subarray(0, datagram.length - cut)]);
        try {
          if (request === 'dump') socket.dump(GetRoute, payload(0));
          else socket.change(NewRoute, 0, payload(0));
        } catch (error) {
          assert.match((error as Error).name, /^(?:MalformedMessage|NetlinkError)$/, String(error));
        }
      }
    }),
    { numRuns: runs(3_000) },
  );
});

test('a socket that cannot be opened leaks nothing', () => {
  for (const call of ['setNetlinkOption', 'connect', 'ownAddress'] as const) {
    const syscalls = new RecordingSyscalls();
    syscalls.fail(call, 'EPERM');
    assert.throws(() => new NetlinkSocket(syscalls), { code: 'EPERM' });
    assert.equal(syscalls.openDescriptors.size, 0);
  }
});
