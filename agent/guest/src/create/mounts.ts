import type { Syscalls } from '@kata-agent/linux';
import type { GuestAccess } from '../guest-access.js';
import { withEdits } from '../cdi/injection.js';
import { ImageVolumes } from '../container/image-volumes.js';
import type { NamedMount } from '../container/refuse-links.js';
import type { NetworkNamespace } from '../container/network-namespace.js';
import { CheckedFiles, type HostAliases } from '../content/checked-files.js';
import type { HostMedia } from '../media/host-media.js';
import type { LocalAddresses } from '../network/links.js';
import type { OciMount, OciSpec } from '../request/oci-spec.js';
import { NestedMounts } from '../source/nested-mounts.js';
import type { Capabilities } from '../spec/security-labels.js';
import { mountRules } from '../spec/mounts.js';
import { bindLocalVolumes } from '../storage/drivers/local.js';
import { admitMounts } from './admission.js';
import type { OpenedSources } from './container-sources.js';
import type { Creation } from './creation.js';
import type { Decided } from './decide.js';

export interface MountServices {
  readonly syscalls: Syscalls;
  readonly media: HostMedia;
  readonly access: GuestAccess;
  readonly capabilities: () => Promise<Capabilities>;
  /** Undefined: the content of hosts files, resolv.conf and hostname files is not checked. */
  readonly hostAliases: HostAliases | undefined;
  readonly imageVolumes: readonly NamedMount[];
  readonly localAddresses: LocalAddresses;
}

export interface StagedSources {
  /** The request's spec with the edits of CDI. Its mounts have the sources of the request. */
  readonly bound: OciSpec;
  readonly capabilities: Capabilities;
  /** The mounts, with copies as sources. Their destinations are those of the request. */
  readonly staged: readonly OciMount[];
}

/** Checks the mounts, opens their sources, and makes the copies that the OCI runtime mounts. */
export async function stageMounts({
  sandbox,
  decided: { spec, edits, storages, nameInPod, bundle },
  network,
  opened: { sources, copies },
  rootfs,
  services,
  made,
}: Creation<MountServices> & {
  readonly decided: Decided;
  readonly network: NetworkNamespace | undefined;
  readonly opened: OpenedSources;
  readonly rootfs: string;
}): Promise<StagedSources> {
  const { syscalls, media, access, hostAliases } = services;
  const bound = bindLocalVolumes(withEdits(spec, edits), storages);
  const capabilities = await services.capabilities();
  const rules = mountRules(spec.linux, access, capabilities.cgroupVersion);
  const allowed = admitMounts(bound.mounts ?? [], rules);
  const ofDevices = { ...access, privileged: 'refuse', paths: edits.paths } as const;
  const files =
    hostAliases &&
    (await CheckedFiles.find(
      {
        hostname: sandbox.hostname,
        aliases: hostAliases,
        addresses: () =>
          media.run('interfaceAddresses', {}, network === undefined ? [] : [network.descriptor.fd]),
        copies,
        media,
      },
      allowed,
      rootfs,
    ));
  const ofImage = services.imageVolumes.filter(({ container }) => container === nameInPod);
  const volumes = await ImageVolumes.find(
    ofImage.map(({ path }) => path),
    allowed,
    { rootfs, bundle, syscalls, media, made },
  );
  const staged = [
    ...(await sources.stageAll(allowed, { files, volumes })),
    ...(await sources.stageAll(admitMounts(edits.mounts, rules), { access: ofDevices })),
  ];
  // The network of a joined namespace is its maker's.
  if (network === undefined) await services.localAddresses.keep(files?.ownAddresses ?? []);
  return { bound, capabilities, staged };
}

export interface NestServices {
  readonly syscalls: Syscalls;
  readonly media: HostMedia;
  readonly access: GuestAccess;
}

export interface ResolvedMounts {
  readonly nested: NestedMounts;
  /** Without links of the root, in the order of the request. */
  readonly destinations: readonly string[];
  /** What the OCI runtime mounts. */
  readonly mounts: readonly OciMount[];
}

/** Resolves the destinations in the root, and attaches mounts within mounts, which the OCI runtime does not get. */
export async function nestMounts({
  opened: { directory, sources },
  rootfs,
  staged: { staged },
  services: { syscalls, media, access },
  made,
}: Creation<NestServices> & {
  readonly opened: OpenedSources;
  readonly rootfs: string;
  readonly staged: StagedSources;
}): Promise<ResolvedMounts> {
  const { sysfs } = sources;
  const nested = new NestedMounts({
    syscalls,
    media,
    privileged: access.privileged,
    staged: directory,
    sysfs,
  });
  made.push('mounts within mounts', () => nested.rollBack());
  const { mounts } = await media.run('resolveDestinations', { mounts: staged, places: [], root: rootfs });
  const destinations = mounts.map(({ destination }) => destination);
  return { nested, destinations, mounts: await nested.attach(mounts) };
}
