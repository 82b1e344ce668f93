import * as perform from '@kata-agent/guest';
import { VolumeUsage_Unit } from '@kata-agent/protocol/csi';
import { Code, TtrpcError } from '@kata-agent/ttrpc';
import { storage } from '../wire/storage.js';
import type { Handler } from './handler.js';

/** Converts an int64 into a number; throws if it is too large for a size or offset. */
function fileOffset(name: string, value: bigint): number {
  if (value < 0n || value > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new TtrpcError(Code.InvalidArgument, `${name} ${value}: not a position in a file`);
  }
  return Number(value);
}

export const copyFile: Handler<'copyFile'> = async ({ guest }, request) => {
  await perform.copyFile(guest, {
    path: request.path,
    fileSize: fileOffset('file_size', request.fileSize),
    fileMode: request.fileMode,
    dirMode: request.dirMode,
    uid: request.uid,
    gid: request.gid,
    offset: fileOffset('offset', request.offset),
    data: request.data,
  });
  return {};
};

export const updateEphemeralMounts: Handler<'updateEphemeralMounts'> = async ({ guest }, { storages }) => {
  await perform.updateEphemeralMounts(guest, storages.map(storage));
  return {};
};

export const removeStaleVirtiofsShareMounts: Handler<'removeStaleVirtiofsShareMounts'> = async ({
  guest,
}) => {
  await perform.touchSharedMounts(guest);
  return {};
};

export const getVolumeStats: Handler<'getVolumeStats'> = async ({ guest }, { volumeGuestPath }) => ({
  usage: (await perform.volumeStats(guest, volumeGuestPath)).map(({ unit, total, used, available }) => ({
    unit: unit === 'bytes' ? VolumeUsage_Unit.BYTES : VolumeUsage_Unit.INODES,
    total,
    used,
    available,
  })),
  volumeCondition: { abnormal: false, message: 'OK' },
});

export const resizeVolume: Handler<'resizeVolume'> = async ({ guest }, { volumeGuestPath, size }) => {
  await perform.resizeVolume(guest, volumeGuestPath, size);
  return {};
};
