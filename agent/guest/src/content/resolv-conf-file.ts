import { isIP } from 'node:net';
import { lineError, textLines, wordsOf } from './believed-text.js';

const file = '/etc/resolv.conf';

const domain = /^(\.|[A-Za-z0-9_]([A-Za-z0-9_.-]{0,253}[A-Za-z0-9_.])?)$/;

/** What may follow each keyword. */
const keywords: ReadonlyMap<string, (words: readonly string[]) => boolean> = new Map([
  ['nameserver', ([address = '', ...more]) => more.length === 0 && isNameserver(address)],
  ['domain', ([name = '', ...more]) => more.length === 0 && domain.test(name)],
  ['search', (names) => names.every((name) => domain.test(name))],
  ['sortlist', (pairs) => pairs.every((pair) => /^[0-9.]+(\/[0-9.]+)?$/.test(pair))],
  ['options', (options) => options.every(isOption)],
]);

/** Options of glibc and musl (resolv.conf(5)), but for `trust-ad`: a nameserver's statement that an answer is authentic comes from the host. */
const options: ReadonlySet<string> = new Set([
  'debug',
  'rotate',
  'no-check-names',
  'inet6',
  'ip6-bytestring',
  'ip6-dotint',
  'no-ip6-dotint',
  'edns0',
  'single-request',
  'single-request-reopen',
  'no-tld-query',
  'use-vc',
  'no-reload',
  'no-aaaa',
  'strict-error',
]);

function isOption(option: string): boolean {
  return options.has(option) || /^(ndots|timeout|attempts):[0-9]{1,3}$/.test(option);
}

function isNameserver(address: string): boolean {
  const [plain = '', zone, ...more] = address.split('%');
  return (
    more.length === 0 && isIP(plain) !== 0 && (zone === undefined || /^[A-Za-z0-9_.-]{1,15}$/.test(zone))
  );
}

/**
 * Checks a resolv.conf. Nameservers and domains are the host's to choose, as the network is.
 *
 * @throws GuestError `refused`, with the first line that is something else.
 */
export function checkResolvConf(bytes: Uint8Array): void {
  for (const line of textLines(bytes, file)) {
    if (/^[#;]/.test(line.text)) continue;
    const [keyword, ...words] = wordsOf(line.text);
    if (keyword === undefined) continue;
    // The resolvers look for keywords at the begin of a line.
    const isKnown = /^[a-z]/.test(line.text) && keywords.get(keyword)?.(words) === true;
    if (isKnown) continue;
    throw lineError(
      file,
      line,
      'it is not a nameserver, domain, search, sortlist or options that this agent knows',
      'write a line of resolv.conf(5); trust-ad is not one of the options, since the nameserver is the host’s',
    );
  }
}
