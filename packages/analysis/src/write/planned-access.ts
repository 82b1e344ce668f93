import { isMessage, type Message } from '@bufbuild/protobuf';
import { describePrivileges, type PrivilegeAccess, privilegedReasons, privilegesOf } from '@kata-agent/gate';
import { CreateContainerRequestSchema } from '@kata-agent/protocol/agent';
import { commentedLines, oneLine, reasonsText } from './commented-lines.js';
import type { Wanted } from './plan.js';

/** What the agent itself would refuse of the requests, and the keys of `[agent]` that let it pass. */
export interface PlannedAccess {
  /** Not empty: only `privileged_containers = "allow"` lets them pass. Each reason with who asks for it. */
  readonly privileged: readonly Wanted<string>[];
  readonly guestPaths: readonly Wanted<string>[];
  readonly devices: readonly Wanted<string>[];
}

export const noPlannedAccess: PlannedAccess = { privileged: [], guestPaths: [], devices: [] };

interface Asked {
  readonly request: Message;
  readonly because: readonly string[];
}

/** As `guest_paths` and `devices` are written in a document. */
const cleanPath = /^(\/(?!\.{1,2}(\/|$))[^/\p{Cc}]+)+$/u;

/** The smallest change of the keys under which the agent refuses none of the requests. */
export function planAccess(asks: readonly Asked[]): PlannedAccess {
  const single = { guestPaths: new Lists(), devices: new Lists() };
  for (const { request, because } of asks) {
    for (const { reason, detail } of privilegesOf(request)) {
      const key = privilegedReasons[reason].opens;
      if (key === 'devices' && detail.startsWith('/dev/') && cleanPath.test(detail))
        single.devices.add(detail, because);
      if (key === 'guest_paths' && cleanPath.test(detail))
        single.guestPaths.add(`${isWritten(request, detail) ? 'rw:' : ''}${detail}`, because);
    }
  }
  const guestPaths = withoutCovered(single.guestPaths.wanted());
  const devices = single.devices.wanted();
  const access: PrivilegeAccess = {
    devices: devices.map(({ value }) => value),
    guestPaths: guestPaths.map(({ value }) => value),
  };
  const rest = new Lists();
  for (const { request, because } of asks) {
    const left = privilegesOf(request, access);
    if (left.length > 0) rest.add(describePrivileges(left), because);
  }
  const privileged = rest.wanted();
  return privileged.length > 0 ? { ...noPlannedAccess, privileged } : { privileged, guestPaths, devices };
}

/** The keys in TOML; empty when none is needed. */
export function accessText({ privileged, guestPaths, devices }: PlannedAccess): string {
  return [
    privileged.length === 0
      ? ''
      : '# PRIVILEGED: these containers are root of the guest by design, and what they reach is not kept from them.\n' +
        privileged.map((one) => `# - ${oneLine(one.value)} ${reasonsText('#', one)}\n`).join('') +
        'privileged_containers = "allow"\n',
    listText('guest_paths', guestPaths),
    listText('devices', devices),
  ].join('');
}

function listText(key: string, list: readonly Wanted<string>[]): string {
  if (list.length === 0) return '';
  const lines = list.map((one) => [`  ${JSON.stringify(one.value)},`, reasonsText('#', one)] as const);
  return `${key} = [\n${commentedLines(lines)}]\n`;
}

/** Whether some mount of the source lets the container write there. */
function isWritten(request: Message, source: string): boolean {
  const mounts = isMessage(request, CreateContainerRequestSchema) ? (request.OCI?.Mounts ?? []) : [];
  return mounts.some((mount) => mount.source === source && !mount.options.includes('ro'));
}

/** A directory in the list opens what lies below. */
function withoutCovered(list: readonly Wanted<string>[]): readonly Wanted<string>[] {
  return list.filter(
    ({ value }) =>
      !list.some(({ value: other }) => {
        if (other === value) return false;
        const [path, above] = [value, other].map((entry) => entry.replace(/^rw:/, ''));
        const mayWrite = other.startsWith('rw:') || !value.startsWith('rw:');
        return mayWrite && (path === above || path?.startsWith(`${above}/`) === true);
      }),
  );
}

/** Values, each with all that ask for it. */
class Lists {
  readonly #values = new Map<string, Set<string>>();

  add(value: string, because: readonly string[]): void {
    const reasons = this.#values.get(value) ?? new Set();
    for (const reason of because) reasons.add(reason);
    this.#values.set(value, reasons);
  }

  wanted(): readonly Wanted<string>[] {
    return [...this.#values].map(([value, because]) => ({ value, because: [...because] }));
  }
}
