import * as perform from '@kata-agent/guest';
import { quotedName } from '@kata-agent/guest';
import type { AttachedDevice, SharedMount } from '@kata-agent/guest';
import type { Device, SharedMount as WireSharedMount } from '@kata-agent/protocol/agent';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { noteImage } from '../interceptors/image-of.js';
import { noteSecret } from '../interceptors/secrets-of.js';
import { authorizeRoot } from './authorize-root.js';
import { ociResources } from '../wire/oci-linux.js';
import { ociSpec } from '../wire/oci-spec.js';
import { wireStats } from '../wire/stats.js';
import { storage } from '../wire/storage.js';
import type { Handler } from './handler.js';
import { withStdio } from './stdio-ports.js';

export const createContainer: Handler<'createContainer'> = async (services, request, context) => {
  const { OCI } = request;
  if (OCI === undefined) {
    throw new TtrpcError(
      Code.InvalidArgument,
      `container ${quotedName(request.containerId)}: the request has no OCI spec`,
    );
  }
  await withStdio(services, context.connection.listener, request, (stdio) =>
    perform.createContainer(services.guest, {
      id: request.containerId,
      execId: request.execId,
      spec: ociSpec(OCI),
      storages: request.storages.map(storage),
      devices: request.devices.map(attachedDevice),
      sharedMounts: request.sharedMounts.map(sharedMount),
      sandboxPidns: request.sandboxPidns,
      stdio,
      authorizeRoot: (image, program) => {
        noteImage(context.values, image);
        authorizeRoot({ image, program }, services, request, context);
      },
      noteSecret: (name) => noteSecret(context.values, name),
    }),
  );
  return {};
};

export const startContainer: Handler<'startContainer'> = async ({ guest }, request) => {
  await perform.startContainer(guest, request.containerId);
  return {};
};

export const removeContainer: Handler<'removeContainer'> = async ({ guest }, request) => {
  await perform.removeContainer(guest, { id: request.containerId, timeoutSeconds: request.timeout });
  return {};
};

export const pauseContainer: Handler<'pauseContainer'> = async ({ guest }, request) => {
  await perform.pauseContainer(guest, request.containerId);
  return {};
};

export const resumeContainer: Handler<'resumeContainer'> = async ({ guest }, request) => {
  await perform.resumeContainer(guest, request.containerId);
  return {};
};

export const updateContainer: Handler<'updateContainer'> = async ({ guest }, request) => {
  const { containerId: id, resources } = request;
  // As with Kata's agent: nothing is changed.
  if (resources === undefined) guest.container(id);
  else await perform.updateContainer(guest, { id, resources: ociResources(resources) });
  return {};
};

export const statsContainer: Handler<'statsContainer'> = async ({ guest }, request) =>
  wireStats(await perform.statsContainer(guest, request.containerId));

function attachedDevice(device: Device): AttachedDevice {
  return {
    id: device.id,
    type: device.type,
    vmPath: device.vmPath,
    containerPath: device.containerPath,
    options: device.options,
  };
}

function sharedMount(mount: WireSharedMount): SharedMount {
  return {
    name: mount.name,
    sourceContainer: mount.srcCtr,
    sourcePath: mount.srcPath,
    destinationContainer: mount.dstCtr,
    destinationPath: mount.dstPath,
  };
}
