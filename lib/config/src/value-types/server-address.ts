import { text } from './text.js';
import { printable } from './value-schema.js';
import type { ValueType } from './value-type.js';

// sun_path has 108 bytes: a path with its terminating NUL, or a leading NUL and an abstract name.
const longestUnixName = 107;

/**
 * Where the API is served: `vsock://CID:PORT` (-1: any local CID), `unix:///path`, or `unix://@name` for an abstract
 * name.
 */
export const serverAddress: ValueType<string> = text({
  name: 'address',
  pattern: `^(vsock://(-1|\\d{1,10}):[1-9]\\d{0,9}|unix://[/@]${printable()}+)$`,
  what: 'an address: "vsock://-1:1024", "unix:///run/kata-agent/agent.sock" or "unix://@name"',
  accept(text) {
    const vsock = /^vsock:\/\/(-1|\d{1,10}):(\d{1,10})$/.exec(text);
    if (vsock !== null)
      return fitsU32(vsock[1] === '-1' ? '0' : vsock[1]) && fitsU32(vsock[2]) && vsock[2] !== '0';
    const unix = /^unix:\/\/([/@][^\p{Cc}]+)$/u.exec(text);
    return unix?.[1] !== undefined && Buffer.byteLength(unix[1].replace(/^@/, '')) <= longestUnixName;
  },
});

function fitsU32(digits: string | undefined): boolean {
  return Number(digits) < 0xffff_ffff;
}
