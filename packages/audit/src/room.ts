import { clip } from './clip.js';

/** Characters of all lists of one record's facts, and of one text (UTF-16 units). */
const mostCharacters = 16_384;
const textLength = 512;
/** What a list's entry costs beside its texts: quotes, names of members. */
const entryCost = 48;

/** How much of a request may still be written. */
export class Room {
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
