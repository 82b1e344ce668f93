/** A value of a generated document, with the comment that names the field of the pod. */
interface Entry {
  readonly value: string;
  readonly origin: string;
  /** Of the values of a pod: what has it, a container or the pod. Without it, the origin tells equal values apart. */
  readonly owner?: string;
}

/** A list of the document, or the condition of a rule. */
interface Part {
  readonly entries: Entry[];
  /** Lines that are neither entries nor comments. */
  readonly others: string[];
}

/**
 * Returns how a generated document differs from another one, in words: the field of the pod, what it gave before and what it gives now.
 * Both are of `renderPlan` or `renderDelivered`, whose lines name the fields. Empty: they allow the same for the same reasons.
 */
export function generatedChanges(before: string, after: string): readonly string[] {
  const [old, now] = [partsOf(before), partsOf(after)];
  const names = [...new Set([...old.keys(), ...now.keys()])];
  const fields = names.flatMap((name) =>
    fieldChanges(old.get(name)?.entries ?? [], now.get(name)?.entries ?? []),
  );
  // Other rules repeat the values of fields.
  const fieldValues = new Set(
    [...old.values(), ...now.values()].flatMap(({ entries }) =>
      entries.flatMap(({ value }) => literalsOf([value])),
    ),
  );
  const conditions = names.flatMap((name) =>
    changeText(
      name,
      ...differences(
        literalsOf(old.get(name)?.others ?? []),
        literalsOf(now.get(name)?.others ?? []),
        fieldValues,
      ),
    ),
  );
  const found = [...new Set([...fields, ...conditions])];
  if (found.length > 0) return found;
  const others = names.filter(
    (name) => old.get(name)?.others.join('\n') !== now.get(name)?.others.join('\n'),
  );
  return others.map((name) => `${name}: another condition`);
}

function fieldChanges(old: readonly Entry[], now: readonly Entry[]): readonly string[] {
  const removed = old.filter((entry) => !now.some((other) => isSame(entry, other)));
  const added = now.filter((entry) => !old.some((other) => isSame(entry, other)));
  const valuesOf = (entries: readonly Entry[], origin: string): readonly string[] =>
    entries.filter((entry) => entry.origin === origin).map(({ value }) => value);
  return [...new Set([...removed, ...added].map(({ origin }) => origin))].flatMap((origin) =>
    changeText(origin, valuesOf(removed, origin), valuesOf(added, origin)),
  );
}

function isSame(one: Entry, other: Entry): boolean {
  if (one.value !== other.value || one.owner !== other.owner) return false;
  return one.owner !== undefined || one.origin === other.origin;
}

function literalsOf(lines: readonly string[]): readonly string[] {
  return [
    ...new Set(lines.flatMap((line) => [...line.matchAll(/"(?:[^"\\]|\\.)*"/g)].map(([text]) => text))),
  ];
}

function differences(
  old: readonly string[],
  now: readonly string[],
  fieldValues: ReadonlySet<string>,
): readonly [removed: readonly string[], added: readonly string[]] {
  return [
    old.filter((text) => !now.includes(text) && !fieldValues.has(text)),
    now.filter((text) => !old.includes(text) && !fieldValues.has(text)),
  ];
}

/** `containers[0].args: "120" → "121"`. */
function changeText(name: string, removed: readonly string[], added: readonly string[]): readonly string[] {
  const [old] = removed;
  const [now] = added;
  if (removed.length === 1 && added.length === 1) return [`${name}: ${old} → ${now}`];
  return [
    ...removed.map((value) => `${name}: no longer ${value}`),
    ...added.map((value) => `${name}: now ${value}`),
  ];
}

/** The parts of a document by the names of their keys and rules. */
function partsOf(document: string): ReadonlyMap<string, Part> {
  const parts = new Map<string, Part>();
  const partOf = (name: string): Part => {
    const part = parts.get(name) ?? { entries: [], others: [] };
    parts.set(name, part);
    return part;
  };
  const values = new ValuesReader();
  let name = '';
  let above = '';
  for (const line of document.split('\n')) {
    if (tableLine.test(line)) name = line;
    if (values.enter(line)) {
      const found = values.read(line);
      if (found !== undefined) partOf(found.key).entries.push(found);
      continue;
    }
    const [, named] = /^name = "(.+)"$/.exec(line) ?? [];
    const [, key] = /^([a-z_]+) = /.exec(line) ?? [];
    if (named !== undefined) name = named;
    else if (key !== undefined && !ruleKeys.has(key)) name = key;
    const part = partOf(name);
    const [, comment] = /^\s*(?:#|\/\/) (.*)$/.exec(line) ?? [];
    const [, value, origin] = /^\s+("(?:[^"\\]|\\.)*"|\[.*\]),?\s*(?:#|\/\/) (.*)$/.exec(line) ?? [];
    const [, plain] = /^\s+("(?:[^"\\]|\\.)*"|\[.*\]),?$/.exec(line) ?? [];
    if (value !== undefined && origin !== undefined) part.entries.push({ value, origin });
    else if (plain !== undefined && above !== '') part.entries.push({ value: plain, origin: above });
    else if (comment === undefined && line !== '') part.others.push(line);
    // A long value has its origin on the line above.
    above = comment ?? '';
  }
  return parts;
}

const tableLine = /^\[\[?[a-z.]+\]?\]$/;

const ruleKeys: ReadonlySet<string> = new Set(['endpoints', 'expression', 'message']);

/** Reads the values of a pod, `[api.values]` and its tables, line by line: each with the comment that names its field. */
class ValuesReader {
  #isInside = false;
  /** `container app`; empty: the pod itself. */
  #owner = '';
  #key = '';
  /** Of the next values: a comment is for all elements of a list up to the next comment. */
  #origin: string | undefined;
  /** The lines of an element that has not ended. */
  #element: string[] = [];
  #depth = 0;

  /** Reports whether a line is in the values. */
  enter(line: string): boolean {
    if (!tableLine.test(line)) return this.#isInside;
    this.#isInside = /^\[\[?api\.values/.test(line);
    this.#owner = '';
    this.#origin = undefined;
    return this.#isInside;
  }

  /** Returns the value that ends with a line. */
  read(line: string): (Entry & { readonly key: string }) | undefined {
    const [, comment] = /^\s*# (.*)$/.exec(line) ?? [];
    if (comment !== undefined) this.#origin = comment;
    if (comment !== undefined || line === '' || tableLine.test(line)) return undefined;
    return this.#depth === 0 ? this.#readKey(line) : this.#readElement(line.trim());
  }

  #readKey(line: string): (Entry & { readonly key: string }) | undefined {
    const [, key = '', value = ''] = /^([a-z_]+) = (.*)$/.exec(line) ?? [];
    this.#key = key;
    this.#depth = depthOf(value);
    if (this.#depth > 0) return undefined;
    const origin = this.#origin;
    this.#origin = undefined;
    if (key !== 'name') return this.#entry(value, origin);
    this.#owner = value === '""' ? 'the pause container' : `container ${JSON.parse(value) as string}`;
    return undefined;
  }

  #readElement(line: string): (Entry & { readonly key: string }) | undefined {
    this.#depth += depthOf(line);
    if (this.#depth > 0) this.#element.push(line);
    else this.#origin = undefined;
    if (this.#depth !== 1) return undefined;
    const value = joined(this.#element);
    this.#element = [];
    return this.#entry(value, this.#origin);
  }

  #entry(value: string, origin: string | undefined): Entry & { readonly key: string } {
    const named = this.#owner === '' ? this.#key : `${this.#owner}, ${this.#key}`;
    return { key: this.#key, value, origin: origin ?? named, owner: this.#owner };
  }
}

/** How many brackets a line opens, less those that it closes. */
function depthOf(line: string): number {
  const signs = line.replaceAll(/"(?:[^"\\]|\\.)*"/g, '');
  return signs.replaceAll(/[^[{]/g, '').length - signs.replaceAll(/[^\]}]/g, '').length;
}

/** An element on one line: `["sh", "-c"],` of the lines `[`, `"sh",`, `"-c",` and `],`. */
function joined(lines: readonly string[]): string {
  let text = '';
  for (const line of lines) {
    if (/^[\]}]/.test(line)) text = text.replace(/,$/, '') + line;
    else text += text === '' || /[[{]$/.test(text) ? line : ` ${line}`;
  }
  return text.replace(/,$/, '');
}
