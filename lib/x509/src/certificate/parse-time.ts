import { CertificateError } from '../certificate-error.js';
import type { DerReader } from '../der/der-reader.js';
import { Tag } from '../der/tag.js';

/** Reads a UTCTime or GeneralizedTime with seconds and in UTC, as RFC 5280 demands; returns milliseconds of the epoch. */
export function readTime(reader: DerReader, what: string): number {
  const { tag, content } = reader.any(what);
  const text = Buffer.from(content).toString('latin1');
  const digits = tag === Tag.UtcTime ? `${utcCentury(text)}${text}` : text;
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(digits);
  if (match === null || (tag !== Tag.UtcTime && tag !== Tag.GeneralizedTime))
    throw new CertificateError('time', `${what} is not a valid time`);
  const [, year, month, day, hour, minute, second] = match;
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const milliseconds = Date.parse(iso);
  // Date.parse takes 31 February for 3 March.
  if (Number.isNaN(milliseconds) || new Date(milliseconds).toISOString() !== iso)
    throw new CertificateError('time', `${what} is not a valid time: ${text}`);
  return milliseconds;
}

/** RFC 5280, 4.1.2.5.1: 50 to 99 are of the last century. */
function utcCentury(text: string): string {
  return Number(text.slice(0, 2)) >= 50 ? '19' : '20';
}
