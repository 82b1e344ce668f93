import { parsePeerEntries, PeerEntryError } from '@kata-agent/x509';
import { listOfTexts } from './list-of-texts.js';
import { expected, type Reading, read, type ValueType } from './value-type.js';

const what =
  'a list of "host", "any", "cid:N" and "uid:N", or at tls:// of "uri:…", "dns:…", "cn:…", "subject:…" and "spki:sha256:…" or only "*", not empty and each once';

/** Reports whether a peer is named by its certificate, as at `tls://`. */
export function isCertificatePeer(entry: string): boolean {
  return entry === '*' || /^(uri|dns|cn|subject|spki):/.test(entry);
}

function isPeer(text: string): boolean {
  if (text === 'host' || text === 'any') return true;
  const number = /^(?:cid|uid):(0|[1-9]\d{0,9})$/.exec(text)?.[1];
  return number !== undefined && Number(number) < 0xffff_ffff;
}

function fromTexts(texts: readonly string[]): Reading<readonly string[]> {
  const certificates = texts.filter(isCertificatePeer);
  try {
    parsePeerEntries(certificates);
  } catch (error) {
    if (!(error instanceof PeerEntryError)) throw error;
    return { ok: false, expected: what, found: `one with a wrong entry: ${error.message}`, help: error.help };
  }
  const fits =
    texts.length > 0 &&
    texts.every((text) => isPeer(text) || isCertificatePeer(text)) &&
    new Set(texts).size === texts.length;
  return fits ? read(texts) : expected(what);
}

/** The peers that may connect to a listener. */
export const peers: ValueType<readonly string[]> = listOfTexts({
  name: what,
  what,
  items: {
    type: 'string',
    pattern: '^(host|any|(cid|uid):(0|[1-9]\\d{0,9})|(uri|dns|cn|subject|spki):.+|\\*)$',
  },
  fromTexts,
});
