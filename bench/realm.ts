import { measureManyGuests } from './many-guests.js';
import { measureLinks } from './measure-links.js';
import type { Row } from './row.js';

/** Measures calls through a realm and over the other kinds of connections, and a realm with many guests. */
export async function measureRealm(program: string, quick: boolean): Promise<Row[]> {
  return [...(await measureLinks(program, quick)), ...(await measureManyGuests(quick))];
}
