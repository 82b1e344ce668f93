// Prints results of JavaScript and Node.js functions that use ICU, and of a few others. The image build runs it
// with the reduced Node.js of a guest and with the complete one, and requires the same output.
import { createHash } from 'node:crypto';
import { domainToASCII, domainToUnicode } from 'node:url';
import { deflateSync } from 'node:zlib';

const everyCharacter = Array.from({ length: 0x110000 }, (_, code) => code)
  .filter((code) => code < 0xd800 || code > 0xdfff)
  .map((code) => String.fromCodePoint(code));
const texts = [
  'münchen',
  'ﬁ',
  'A\u030a',
  '\u1e9b\u0323',
  'İ',
  'ß',
  'Ω',
  '가',
  '👩‍👩‍👧',
  'zebra',
  'Äpfel',
  'apple',
  'Zulu',
  '10',
  '9',
];
const date = new Date(Date.UTC(2026, 10, 25, 15, 4, 5));

function digest(values) {
  return createHash('sha256').update(JSON.stringify(values)).digest('hex');
}

function matches(source, flags) {
  const pattern = new RegExp(source, flags);
  return digest(everyCharacter.filter((character) => pattern.test(character)));
}

function attempt(run) {
  try {
    return run();
  } catch (error) {
    return `${error.name} ${error.code ?? ''}`;
  }
}

const classes = [
  'Cc',
  'Cf',
  'Cs',
  'L',
  'Lu',
  'M',
  'N',
  'P',
  'Zl',
  'Zp',
  'Zs',
  'Emoji',
  'Emoji_Presentation',
  'Alphabetic',
];
const scripts = ['Latin', 'Cyrillic', 'Greek', 'Armenian', 'Cherokee', 'Han', 'Arabic'];

const results = {
  versions: process.versions,
  classes: classes.map((name) => matches(`^\\p{${name}}$`, 'u')),
  scripts: scripts.map((name) => matches(`^\\p{Script=${name}}$`, 'u')),
  unicodeSets: [
    matches('^[\\p{L}--[a-z]]$', 'v'),
    matches('^\\p{RGI_Emoji}$', 'v'),
    matches('^[a-zß-ſ]$', 'iu'),
  ],
  caseInsensitive: [matches('^[\\u{10400}-\\u{1044f}ǅς]$', 'iu')],
  upper: digest(everyCharacter.map((character) => character.toUpperCase())),
  lower: digest(everyCharacter.map((character) => character.toLowerCase())),
  normalized: ['NFC', 'NFD', 'NFKC', 'NFKD'].map((form) =>
    digest(everyCharacter.map((character) => character.normalize(form))),
  ),
  url: ['https://münchen.de', 'https://例え.テスト/ä?ö#ü', 'http://xn--n3h.example', 'http://a\u00adb/'].map(
    (url) => attempt(() => new URL(url).href),
  ),
  domains: texts.map((text) => [domainToASCII(text), domainToUnicode(domainToASCII(text))]),
  decoders: ['utf-8', 'utf-16le', 'latin1'].map((label) =>
    attempt(() => new TextDecoder(label, { fatal: true }).decode(Buffer.from('grüße'))),
  ),
  invalidUtf8: attempt(() => new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from([0x61, 0xff]))),
  buffers: ['utf8', 'latin1', 'utf16le', 'ascii'].map((encoding) =>
    Buffer.from('grüße', encoding).toString('hex'),
  ),
  numbers: new Intl.NumberFormat('en').format(1234567.891),
  currency: new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR' }).format(1234.5),
  localeStrings: [(1234567.891).toLocaleString(), (12n ** 30n).toLocaleString('en')],
  dates: [
    new Intl.DateTimeFormat('en', { dateStyle: 'full', timeStyle: 'long', timeZone: 'UTC' }).format(date),
    date.toLocaleString('en', { timeZone: 'Europe/Berlin' }),
    date.toString(),
  ],
  plurals: [1, 2, 3].map((count) => new Intl.PluralRules('en', { type: 'ordinal' }).select(count)),
  collation: [
    texts.toSorted((a, b) => a.localeCompare(b)),
    texts.toSorted(new Intl.Collator('en', { numeric: true }).compare),
  ],
  resolvedOptions: new Intl.DateTimeFormat().resolvedOptions(),
  compressed: deflateSync('kata'.repeat(100)).toString('hex'),
  webAssembly: WebAssembly.validate(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0])),
  syntaxError: attempt(() => JSON.parse('{')),
};
process.stdout.write(`${JSON.stringify(results, null, 1)}\n`);
