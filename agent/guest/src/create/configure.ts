import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Syscalls } from '@kata-agent/linux';
import type { GuestAccess } from '../guest-access.js';
import type { DataHub } from '../confidential/data-hub.js';
import type { SecretPermits } from '../confidential/secret-permits.js';
import { type NetworkNamespace, sysctlsOfNetwork } from '../container/network-namespace.js';
import { podNetwork, SysctlChanges, wholeGuest } from '../container/sysctl-changes.js';
import type { AttachedDevices } from '../device/attach-devices.js';
import { checkBoundNodes } from '../device/guest-devices.js';
import { type PciAddresses, withGuestAddresses } from '../device/pci-environment.js';
import type { GuestLog } from '../guest-log.js';
import { type HookSetting, mergeHooks } from '../guest-hooks.js';
import type { HostMedia } from '../media/host-media.js';
import type { GuestPaths } from '../paths/guest-paths.js';
import type { OciHooks, OciProcess, OciSpec } from '../request/oci-spec.js';
import { onlineCpus } from '../resource/online.js';
import { encodeSpec } from '../spec/encode-spec.js';
import { buildSpec, type BuiltSpec } from './build-spec.js';
import type { OpenedSources } from './container-sources.js';
import type { Creation } from './creation.js';
import type { Decided } from './decide.js';
import type { ResolvedMounts, StagedSources } from './mounts.js';

export interface SpecServices {
  readonly paths: GuestPaths;
  readonly access: GuestAccess;
  readonly hooks: HookSetting;
  readonly media: HostMedia;
  readonly log: GuestLog;
}

/** Checks what is left of the request, and builds the spec for the OCI runtime. */
export async function completeSpec({
  sandbox,
  decided: { id, edits, guest, root },
  network,
  attached,
  opened: { sources },
  rootfs,
  staged: { bound, capabilities },
  resolved: { mounts },
  services: { paths, access, hooks, media, log },
}: Creation<SpecServices> & {
  readonly decided: Decided;
  readonly network: NetworkNamespace | undefined;
  readonly attached: AttachedDevices;
  readonly opened: OpenedSources;
  readonly rootfs: string;
  readonly staged: StagedSources;
  readonly resolved: ResolvedMounts;
}): Promise<BuiltSpec> {
  const built = buildSpec(
    translatedPci(withHooks({ ...bound, mounts }, sandbox.hooks, hooks), attached.pciAddresses),
    {
      containerId: id,
      rootfs,
      shared: { ...sandbox.shared, network: network?.path },
      capabilities,
      onlineCpus: onlineCpus(paths.sys),
      hooks,
      hostname: sandbox.hostname,
      resolvConf: await resolvConfFor(rootfs, sandbox.resolvConf, media),
      attached: attached.devices,
      bound: sources.devices,
      sysfs: sources.sysfs,
      injected: [...attached.injected, ...edits.devices],
      access,
      guest,
    },
  );
  const { spec, warnings } = built;
  if (root !== undefined) checkBoundNodes(spec.linux?.devices ?? [], paths.dev);
  for (const warning of warnings) log('warn', warning, { container: id });
  await media.run('checkAccountFiles', { rootfs, mounts: spec.mounts ?? [] });
  return built;
}

export interface SysctlServices {
  readonly syscalls: Syscalls;
  readonly paths: GuestPaths;
  readonly log: GuestLog;
}

/** Sysctls that were written, and that removal restores once they are kept. */
export interface WrittenSysctls {
  readonly ofNetwork: SysctlChanges;
  readonly ofGuest: SysctlChanges;
}

/** Writes the sysctls of the network namespace and of the guest. */
export function writeSysctls({
  decided: { id },
  network,
  built: { networkSysctls, guestSysctls },
  services: { syscalls, paths, log },
  made,
}: Creation<SysctlServices> & {
  readonly decided: Decided;
  readonly network: NetworkNamespace | undefined;
  readonly built: BuiltSpec;
}): WrittenSysctls {
  const ofNetwork = new SysctlChanges(
    network === undefined ? podNetwork : sysctlsOfNetwork(syscalls, network),
    paths.proc,
  );
  made.push('sysctls', () => ofNetwork.rollBack());
  warnOfMissing(ofNetwork.write(networkSysctls), id, log);
  const ofGuest = new SysctlChanges(wholeGuest, paths.proc);
  made.push('sysctls of the guest', () => ofGuest.rollBack());
  warnOfMissing(ofGuest.write(guestSysctls), id, log);
  return { ofNetwork, ofGuest };
}

/** Logs sysctls that could not be written because the kernel does not have them. */
export function warnOfMissing(names: readonly string[], container: string, log: GuestLog): void {
  for (const name of names)
    log('warn', `sysctl ${name} is left out: this kernel does not have it`, { container });
}

/** Unseals what the environment has, and writes the spec for the OCI runtime. */
export async function writeConfig({
  sandbox: { signal },
  decided: { bundle, dataHub },
  opened: { permits },
  built: { spec },
  services: { paths },
}: Creation<{ readonly paths: GuestPaths }> & {
  readonly decided: Decided;
  readonly opened: OpenedSources;
  readonly built: BuiltSpec;
  readonly sysctls: WrittenSysctls;
}): Promise<void> {
  const unsealed = await withSecrets(spec, permits, { dataHub, proc: paths.proc, signal });
  writeFileSync(join(bundle, 'config.json'), encodeSpec(unsealed), { mode: 0o600 });
}

/** Returns the sandbox's resolv.conf if it can be mounted over the image's, which must have a regular file there. */
async function resolvConfFor(
  rootfs: string,
  resolvConf: string | undefined,
  media: HostMedia,
): Promise<string | undefined> {
  if (resolvConf === undefined) return undefined;
  return (await media.run('hasRegularFile', { rootfs, path: 'etc/resolv.conf' })) ? resolvConf : undefined;
}

function translatedPci({ process, ...spec }: OciSpec, addresses: PciAddresses): OciSpec {
  if (process === undefined) return spec;
  return { ...spec, process: { ...process, env: withGuestAddresses(process.env ?? [], addresses) } };
}

/** An earlier agent may have saved hooks of the guest image that the settings of this one refuse. */
function withHooks(spec: OciSpec, hooks: OciHooks | undefined, setting: HookSetting): OciSpec {
  if (setting !== 'allow') return spec;
  return { ...spec, hooks: mergeHooks(spec.hooks, hooks) };
}

/** Only the file for the runtime has the plain text of sealed secrets. */
async function withSecrets<Spec extends { readonly process: OciProcess }>(
  spec: Spec,
  permits: SecretPermits,
  {
    dataHub,
    proc,
    signal,
  }: {
    readonly dataHub: DataHub | undefined;
    readonly proc: string;
    readonly signal: AbortSignal | undefined;
  },
): Promise<Spec> {
  if (dataHub === undefined) return spec;
  const { unsealEnvironment } = await import('../confidential/unseal-environment.js');
  const env = await unsealEnvironment(spec.process.env ?? [], dataHub, { permits, proc, signal });
  return { ...spec, process: { ...spec.process, env } };
}
