import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { create, type Message } from '@bufbuild/protobuf';
import {
  CopyFileRequestSchema,
  CreateContainerRequestSchema,
  CreateSandboxRequestSchema,
  ExecProcessRequestSchema,
  ResizeVolumeRequestSchema,
  UpdateEphemeralMountsRequestSchema,
  VolumeStatsRequestSchema,
} from '@kata-agent/protocol/agent';
import { type HandlerContext } from '@kata-agent/ttrpc';
import type { Caller } from '../caller.js';
import { rootlessPaths } from './normalize-requests.js';

const kata = '/run/kata-containers';
const rootless = `/run/user/1002${kata}`;

/** Returns what later interceptors receive. */
async function seen<T extends Message>(request: T): Promise<T> {
  let passed: Message | undefined;
  const reply = create(CreateSandboxRequestSchema);
  const answer = await rootlessPaths(request, {} as HandlerContext<Caller>, (message) => {
    passed = message;
    return Promise.resolve(reply);
  });
  assert.equal(answer, reply);
  return passed as T;
}

async function converted(path: string): Promise<string> {
  return (await seen(create(CopyFileRequestSchema, { path }))).path;
}

/** The storages and mounts of a pod, with its paths below this directory. */
const storages = (directory: string) => [
  { driver: 'virtio-fs', source: 'kataShared', mountPoint: `${directory}/shared/containers/` },
  {
    driver: 'watchable-bind',
    source: `${directory}/shared/containers/pod-config`,
    mountPoint: `${directory}/shared/containers/watchable/pod-config`,
  },
  {
    driver: 'overlayfs',
    mountPoint: `${directory}/shared/containers/c/rootfs`,
    options: [
      `lowerdir=${directory}/shared/rafs/c/a:${directory}/shared/rafs/c/b,upperdir=${directory}/shared/containers/c/fs`,
      `workdir=${directory}/shared/containers/c/work`,
    ],
    driverOptions: [
      `io.katacontainers.volume.overlayfs.create_directory=${directory}/shared/containers/c/work`,
    ],
  },
];
const container = (directory: string) =>
  create(CreateContainerRequestSchema, {
    storages: storages(directory),
    OCI: {
      Root: { Path: `${directory}/shared/containers/c/rootfs` },
      Mounts: [
        { source: `${directory}/shared/containers/watchable/pod-config`, destination: '/etc/config' },
        { source: 'proc', destination: '/proc' },
      ],
    },
  });

describe('rootlessPaths', () => {
  it('converts the paths of each request that has some', async () => {
    assert.deepEqual(await seen(container(rootless)), container(kata));
    for (const schema of [CreateSandboxRequestSchema, UpdateEphemeralMountsRequestSchema])
      assert.deepEqual(
        await seen(create(schema, { storages: storages(rootless) })),
        create(schema, { storages: storages(kata) }),
      );
    for (const schema of [VolumeStatsRequestSchema, ResizeVolumeRequestSchema])
      assert.deepEqual(
        await seen(create(schema, { volumeGuestPath: `${rootless}/shared/containers/v` })),
        create(schema, { volumeGuestPath: `${kata}/shared/containers/v` }),
      );
  });

  it('converts a path however its slashes are written, and Kata’s directory itself', async () => {
    for (const path of [`${rootless}/x`, `/run/user/1002/${kata}/x`, `//run//user/4294967294${kata}/x`])
      assert.equal(await converted(path), `${kata}/x`);
    assert.equal(await converted(rootless), kata);
  });

  it('leaves every other path unchanged', async () => {
    for (const path of [
      `${kata}/shared/containers/x`,
      '/run/user/1002/run/kata-agent/x',
      '/run/user/1002/run/kata-containers-too/x',
      `/run/user/0${kata}/x`,
      `/run/user/01${kata}/x`,
      `/run/user/x${kata}/x`,
      `/run/user/1/2${kata}/x`,
      `/run/user${kata}/x`,
      `/run/user/../user/1${kata}/x`,
      `/x${rootless}/x`,
      `run/user/1002${kata}/x`,
      `${kata}${rootless}`,
      '',
    ])
      assert.equal(await converted(path), path, path);
  });

  it('leaves paths in the container unchanged', async () => {
    const request = create(CreateContainerRequestSchema, {
      OCI: { Process: { Cwd: rootless, Args: [rootless] }, Mounts: [{ destination: rootless }] },
      sharedMounts: [{ srcPath: rootless, dstPath: rootless }],
    });
    assert.deepEqual(await seen(structuredClone(request)), request);
    const exec = create(ExecProcessRequestSchema, { process: { Cwd: rootless } });
    assert.deepEqual(await seen(structuredClone(exec)), exec);
  });
});
