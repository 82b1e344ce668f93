import { managementMethods, operatorVerbs } from '@kata-agent/catalogue';
import {
  boolean,
  certificatePeers,
  endpointList,
  type EntryKey,
  type EntryKeyRow,
  entryName,
  expected,
  integer,
  listOfTexts,
  pins,
  read,
  type Reading,
  release,
  verbList,
} from '@kata-agent/config/entries';

const configurationsText = 'a list of digests sha256: and 64 hex digits, not empty and each once, or ["*"]';

const configurations = listOfTexts({
  name: 'list of digests',
  what: configurationsText,
  items: { type: 'string', pattern: '^(\\*|sha256:[0-9a-f]{64})$' },
  fromTexts: (texts): Reading<readonly string[]> => {
    const digests = texts.every((text) => /^sha256:[0-9a-f]{64}$/.test(text));
    const fits = texts.join() === '*' || (digests && isSet(texts));
    return fits
      ? read(texts)
      : expected(configurationsText, 'kata-agent-ctl config digest prints the digest');
  },
});

const guestsText = 'a list of names of guests, whose last character can be *, not empty and each once';

const guests = listOfTexts({
  name: 'list of guests',
  what: guestsText,
  items: { type: 'string', pattern: '^(\\*|[A-Za-z0-9][A-Za-z0-9_.-]{0,76}\\*?)$' },
  fromTexts: (texts): Reading<readonly string[]> => {
    const valid = texts.every((text) => /^(\*|[A-Za-z0-9][A-Za-z0-9_.-]{0,76}\*?)$/.test(text));
    return valid && isSet(texts)
      ? read(texts)
      : expected(guestsText, '* has a meaning at the end only: "batch-*"');
  },
});

function isSet(texts: readonly string[]): boolean {
  return texts.length > 0 && new Set(texts).size === texts.length;
}

type Row = Pick<EntryKey<unknown>, 'key' | 'type' | 'required' | 'purpose' | 'example' | 'otherwise'>;

function rows(table: 'guest' | 'operator', given: readonly Row[]): readonly EntryKeyRow[] {
  return given.map((row) => ({ ...row, table, later: true, built: 'yes' }));
}

/** The keys of `[[guest]]`. */
export const guestKeys: readonly EntryKeyRow[] = rows('guest', [
  {
    key: 'name',
    type: entryName,
    required: true,
    purpose: 'the name of the guests that the entry accepts',
    example: '"web"',
    otherwise: '',
  },
  {
    key: 'configurations',
    type: configurations,
    required: false,
    purpose: 'digests of configurations, of which a guest must have one',
    example: '["sha256:…"]',
    otherwise: 'by keys alone',
  },
  {
    key: 'keys',
    type: pins,
    required: false,
    purpose: 'keys, of which a guest must have one',
    example: '["spki:sha256:…"]',
    otherwise: 'any key',
  },
  {
    key: 'max',
    type: integer({ min: 1, max: 10_000, what: 'a number of guests' }),
    required: false,
    purpose: 'how many such guests can be connected at once',
    example: '1',
    otherwise: '1',
  },
  {
    key: 'attested',
    type: boolean,
    required: false,
    purpose: 'whether a guest must be attested for this entry, also with --allow-unattested',
    example: 'true',
    otherwise: 'as kata-realm serve demands',
  },
]);

/** The keys of `[[operator]]`. */
export const operatorKeys: readonly EntryKeyRow[] = rows('operator', [
  {
    key: 'peers',
    type: certificatePeers,
    required: true,
    purpose: 'who the operators are, as in peers of a listener',
    example: '["uri:spiffe://example/ops/alice"]',
    otherwise: '',
  },
  {
    key: 'guests',
    type: guests,
    required: true,
    purpose: 'the guests that the entry is about',
    example: '["web", "batch-*"]',
    otherwise: '',
  },
  {
    key: 'verbs',
    type: verbList(operatorVerbs),
    required: true,
    purpose: 'what the operators may do with them',
    example: '["list", "connect"]',
    otherwise: '',
  },
  {
    key: 'methods',
    type: endpointList,
    required: false,
    purpose: `what connect may call where the relay is trusted: methods and groups of AgentService, and ${managementMethods.join(', ')}`,
    example: '["@exec", "Describe"]',
    otherwise: 'no call where the relay is trusted',
  },
  {
    key: 'release',
    type: release,
    required: false,
    purpose: 'the release of Kata to which groups and "*" in methods are limited',
    example: '"3.21"',
    otherwise: 'methods must name each method',
  },
]);
