import { create } from '@bufbuild/protobuf';
import {
  type CreateContainerRequest,
  DeviceSchema,
  type Storage,
  StorageSchema,
} from '@kata-agent/protocol/agent';
import { LinuxDeviceSchema } from '@kata-agent/protocol/oci';

/** The storage by which Kata's runtimes request an image that the guest pulls. */
export function guestPull(
  reference: string,
  mountPoint: string,
  metadata: Readonly<Record<string, string>>,
): Storage {
  return create(StorageSchema, {
    driver: 'image_guest_pull',
    driverOptions: [`image_guest_pull=${JSON.stringify({ metadata })}`],
    source: reference,
    fstype: 'overlay',
    mountPoint,
  });
}

/** Attaches a disk of the guest to a container, at a path of the container. */
export function addDisk({ devices, OCI }: CreateContainerRequest, disk: string, path: string): void {
  devices.push(create(DeviceSchema, { type: 'blk', vmPath: disk, containerPath: path }));
  const node = { Path: path, Type: 'b', Major: 259n, Minor: 7n, FileMode: 0o660 };
  OCI?.Linux?.Devices.push(create(LinuxDeviceSchema, node));
}
