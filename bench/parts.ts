import { measureAgent } from './agent.js';
import { measureAuditTree } from './audit-tree.js';
import { measureBoot } from './boot.js';
import { bundledAgent } from './agent-program.js';
import { measureCalls } from './calls.js';
import { measureContainers } from './container.js';
import { measureContainerFlood } from './container-flood.js';
import { measureDecision } from './decision.js';
import { measureForward } from './forward.js';
import { goPrograms } from './go-programs.js';
import { measureGuestContainers } from './guest-container.js';
import { measureHostilePeers } from './hostile.js';
import { measureInstalledSize } from './installed-size.js';
import type { Part } from './part.js';
import { measurePull } from './pull.js';
import { measureRealm } from './realm.js';
import { measureRules } from './rules.js';
import { measureScale, type ScaleSize } from './scale.js';
import { measureStartup } from './startup.js';
import { measureTls } from './tls.js';
import { measureTlsFlood } from './tls-flood.js';
import { measureWaits } from './waits.js';

const go = ['golang-go', 'golang-github-containerd-ttrpc-dev', 'golang-google-protobuf-dev'];
const qemu = process.arch === 'arm64' ? 'qemu-system-arm' : 'qemu-system-x86';

interface Options {
  /** Fewer rounds. */
  readonly quick: boolean;
  /** Another agent beside which ours is measured. */
  readonly peer: string | undefined;
  readonly size: ScaleSize;
}

/** All parts, in order. Resources that two parts share are created on first use; if that fails, each of them fails. */
export function allParts({ quick, peer, size }: Options): readonly Part[] {
  return [
    { name: 'calls', needs: go, measure: () => measureCalls(goPrograms(), quick) },
    { name: 'decision', needs: [], measure: () => measureDecision(quick) },
    { name: 'audit-tree', needs: [], measure: () => measureAuditTree(quick) },
    { name: 'rules', needs: [], measure: () => measureRules(quick) },
    { name: 'startup', needs: [], measure: () => measureStartup(quick) },
    { name: 'installed-size', needs: [], measure: () => measureInstalledSize() },
    {
      name: 'container',
      needs: [...go, 'runc', 'crun', 'busybox-static'],
      measure: () => measureContainers({ go: goPrograms(), program: bundledAgent(), quick }),
    },
    {
      name: 'agent',
      needs: [...go, 'runc', 'crun', 'busybox-static'],
      measure: () => measureAgent({ go: goPrograms(), program: bundledAgent(), peer, quick }),
    },
    { name: 'hostile', needs: [], measure: () => measureHostilePeers(bundledAgent(), quick) },
    { name: 'forward', needs: go, measure: () => measureForward(bundledAgent(), goPrograms(), quick) },
    { name: 'tls', needs: [], measure: () => measureTls(bundledAgent(), quick) },
    { name: 'tls-flood', needs: [], measure: () => measureTlsFlood(bundledAgent(), quick) },
    {
      name: 'container-flood',
      needs: ['runc', 'busybox-static'],
      measure: () => measureContainerFlood(bundledAgent(), quick),
    },
    {
      name: 'pull',
      needs: ['docker-registry', 'skopeo', 'umoci', 'zstd'],
      measure: () => measurePull(quick),
    },
    { name: 'realm', needs: [], measure: () => measureRealm(bundledAgent(), quick) },
    {
      name: 'waits',
      needs: ['runc', 'busybox-static'],
      measure: () => measureWaits(bundledAgent(), quick),
    },
    {
      name: 'boot',
      needs: ['binutils', 'xz-utils', 'zstd', qemu, 'busybox-static'],
      measure: () => measureBoot(quick),
    },
    {
      name: 'guest-container',
      needs: ['binutils', 'xz-utils', 'zstd', qemu, 'busybox-static', 'e2fsprogs'],
      measure: () => measureGuestContainers(quick),
    },
    ...(['containers', 'streams', 'lives', 'calls'] as const).map((measurement) => ({
      name: `scale-${measurement}`,
      group: 'scale',
      needs: [...go, 'crun', 'busybox-static'],
      measure: () => measureScale(measurement, { go: goPrograms(), program: bundledAgent(), quick, size }),
    })),
  ];
}
