import { GuestError } from '../../error/guest-error.js';
import type { StorageDriver } from './storage-driver.js';

/** The storage driver by which a runtime asks the guest to pull an image. */
export const guestPullDriver = 'image_guest_pull';

/** The root of a container that the guest pulls itself. It is mounted in the bundle (image/own-root.ts), and at no path of the request. */
export const imageGuestPull: StorageDriver = {
  name: guestPullDriver,
  ofPod: false,
  mountPoints: ['CID/rootfs'],
  prepare() {
    throw new GuestError('invalid', `storage driver ${guestPullDriver} is for the root of a container only`);
  },
};
