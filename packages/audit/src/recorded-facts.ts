import type { RequestFacts } from '@kata-agent/gate';
import { clip } from './clip.js';
import type { RecordedFacts } from './record.js';

/** Characters of all texts of one record's facts, and of one text (UTF-16 units). */
const mostCharacters = 16_384;
const textLength = 512;
/** What a list's entry costs beside its texts: names of members, quotes. */
const entryCost = 48;

/** A value of the facts, whatever its name: texts, lists, and entries of lists. */
type Fact = string | number | boolean | readonly Fact[] | { readonly [name: string]: Fact };

/**
 * The facts of a request as they are written: a request may be as long as a frame, a record may not. What is left
 * out leaves the mark `cut`, so that nobody takes the rest for all.
 */
export function recordedFacts(facts: RequestFacts): RecordedFacts {
  const budget = new Budget();
  const kept = budget.members(facts as { readonly [name: string]: Fact });
  // Each member keeps its kind, so that what came in as facts goes out as facts.
  return (budget.cut ? { ...kept, cut: true } : kept) as unknown as RecordedFacts;
}

class Budget {
  #left = mostCharacters;
  cut = false;

  members(value: { readonly [name: string]: Fact | undefined }): { readonly [name: string]: Fact } {
    const kept = Object.entries(value).flatMap(([name, fact]) =>
      fact === undefined ? [] : [[name, this.#fact(fact)] as const],
    );
    return Object.fromEntries(kept);
  }

  #fact(fact: Fact): Fact {
    if (typeof fact === 'string') return this.#text(fact);
    if (isList(fact)) return this.#list(fact);
    return typeof fact === 'object' ? this.members(fact) : fact;
  }

  #text(text: string): string {
    const room = Math.min(textLength, Math.max(1, this.#left));
    if (text.length > room) this.cut = true;
    const kept = clip(text, room);
    this.#left -= kept.length;
    return kept;
  }

  #list(list: readonly Fact[]): readonly Fact[] {
    const kept: Fact[] = [];
    for (const fact of list) {
      if (this.#left < entryCost) {
        this.cut = true;
        break;
      }
      this.#left -= entryCost;
      kept.push(this.#fact(fact));
    }
    return kept;
  }
}

function isList(fact: Fact): fact is readonly Fact[] {
  return Array.isArray(fact);
}
