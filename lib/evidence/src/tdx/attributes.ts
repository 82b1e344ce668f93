import { allZero, toHex } from '../bytes/hex.js';
import type { TdReport } from './td-report.js';

/** TDATTRIBUTES (Intel TDX module specification): bits 0 to 7 end the trust, 8 to 31 can affect security, the rest cannot. */
const Bit = {
  debug: 1n << 0n,
  icssd: 1n << 16n,
  lass: 1n << 27n,
  septVeDisable: 1n << 28n,
  migratable: 1n << 29n,
  pks: 1n << 30n,
  keyLocker: 1n << 31n,
} as const;

const untrusted = 0xffn;
const security = 0xffff_ff00n;
const knownSecurity = Bit.icssd | Bit.lass | Bit.septVeDisable | Bit.migratable | Bit.pks | Bit.keyLocker;

/** Returns why no guest with these attributes is believed; undefined if it may be. */
export function attributesFault({ tdAttributes, mrServiceTd }: TdReport): string | undefined {
  const text = attributesText(tdAttributes);
  if ((tdAttributes & Bit.debug) !== 0n)
    return `the attributes ${text} have DEBUG: the host can read and write the guest's memory`;
  if ((tdAttributes & untrusted) !== 0n) return `the attributes ${text} let the host profile the guest`;
  if ((tdAttributes & Bit.septVeDisable) === 0n)
    return `the attributes ${text} do not have SEPT_VE_DISABLE: the host can inject exceptions by removing pages`;
  if ((tdAttributes & Bit.migratable) !== 0n)
    return `the attributes ${text} have MIGRATABLE: a service TD can move the guest`;
  if ((tdAttributes & security & ~knownSecurity) !== 0n)
    return `the attributes ${text} have unknown security bits`;
  if (mrServiceTd !== undefined && !allZero(mrServiceTd))
    return `a service TD is bound to the guest (MRSERVICETD ${toHex(mrServiceTd)})`;
  return undefined;
}

export function attributesText(attributes: bigint): string {
  return `0x${attributes.toString(16)}`;
}

/** Returns why the TDX module is not one that Intel signed; undefined if it is. Intel's own modules have zeros. */
export function moduleSignerFault({ mrSignerSeam, seamAttributes }: TdReport): string | undefined {
  if (!allZero(mrSignerSeam)) return `the TDX module is signed by ${toHex(mrSignerSeam)}, not by Intel`;
  return allZero(seamAttributes) ? undefined : `SEAMATTRIBUTES are ${toHex(seamAttributes)}, not zero`;
}
