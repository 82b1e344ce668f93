import type { ImageProgram } from '@kata-agent/catalogue';
import type { RuleImage } from '@kata-agent/gate';
import * as perform from '@kata-agent/guest';
import type { PulledImage } from '@kata-agent/guest';
import { quotedName } from '@kata-agent/guest';
import type { AttachedDevice, SharedMount } from '@kata-agent/guest';
import type {
  CreateContainerRequest,
  Device,
  SharedMount as WireSharedMount,
} from '@kata-agent/protocol/agent';
import { Code, type HandlerContext, TtrpcError } from '@kata-agent/ttrpc';
import { type Caller, callerOf } from '../caller.js';
import { noteImage, noteSecret } from '../interceptors/call-values.js';
import { type Handler, refusedInTurn, type Services } from './handler.js';
import { ruleContext } from '../policy/rule-context.js';
import { ociResources, ociSpec } from '../wire/oci-spec.js';
import { wireStats } from '../wire/stats.js';
import { storage } from '../wire/storage.js';
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

/** A root that the guest has got itself. */
interface OwnRoot {
  /** Undefined: the pause container of the guest image. */
  readonly image: PulledImage | undefined;
  /** Reads what the root has of the program that the request starts. */
  readonly program: () => ImageProgram | undefined;
}

/**
 * Decides again about a container when the guest has its root, and rules can see its image. All rules are evaluated: those without
 * the image may have become stricter during a pull.
 *
 * @throws GuestError `refused` or `unimplemented`
 */
function authorizeRoot(
  { image, program }: OwnRoot,
  { policy, guest }: Pick<Services, 'policy' | 'guest'>,
  request: CreateContainerRequest,
  context: HandlerContext<Caller>,
): void {
  const { listener } = context.connection;
  // As at the call itself, the container does not exist yet: rules such as "a name once" would find it.
  const status = {
    containerStatus: (id: string) => guest.containerStatus(id),
    sandboxStatus: guest.sandboxStatusWithout(request.containerId),
  };
  const decision = policy.authorize(listener, context.method, request, () => ({
    ...ruleContext(request, callerOf(context), status),
    image: image === undefined ? { from: 'pause_bundle' } : pulledImage(image, program),
  }));
  if (decision.outcome === 'deny') throw refusedInTurn(decision);
}

/** Its program is read once, and only if a rule compares it. */
function pulledImage(image: PulledImage, read: OwnRoot['program']): RuleImage {
  let program: { readonly found: ImageProgram | undefined } | undefined;
  return {
    from: 'pulled',
    ...image,
    get program() {
      program ??= { found: read() };
      return program.found;
    },
  };
}
