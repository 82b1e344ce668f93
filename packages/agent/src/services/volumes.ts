import * as perform from '@kata-agent/guest';
import { VolumeUsage_Unit } from '@kata-agent/protocol/csi';
import type { Handler } from './handler.js';
import { storage } from './storage.js';

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
