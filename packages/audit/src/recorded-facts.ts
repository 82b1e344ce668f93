import type { RequestFacts } from '@kata-agent/gate';
import type { RecordedFacts } from './record.js';
import { Room } from './room.js';

/**
 * The facts of a request as they are written, and nothing but these. A request may be as long as a frame, a record may
 * not: what is left out leaves the mark `cut`, so that nobody takes the rest for all.
 */
export function recordedFacts(facts: RequestFacts): RecordedFacts {
  const room = new Room();
  const {
    command,
    arguments: args,
    environment,
    cwd,
    user,
    terminal,
    capabilities,
    mounts,
    storages,
    devices,
  } = facts;
  const { image, path, signal } = facts;
  const kept: RequestFacts = {
    ...(command !== undefined && { command: room.text(command) }),
    ...(cwd !== undefined && { cwd: room.text(cwd) }),
    ...(user !== undefined && { user: room.text(user) }),
    ...(terminal !== undefined && { terminal }),
    ...(image !== undefined && { image: room.text(image) }),
    ...(path !== undefined && { path: room.text(path) }),
    ...(signal !== undefined && { signal }),
    ...(args !== undefined && { arguments: room.list(args, (text) => room.text(text)) }),
    ...(environment !== undefined && { environment: room.list(environment, (name) => room.text(name)) }),
    ...(capabilities !== undefined && { capabilities: room.list(capabilities, (name) => room.text(name)) }),
    ...(mounts !== undefined && { mounts: room.list(mounts, (mount) => room.texts(mount)) }),
    ...(storages !== undefined && { storages: room.list(storages, (storage) => room.texts(storage)) }),
    ...(devices !== undefined && { devices: room.list(devices, (device) => room.texts(device)) }),
  };
  return room.cut ? { ...kept, cut: true } : kept;
}
