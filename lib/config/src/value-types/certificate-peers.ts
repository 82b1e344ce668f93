import { parsePeerEntries, PeerEntryError } from '@kata-agent/x509';
import { listOfTexts } from './list-of-texts.js';
import { expected, type Reading, read, type ValueType } from './value-type.js';

const what =
  'a list of "uri:…", "dns:…", "cn:…", "subject:…" and "spki:sha256:…", or only "*", not empty and each once';

/** Peers that certificates name: operators of a realm. */
export const certificatePeers: ValueType<readonly string[]> = listOfTexts({
  name: 'list of peers',
  what,
  items: { type: 'string', pattern: '^((uri|dns|cn|subject|spki):.+|\\*)$' },
  fromTexts: (texts): Reading<readonly string[]> => {
    try {
      parsePeerEntries(texts);
    } catch (error) {
      if (!(error instanceof PeerEntryError)) throw error;
      const found = `one with a wrong entry: ${error.message}`;
      return { ok: false, expected: what, found, help: error.help };
    }
    return texts.length > 0 && new Set(texts).size === texts.length ? read(texts) : expected(what);
  },
});
