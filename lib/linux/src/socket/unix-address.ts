import { Buffer } from 'node:buffer';
import { Socket } from '../syscalls/constants.js';

/** The address of a unix socket: a path, or a name in the abstract namespace (unix(7)). */
export type UnixAddress =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'abstract'; readonly name: string };

const scheme = 'unix://';
/** sockaddr_un has 108 bytes; a path needs a terminating NUL, an abstract name a leading one. */
const maxBytes = 107;

/** Parses `unix:///absolute/path` or `unix://@abstract-name`. The error names the fault and the format. */
export function parseUnixAddress(text: string): UnixAddress {
  const refuse = (reason: string): never => {
    throw new Error(
      `unix address ${JSON.stringify(text)} ${reason}; expected unix:///path/of/socket or unix://@abstract-name`,
    );
  };
  if (!text.startsWith(scheme)) refuse(`does not start with ${scheme}`);
  const rest = text.slice(scheme.length);
  const abstract = rest.startsWith('@');
  const name = abstract ? rest.slice(1) : rest;
  if (name === '') refuse('has no name');
  if (!abstract && !name.startsWith('/')) refuse('has a path that is not absolute');
  if (name.includes('\0')) refuse('contains a NUL byte');
  const length = Buffer.byteLength(name);
  if (length > maxBytes)
    refuse(`has ${length} bytes after the scheme, more than the kernel's limit of ${maxBytes}`);
  return abstract ? { kind: 'abstract', name } : { kind: 'path', path: name };
}

/** Formats an address; parsing the result gives the same address. */
export function formatUnixAddress(address: UnixAddress): string {
  return address.kind === 'path' ? `${scheme}${address.path}` : `${scheme}@${address.name}`;
}

/**
 * Encodes struct sockaddr_un, exactly as long as the name. For an abstract name the length is significant: Kata's
 * clients use the exact length, while Node's `net` pads with zero bytes, which is a different name.
 */
export function unixSocketAddress(address: UnixAddress): Uint8Array {
  const name = address.kind === 'path' ? `${address.path}\0` : `\0${address.name}`;
  const text = Buffer.from(name);
  if (text.length > maxBytes + 1)
    throw new RangeError(
      `unix socket ${JSON.stringify(name)} has ${text.length - 1} bytes, more than the kernel's limit of ${maxBytes}`,
    );
  const result = Buffer.from(new ArrayBuffer(2 + text.length));
  result.writeUInt16LE(Socket.Unix, 0);
  result.set(text, 2);
  return result;
}
