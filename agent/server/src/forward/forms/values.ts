/** A name that the runtimes give to a file, a volume or a container: one component of a path (S8). */
const name = /^[A-Za-z0-9_][A-Za-z0-9_.=@:~+-]{0,254}$/;

/** A container id: that of this project (S8), with at least two characters as Kata's `verify_id` requires. */
const containerId = /^[A-Za-z0-9][A-Za-z0-9_.-]{1,127}$/;

/** An exec id. */
const execId = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;
const hostname = /^[A-Za-z0-9_.-]{0,255}$/;

/** A PCI path of Kata: slots of bridges and a function, `02/01`, with the root bus before it: `10/02/01.1`. */
const pciPath = /^(?:[0-9a-f]{2}\/)?[0-9a-f]{2}(?:\.[0-7])?(?:\/[0-9a-f]{2}(?:\.[0-7])?)*$/;

/** Uid and gid of chown(2) and setresuid(2) that mean "unchanged". */
const noId = 2 ** 32 - 1;

export function isName(text: string): boolean {
  return name.test(text);
}

export function isPciPath(text: string): boolean {
  return text.length <= 128 && pciPath.test(text);
}

/** Directories of Kata's agent below /run/kata-containers, where a container of that name would have its bundle. */
const reservedIds: ReadonlySet<string> = new Set(['shared', 'sandbox', 'image', 'virtual-volumes']);

export function checkContainerId(id: string): void {
  if (!containerId.test(id))
    throw malformed('container_id', `${quoted(id)} is not an id of 2 to 128 of A-Z a-z 0-9 _ . -`);
  if (reservedIds.has(id))
    throw refused(
      'container_id',
      `${quoted(id)} is a directory of the inner agent`,
      'use the id of the container',
    );
}

export function checkExecId(id: string, container: string): void {
  if (!execId.test(id)) throw malformed('exec_id', `${quoted(id)} is not an id`);
  if (id === container)
    throw refused(
      'exec_id',
      `${quoted(id)} is the id of the container: the inner agent would take the exec for its first process`,
      'give the exec an id of its own',
    );
}

export function checkHostname(field: string, text: string): void {
  if (!hostname.test(text)) throw malformed(field, `${quoted(text)} is not a host name`);
}

/**
 * Checks an absolute path without `.`, `..`, empty names, a slash at the end and control characters: rules compare paths as text,
 * and the inner agent passes them to the kernel.
 */
export function checkCleanPath(field: string, path: string): void {
  const isClean =
    path.startsWith('/') &&
    path.length <= 4_095 &&
    (path === '/' ||
      path
        .slice(1)
        .split('/')
        .every((part) => part !== '' && part !== '.' && part !== '..'));
  if (!isClean || hasControl(path))
    throw malformed(field, `${quoted(path)} is not a clean absolute path`, 'write it without . and ..');
}

/** Control characters end a text in C, and a line in files that the inner agent writes. */
export function hasControl(text: string): boolean {
  for (const character of text) if (character < ' ' || character === '\x7f') return true;
  return false;
}

export function checkText(field: string, text: string): void {
  if (text.includes('\0')) throw malformed(field, `${quoted(text)} has a zero byte`);
}

/** Checks a number that Kata's agent converts to a smaller type. */
export function checkRange(field: string, value: number | bigint, min: number, max: number | bigint): void {
  if (value < min || value > max)
    throw malformed(field, `${value} is not from ${min} to ${max}, the numbers that both agents have`);
}

export function checkId(field: string, id: number): void {
  if (id === noId) throw malformed(field, `${id} means "unchanged" to the kernel`);
}

/** Checks that no two values are the same. */
export function checkDistinct(field: string, values: readonly string[]): void {
  const twice = values.find((value, index) => values.indexOf(value) !== index);
  if (twice !== undefined) throw malformed(field, `${quoted(twice)} is named twice`);
}

/** The most mounts, storages or devices of a container: each is a step of the inner agent (S17). */
const maxParts = 256;

export function checkCount(field: string, all: readonly unknown[]): void {
  if (all.length > maxParts)
    throw malformed(field, `it has ${all.length} entries, and the limit is ${maxParts}`);
}

/**
 * Why a request is not forwarded: a part of it is not one that Kata's runtimes send, or Kata's agent reads it otherwise than the
 * rules did. `malformed` becomes INVALID_ARGUMENT: no agent could carry it out as written. `refused` becomes PERMISSION_DENIED,
 * and `unserved` UNIMPLEMENTED.
 */
export class NotAlike extends Error {
  override readonly name = 'NotAlike';
  readonly kind: 'malformed' | 'refused' | 'unserved';

  constructor(kind: NotAlike['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

/** @param field the field of the request: `OCI.Mounts[2].options` */
export function malformed(field: string, why: string, help?: string): NotAlike {
  return new NotAlike('malformed', sentence(field, why, help));
}

export function refused(field: string, why: string, help?: string): NotAlike {
  return new NotAlike('refused', sentence(field, why, help));
}

function sentence(field: string, why: string, help: string | undefined): string {
  return `${field}: ${why}${help === undefined ? '' : `; help: ${help}`}`;
}

/** Returns a text in quotes, cut at 100 characters. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
