import * as fc from 'fast-check';

/** Words whose meaning to iptables depends on their position. */
const pieces: readonly (readonly string[])[] = [
  ...['ACCEPT', 'TEE', 'DNAT', 'REDIRECT', 'TPROXY', 'own.chain', 'NEW', ''].flatMap((target) => [
    ['-j', target],
    [`-j${target}`],
    ['--jump', target],
    [`--jump=${target}`],
    [`--ju=${target}`],
    ['--j', target],
    ['-g', target],
    [`-fj${target}`],
    ['-fj', target],
    ['!', '-j', target],
    ['-j', '!', target],
  ]),
  ...['TEE', 'NEW', 'own.chain'].flatMap((name) => [
    ['-N', name],
    [`--new-chain=${name}`],
    ['--new', name],
    [`-N${name}`],
    ['-E', 'own.chain', name],
    ['-P', 'OUTPUT', name],
    ['-A', name],
  ]),
  ...['comment', 'tcp', 'TEE', '-j'].flatMap((match) => [['-m', match], [`-m${match}`], ['--mat', match]]),
  ['--comment'],
  ['--comment='],
  ['--com'],
  ['-m', 'comment', '--comment'],
  ['--gateway', '10.9.0.1'],
  ['--gateway=10.9.0.1'],
  ['--gat', '10.9.0.1'],
  ['--to-destination', '10.9.0.1'],
  ['--to-ports', '80'],
  ['--on-port', '80'],
  ['-p', 'tcp'],
  ['--proto', 'tcp'],
  ['--syn'],
  ['--tcp-flags', 'SYN', '-j'],
  ['-d', '127.0.0.0/8'],
  ['--dst=127.0.0.1'],
  ['-i', 'lo'],
  ['-4'],
  ['-6'],
  ['-c', '1', '2'],
  ['-M', 'x'],
  ['--mo=x'],
  ['-t', 'nat'],
  ['--'],
  ['-'],
  ['!'],
  ['x'],
];

/** Generates the spellings of a word in a line: plain, quoted, escaped, or with a quote in it. */
const spelled = (word: string): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 6, arbitrary: fc.constant(word === '' ? '""' : word) },
    { weight: 1, arbitrary: fc.constant(`"${word}"`) },
    { weight: 1, arbitrary: fc.constant(`"${word.replaceAll(/./g, '\\$&')}"`) },
    { weight: 1, arbitrary: fc.nat(word.length).map((at) => `${word.slice(0, at)}"${word.slice(at)}"`) },
  );

const line = (starts: readonly (readonly string[])[]): fc.Arbitrary<string> =>
  fc
    .tuple(fc.constantFrom(...starts), fc.array(fc.constantFrom(...pieces), { maxLength: 5 }))
    .chain(([start, rest]) => fc.tuple(...[...start, ...rest.flat()].map(spelled)))
    .chain((words) => fc.constantFrom(' ', '\t', '  ').map((space) => words.join(space)));

/** Generates input of iptables-restore in many forms, most of them invalid. */
export const filterTexts: fc.Arbitrary<string> = fc
  .record({
    table: fc.constantFrom('mangle', 'nat'),
    chains: fc.subarray([':own.chain - [0:0]', ':TEE - [0:0]', ':NEW - [0:0]', '-N NEW', '-N TEE']),
    lines: fc.array(
      line([
        ['-A', 'OUTPUT'],
        ['-A', 'PREROUTING'],
        ['-A', 'own.chain'],
        ['-I', 'OUTPUT', '1'],
        ['--append=OUTPUT'],
        ['-N'],
        ['-m', 'comment', '--comment'],
        ['[0:0]', '-A', 'OUTPUT'],
      ]),
      { minLength: 1, maxLength: 3 },
    ),
  })
  .map(({ table, chains, lines }) => [`*${table}`, ...chains, ...lines, 'COMMIT', ''].join('\n'));
