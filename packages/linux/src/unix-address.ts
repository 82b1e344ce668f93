import { Buffer } from 'node:buffer';
import { Socket } from './constants.js';

/** Where a unix socket listens: a file, or a name in the kernel's abstract namespace (unix(7)). */
export type UnixAddress =
  | { readonly kind: 'path'; readonly path: string }
  | { readonly kind: 'abstract'; readonly name: string };

const scheme = 'unix://';
/** sockaddr_un has 108 bytes; a path needs one for the NUL after it, an abstract name one for the NUL before it. */
const maxBytes = 107;

/** Reads `unix:///absolute/path` or `unix://@abstract-name`. The error names what is wrong and the form. */
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
  if (name.includes('\0')) refuse('holds a NUL byte');
  const length = Buffer.byteLength(name);
  if (length > maxBytes) refuse(`has ${length} bytes after the scheme, and the kernel takes ${maxBytes}`);
  return abstract ? { kind: 'abstract', name } : { kind: 'path', path: name };
}

/** The text that parses to this address. */
export function formatUnixAddress(address: UnixAddress): string {
  return address.kind === 'path' ? `${scheme}${address.path}` : `${scheme}@${address.name}`;
}

/**
 * struct sockaddr_un, as long as the name and no longer. For an abstract name the length is part of the name: Kata's
 * clients use the exact one, where Node's own `net` pads with zero bytes and so means another socket.
 */
export function unixSocketAddress(address: UnixAddress): Uint8Array {
  const name = address.kind === 'path' ? `${address.path}\0` : `\0${address.name}`;
  const text = Buffer.from(name);
  if (text.length > maxBytes + 1)
    throw new RangeError(
      `unix socket ${JSON.stringify(name)} has ${text.length - 1} bytes; the kernel takes ${maxBytes}`,
    );
  const result = Buffer.from(new ArrayBuffer(2 + text.length));
  result.writeUInt16LE(Socket.Unix, 0);
  result.set(text, 2);
  return result;
}
