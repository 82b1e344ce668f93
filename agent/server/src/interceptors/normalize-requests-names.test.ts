import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, type Message } from '@bufbuild/protobuf';
import {
  CreateContainerRequestSchema,
  ExecProcessRequestSchema,
  StartContainerRequestSchema,
} from '@kata-agent/protocol/agent';
import { type HandlerContext } from '@kata-agent/ttrpc';
import type { Caller } from '../caller.js';
import { specNames } from './normalize-requests.js';

/** Returns what later interceptors receive. */
async function seen<T extends Message>(request: T): Promise<T> {
  let passed: Message | undefined;
  const reply = create(StartContainerRequestSchema);
  const answer = await specNames(request, {} as HandlerContext<Caller>, (message) => {
    passed = message;
    return Promise.resolve(reply);
  });
  assert.equal(answer, reply);
  return passed as T;
}

const sets = (names: readonly string[]) => ({
  Bounding: [...names],
  Effective: [...names],
  Inheritable: [...names],
  Permitted: [...names],
  Ambient: [...names],
});

describe('specNames', () => {
  it("converts capabilities of Rust clients to the specification's names, in all five sets", async () => {
    const short = ['SYS_ADMIN', 'SYSLOG', 'BPF', 'CAP_KILL'];
    const full = ['CAP_SYS_ADMIN', 'CAP_SYSLOG', 'CAP_BPF', 'CAP_KILL'];
    const container = create(CreateContainerRequestSchema, {
      OCI: { Process: { Capabilities: sets(short) } },
    });
    const exec = create(ExecProcessRequestSchema, { process: { Capabilities: sets(short) } });
    for (const process of [(await seen(container)).OCI?.Process, (await seen(exec)).process]) {
      const { Bounding, Effective, Inheritable, Permitted, Ambient } = process?.Capabilities ?? sets([]);
      assert.deepEqual({ Bounding, Effective, Inheritable, Permitted, Ambient }, sets(full));
    }
  });

  it('leaves unknown capability names unchanged, for the guest to reject', async () => {
    const strange = ['cap_sys_admin', 'sys_admin', '', 'CAP_', 'cap_KILL', 'KILL ', '"KILL"'];
    const exec = create(ExecProcessRequestSchema, { process: { Capabilities: { Ambient: [...strange] } } });
    assert.deepEqual((await seen(exec)).process?.Capabilities?.Ambient, strange);
  });

  it('converts the type of a bind mount without a type', async () => {
    const mounts = [
      ['none', ['rbind']],
      ['', ['ro', 'bind']],
      ['', ['ro']],
      ['tmpfs', ['bind']],
      ['tmpfs', []],
      ['bind', []],
      ['local', ['rbind']],
    ] as const;
    const Mounts = mounts.map(([type, options]) => ({ type, options: [...options] }));
    const container = create(CreateContainerRequestSchema, { OCI: { Mounts } });
    assert.deepEqual(
      (await seen(container)).OCI?.Mounts.map(({ type }) => type),
      ['bind', 'bind', '', 'tmpfs', 'tmpfs', 'bind', 'local'],
    );
  });

  it("converts namespaces of Rust clients to the specification's names", async () => {
    const types = ['mnt', 'net', 'pid', 'mount', 'network', 'warp'];
    const Namespaces = types.map((Type) => ({ Type, Path: `/proc/1/ns/${Type}` }));
    const container = create(CreateContainerRequestSchema, { OCI: { Linux: { Namespaces } } });
    assert.deepEqual(
      (await seen(container)).OCI?.Linux?.Namespaces.map(({ Type, Path }) => [Type, Path]),
      [
        ['mount', '/proc/1/ns/mnt'],
        ['network', '/proc/1/ns/net'],
        ['pid', '/proc/1/ns/pid'],
        ['mount', '/proc/1/ns/mount'],
        ['network', '/proc/1/ns/network'],
        ['warp', '/proc/1/ns/warp'],
      ],
    );
  });

  it('passes on requests without either', async () => {
    for (const request of [
      create(CreateContainerRequestSchema),
      create(ExecProcessRequestSchema),
      create(StartContainerRequestSchema, { containerId: 'c1' }),
    ])
      assert.equal(await seen(request), request);
  });
});
