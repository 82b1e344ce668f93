import { fstatSync, readlinkSync } from 'node:fs';
import {
  createMappedDevice,
  Descriptor,
  detachMountHere,
  Directory,
  graftMount,
  hasCode,
  mount,
  Open,
  readFirstBlock,
  removeMappedDevice,
  type Syscalls,
  type TaskTools,
  unmountTree,
  visitNamespace,
} from '@kata-agent/linux';
import { hasSealedFile, readVolume } from '../confidential/sealed-files.js';
import { interfaceAddresses } from '../content/checked-files.js';
import { checkAccountFiles, checkKernelPlaces, hasRegularFile } from '../container/root-files.js';
import { refuseLinks } from '../container/refuse-links.js';
import { readTerminationMessage } from '../container/termination-message.js';
import { hasImages, openCrypt } from '../image/store/store-calls.js';
import { openDisk, openExclusively, scanScsi } from '../device/disk-calls.js';
import { readProgram } from '../image/program/read-program.js';
import { fileSystems } from '../metrics/file-systems.js';
import { configureLink } from '../network/interface-calls.js';
import { readLinks } from '../network/link-calls.js';
import { setNeighbours } from '../network/neighbour-calls.js';
import { onRtnetlink } from '../network/on-rtnetlink.js';
import { keepLocal, readRoutes, setRoutes } from '../network/route-calls.js';
import { atMountedVolume, atVolume, growFileSystem, volumeStats } from '../resource/volume-calls.js';
import { switchOn, switchOnAll } from '../resource/switch-on.js';
import { attachBelow, detachBelow } from '../source/attach-below.js';
import { resolveDestinations, resolvePlace } from '../source/destinations.js';
import { openSource } from '../source/open-source.js';
import { copyPodSource } from '../source/pod-source-copy.js';
import { readContent } from '../source/read-content.js';
import { copyFileHere } from '../storage/copy-file-here.js';
import { Mirror, MirroredFile, stateOf } from '../storage/drivers/mirror.js';
import { refuseSecondDevice } from '../storage/drivers/second-device.js';
import { verityTable } from '../storage/drivers/verity-table.js';
import { grantFsGroup } from '../storage/fs-group-grant.js';
import { openLayers } from '../storage/open-layers.js';
import {
  bindPlace,
  makeDirectories,
  mountDirectory,
  type MountedPlace,
  type OpenedPlace,
  parentPath,
  removeIfEmptyPlace,
  removeMade,
  touchMounts,
  unmountPlaceNow,
} from '../storage/place-calls.js';
import { removeAt, renameAt } from '../removal/remove-at.js';
import { type MediaTaskTable, withLentPaths } from '../media/host-media.js';

/**
 * All that the guest does with files, mounts and disks that the host serves (S42), and with network devices. The functions that they call are imported by no
 * other module of the agent (`npm run check`).
 */
export const mediaTasks: MediaTaskTable = {
  openSource: {
    run({ requested, rules }, { syscalls }) {
      const { descriptor, ...source } = openSource(requested, rules, syscalls);
      return { ...source, fd: descriptor.take() };
    },
    discard: ({ fd }, syscalls) => syscalls.close(fd),
  },
  readContent: { run: ({ limit, named }, tools) => readContent(lentAt(tools, 0), limit, named) },
  hasSealedFile: { run: (_, tools) => onBase(tools, hasSealedFile) },
  readVolume: {
    run: ({ named }, tools) => onBase(tools, (volume) => readVolume(volume, { ...tools, named })),
  },
  attributesOf: { run: (_, tools) => stateOf(fstatSync(lentAt(tools, 0).fd)) },
  checkKernelPlaces: { run: ({ rootfs, path }, { syscalls }) => checkKernelPlaces(rootfs, path, syscalls) },
  readProgram: {
    run: ({ root, requested, user }, { syscalls }) => readProgram(root, requested, user, syscalls),
  },
  hasRegularFile: { run: ({ rootfs, path }, { syscalls }) => hasRegularFile(rootfs, path, syscalls) },
  checkAccountFiles: {
    run: ({ rootfs, mounts }, { syscalls }) => checkAccountFiles(rootfs, mounts, syscalls),
  },
  resolveDestinations: {
    run: ({ mounts, places, root }, { syscalls }) => ({
      mounts: resolveDestinations(mounts, root, syscalls),
      places: places.map((destination) => resolvePlace(destination, root, syscalls)),
    }),
  },
  shareMount: {
    run({ from, to }, tools) {
      const namespace = (index: number): string => `/proc/self/fd/${lentAt(tools, index).fd}`;
      graftMount(
        tools.syscalls,
        { namespace: namespace(0), path: from },
        { namespace: namespace(1), path: to },
        tools.commit,
      );
    },
  },
  refuseLinks: { run: (refusal, { syscalls }) => refuseLinks(refusal, syscalls) },
  copyPodSource: { run: (copy, tools) => copyPodSource(copy, lentAt(tools, 0), tools.syscalls) },
  attachBelow: {
    run: (below, { syscalls }) => attachBelow(below, syscalls),
    discard({ tree, place, made }, syscalls) {
      const [mounted, outer] = [new Descriptor(syscalls, tree), new Descriptor(syscalls, place)];
      try {
        detachBelow(mounted, outer, made, syscalls);
      } finally {
        mounted.close();
        outer.close();
      }
    },
  },
  detachBelow: {
    run: ({ made }, tools) => detachBelow(lentAt(tools, 0), lentAt(tools, 1), made, tools.syscalls),
  },
  mountDirectory: {
    run: ({ place, calls }, tools) =>
      onBase(tools, (base) => ({
        kata: basePath(tools),
        place,
        made: mountDirectory(
          { base, place, syscalls: tools.syscalls },
          calls.map((call) => ({ ...call, data: withLentPaths(call.data, tools.lent) })),
        ),
      })),
    discard: discardMount,
  },
  bindPlace: {
    run: ({ place, bind }, tools) =>
      onBase(tools, (base) => ({
        kata: basePath(tools),
        place,
        made: bindPlace({ base, place, syscalls: tools.syscalls }, lentAt(tools, 1), bind),
      })),
    discard: discardMount,
  },
  remount: {
    run: ({ place, flags }, tools) =>
      onBase(tools, (base) => {
        const directory = base.directory(place);
        try {
          tools.commit();
          tools.syscalls.mount('', directory.path, '', flags, '');
        } finally {
          directory.close();
        }
      }),
  },
  openPlace: {
    run: ({ place }, tools) =>
      onBase(tools, (base) => {
        const made = makeDirectories({ base, place });
        return { fd: base.directory(place).take(), made };
      }),
    discard: discardOpened,
  },
  openFilePlace: {
    run: ({ place }, tools) =>
      onBase(tools, (base) => {
        const made = makeDirectories({ base, place: parentPath(place) });
        return { fd: base.file(place, Open.WriteOnly | Open.Create, 0o600).take(), made };
      }),
    discard: discardOpened,
  },
  makeDirectories: { run: ({ place }, tools) => onBase(tools, (base) => makeDirectories({ base, place })) },
  setAttributes: {
    run: ({ place, group, mode, added = 0 }, tools) =>
      onBase(tools, (base) => {
        const directory = base.directory(place);
        try {
          const before = base.stat(place)?.mode ?? 0o755;
          tools.commit();
          if (group !== undefined) base.changeOwner(place, -1, group);
          directory.changeMode(mode ?? (before & 0o7777) | added);
        } finally {
          directory.close();
        }
      }),
  },
  missingPlaces: {
    run: ({ places }, tools) =>
      onBase(tools, (base) => places.filter((place) => base.stat(place) === undefined)),
  },
  removeMade: {
    run: ({ kata, made }, { syscalls }) => inKata(kata, syscalls, (base) => removeMade(base, made)),
  },
  removeIfEmpty: {
    run: ({ kata, places }, { syscalls }) =>
      inKata(kata, syscalls, (base) => {
        for (const place of places) removeIfEmptyPlace(base, place);
      }),
  },
  unmountPlace: {
    run: ({ kata, place }, { syscalls }) =>
      inKata(kata, syscalls, (base) => unmountPlaceNow({ base, place, syscalls })),
  },
  removeAt: { run: (removal, { syscalls }) => removeAt(removal, syscalls) },
  renameAt: { run: ({ top, place, name }, { syscalls }) => renameAt(top, place, name, syscalls) },
  mount: {
    run(request, { syscalls, lent }) {
      const options = request.options.map((option) => withLentPaths(option, lent));
      mount(syscalls, { ...request, options });
      return { target: request.target };
    },
    discard: ({ target }, syscalls) => unmountPath(target, syscalls),
  },
  unmount: { run: ({ target }, { syscalls }) => unmountPath(target, syscalls) },
  unmountTree: { run: ({ directory }, { syscalls }) => unmountTree(syscalls, directory) },
  openLayers: {
    run: (layers, { syscalls }) => openLayers(layers, syscalls),
    discard({ lowers, upper, work }, syscalls) {
      for (const fd of [...lowers, upper, work]) syscalls.close(fd);
    },
  },
  openDisk: {
    run: ({ path }, { syscalls }) => openDisk(path, syscalls),
    discard: ({ fd }, syscalls) => syscalls.close(fd),
  },
  closeDisk: { run: ({ fd }, { syscalls }) => syscalls.close(fd) },
  openExclusively: { run: (_, tools) => openExclusively(lentAt(tools, 0)) },
  scanScsi: { run: ({ target, lun, sys }) => scanScsi(target, lun, sys) },
  switchOn: { run: ({ file }) => switchOn(file) },
  switchOnAll: { run: (wanted, { progress }) => switchOnAll(wanted, progress) },
  refuseSecondDevice: { run: ({ device, fstype }) => refuseSecondDevice(device, fstype) },
  mapVerity: {
    run: ({ control, name, disk, verity }, { syscalls }) => ({
      node: createMappedDevice(syscalls, control, name, verityTable(disk, verity)),
      control,
      name,
    }),
    discard: ({ control, name }, syscalls) => removeMappedDevice(syscalls, control, name),
  },
  openCrypt: {
    run: (device, { syscalls }) => openCrypt(device, syscalls),
    discard: ({ fd }, syscalls) => syscalls.close(fd),
  },
  hasImages: { run: ({ directory }) => hasImages(directory) },
  unmap: { run: ({ control, name }, { syscalls }) => removeMappedDevice(syscalls, control, name) },
  readFirstBlock: { run: ({ device, size }) => readFirstBlock(device, size) },
  flushDisk: { run: (_, tools) => tools.syscalls.flushBlockDevice(lentAt(tools, 0).fd) },
  swapOn: {
    run({ path }, { syscalls }) {
      syscalls.swapon(path);
      return { path };
    },
    discard: ({ path }, syscalls) => syscalls.swapoff(path),
  },
  swapOff: { run: ({ path }, { syscalls }) => syscalls.swapoff(path) },
  grantFsGroup: {
    run: async (grant, tools) => {
      const base = directoryOf(tools, 0);
      try {
        await grantFsGroup(grant, base, tools.syscalls, tools.progress);
      } finally {
        base.close();
      }
    },
  },
  mirrorDirectory: {
    run: async ({ state, limits }, tools) => {
      const [from, to] = [directoryOf(tools, 0), directoryOf(tools, 1)];
      try {
        const mirror = new Mirror(state);
        await mirror.update(from, to, limits, tools.commit);
        return mirror.state;
      } finally {
        from.close();
        to.close();
      }
    },
  },
  listMirror: {
    run: async (_, tools) => {
      const copy = directoryOf(tools, 0);
      try {
        const mirror = new Mirror();
        await mirror.adopt(copy);
        return mirror.state;
      } finally {
        copy.close();
      }
    },
  },
  mirrorFile: {
    run({ known, limits }, tools) {
      const file = new MirroredFile(lentAt(tools, 0), lentAt(tools, 1), known);
      file.update(limits, tools.commit);
      return file.known;
    },
  },
  copyFile: {
    run: ({ copy, kata }, { bytes, syscalls, commit }) =>
      copyFileHere({ ...copy, data: bytes }, { kata, syscalls, commit }),
  },
  volumeStats: {
    run: ({ path, rules }, { syscalls }) => atMountedVolume(path, { ...rules, syscalls }, volumeStats),
  },
  growFileSystem: { run: (volume, { syscalls }) => growFileSystem(volume, syscalls) },
  findVolume: {
    run: ({ path, kata }, { syscalls }) => atVolume(path, { syscalls, paths: { kata } }, () => undefined),
  },
  fileSystems: { run: ({ proc }) => fileSystems(proc) },
  touchMounts: { run: touchMounts },
  readLinks: { run: (_, { syscalls }) => onRtnetlink(syscalls, readLinks) },
  configureLink: {
    run: ({ index, wanted }, tools) =>
      onRtnetlink(tools.syscalls, (kernel) => configureLink(index, wanted, kernel, tools)),
  },
  readRoutes: { run: (_, { syscalls }) => onRtnetlink(syscalls, readRoutes) },
  setRoutes: {
    run: ({ routes }, tools) => onRtnetlink(tools.syscalls, (kernel) => setRoutes(routes, kernel, tools)),
  },
  setNeighbours: {
    run: ({ neighbours }, tools) =>
      onRtnetlink(tools.syscalls, (kernel) => setNeighbours(neighbours, kernel, tools)),
  },
  keepLocal: {
    run: ({ addresses }, { syscalls }) => onRtnetlink(syscalls, (kernel) => keepLocal(addresses, kernel)),
  },
  interfaceAddresses: {
    run: (_, { lent: [network], syscalls }) =>
      network === undefined
        ? interfaceAddresses()
        : visitNamespace(syscalls, 'net', network.fd, interfaceAddresses),
  },
  readTerminationMessage: {
    run: ({ id, terminationLog, kata }, { syscalls }) =>
      readTerminationMessage({ id, terminationLog }, { syscalls, paths: { kata } }),
  },
};

function lentAt({ lent }: TaskTools, index: number): Descriptor {
  const found = lent[index];
  if (found === undefined) throw new Error(`the task was lent no descriptor ${index}`);
  return found;
}

/** The caller closes it. */
function directoryOf(tools: TaskTools, index: number): Directory {
  return Directory.of(tools.syscalls, lentAt(tools, index).duplicate());
}

/** Runs a function with Kata's directory or another one, which is lent. */
function onBase<Result>(tools: TaskTools, use: (base: Directory) => Result): Result {
  const base = directoryOf(tools, 0);
  try {
    return use(base);
  } finally {
    base.close();
  }
}

function basePath(tools: TaskTools): string {
  return readlinkSync(`/proc/self/fd/${lentAt(tools, 0).fd}`);
}

function inKata<Result>(kata: string, syscalls: Syscalls, use: (base: Directory) => Result): Result {
  const base = Directory.open(syscalls, kata);
  try {
    return use(base);
  } finally {
    base.close();
  }
}

function discardMount({ kata, place, made }: MountedPlace, syscalls: Syscalls): void {
  inKata(kata, syscalls, (base) => {
    unmountPlaceNow({ base, place, syscalls });
    removeMade(base, made);
  });
}

function discardOpened({ fd }: OpenedPlace, syscalls: Syscalls): void {
  syscalls.close(fd);
}

function unmountPath(target: string, syscalls: Syscalls): void {
  try {
    detachMountHere(syscalls, target);
  } catch (error) {
    if (!hasCode(error, 'EINVAL', 'ENOENT')) throw error;
  }
}
