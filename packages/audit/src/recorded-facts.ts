import type { RequestFacts } from '@kata-agent/gate';
import { clip } from './clip.js';
import type { RecordedFacts } from './record.js';

/** Characters of all lists of one record's facts, and of one text (UTF-16 units). */
const mostCharacters = 16_384;
const textLength = 512;
/** What a list's entry costs beside its texts: quotes, names of members. */
const entryCost = 48;

/**
 * The facts of a request as they are written, and nothing but these. A request may be as long as a frame, a record may
 * not: what is left out leaves the mark `cut`, so that nobody takes the rest for all.
 */
export function recordedFacts(facts: RequestFacts): RecordedFacts {
  const room = new Room();
  const { command, environment, cwd, user, terminal, capabilities, mounts, storages, devices } = facts;
  const { image, path, signal } = facts;
  const kept: RequestFacts = {
    ...(command !== undefined && { command: room.text(command) }),
    ...(cwd !== undefined && { cwd: room.text(cwd) }),
    ...(user !== undefined && { user: room.text(user) }),
    ...(terminal !== undefined && { terminal }),
    ...(image !== undefined && { image: room.text(image) }),
    ...(path !== undefined && { path: room.text(path) }),
    ...(signal !== undefined && { signal }),
    ...(environment !== undefined && { environment: room.list(environment, (name) => room.text(name)) }),
    ...(capabilities !== undefined && { capabilities: room.list(capabilities, (name) => room.text(name)) }),
    ...(mounts !== undefined && { mounts: room.list(mounts, (mount) => room.texts(mount)) }),
    ...(storages !== undefined && { storages: room.list(storages, (storage) => room.texts(storage)) }),
    ...(devices !== undefined && { devices: room.list(devices, (device) => room.texts(device)) }),
  };
  return room.cut ? { ...kept, cut: true } : kept;
}

/** How much may still be written. */
class Room {
  #left = mostCharacters;
  cut = false;

  text(text: string): string {
    if (text.length > textLength) this.cut = true;
    const kept = clip(text, textLength);
    this.#left -= kept.length;
    return kept;
  }

  texts<T extends Readonly<Record<keyof T, string>>>(texts: T): T {
    const kept = { ...texts };
    for (const name of Object.keys(texts) as (keyof T)[]) kept[name] = this.text(texts[name]) as T[keyof T];
    return kept;
  }

  list<T>(list: readonly T[], keep: (entry: T) => T): readonly T[] {
    const kept: T[] = [];
    for (const entry of list) {
      if (this.#left < entryCost) {
        this.cut = true;
        break;
      }
      this.#left -= entryCost;
      kept.push(keep(entry));
    }
    return kept;
  }
}
