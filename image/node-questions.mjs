// What a guest's Node.js is asked when an image is made, and the whole one too: both have to say the same. Whatever comes
// out of ICU that the agent, its libraries, or Node.js itself could want.
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

function attempt(make) {
  try {
    return make();
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

const answers = {
  versions: process.versions,
  classes: classes.map((name) => matches(`^\\p{${name}}$`, 'u')),
  scripts: scripts.map((name) => matches(`^\\p{Script=${name}}$`, 'u')),
  sets: [matches('^[\\p{L}--[a-z]]$', 'v'), matches('^\\p{RGI_Emoji}$', 'v'), matches('^[a-zß-ſ]$', 'iu')],
  ignoringCase: [matches('^[\\u{10400}-\\u{1044f}ǅς]$', 'iu')],
  upper: digest(everyCharacter.map((character) => character.toUpperCase())),
  lower: digest(everyCharacter.map((character) => character.toLowerCase())),
  normal: ['NFC', 'NFD', 'NFKC', 'NFKD'].map((form) =>
    digest(everyCharacter.map((character) => character.normalize(form))),
  ),
  url: ['https://münchen.de', 'https://例え.テスト/ä?ö#ü', 'http://xn--n3h.example', 'http://a\u00adb/'].map(
    (url) => attempt(() => new URL(url).href),
  ),
  domains: texts.map((text) => [domainToASCII(text), domainToUnicode(domainToASCII(text))]),
  decoders: ['utf-8', 'utf-16le', 'latin1'].map((label) =>
    attempt(() => new TextDecoder(label, { fatal: true }).decode(Buffer.from('grüße'))),
  ),
  refused: attempt(() => new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from([0x61, 0xff]))),
  buffers: ['utf8', 'latin1', 'utf16le', 'ascii'].map((encoding) =>
    Buffer.from('grüße', encoding).toString('hex'),
  ),
  numbers: new Intl.NumberFormat('en').format(1234567.891),
  money: new Intl.NumberFormat('en', { style: 'currency', currency: 'EUR' }).format(1234.5),
  plain: [(1234567.891).toLocaleString(), (12n ** 30n).toLocaleString('en')],
  dates: [
    new Intl.DateTimeFormat('en', { dateStyle: 'full', timeStyle: 'long', timeZone: 'UTC' }).format(date),
    date.toLocaleString('en', { timeZone: 'Europe/Berlin' }),
    date.toString(),
  ],
  plurals: [1, 2, 3].map((count) => new Intl.PluralRules('en', { type: 'ordinal' }).select(count)),
  order: [
    texts.toSorted((a, b) => a.localeCompare(b)),
    texts.toSorted(new Intl.Collator('en', { numeric: true }).compare),
  ],
  zone: new Intl.DateTimeFormat().resolvedOptions(),
  compressed: deflateSync('kata'.repeat(100)).toString('hex'),
  module: WebAssembly.validate(new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0])),
  thrown: attempt(() => JSON.parse('{')),
};
process.stdout.write(`${JSON.stringify(answers, null, 1)}\n`);
