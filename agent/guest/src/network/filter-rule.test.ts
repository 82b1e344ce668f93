import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runs, timesSeen } from '@kata-agent/base/testing';
import * as fc from 'fast-check';
import { filterTexts } from '../testing/filter-lines.js';
import { isChainName, parseRule } from './filter-rule.js';
import { type FilterTable, parseFilterText } from './filter-text.js';
import { checkedFilter } from './packet-filter.js';

const under = (privileged: 'refuse' | 'allow', rules: string): string =>
  Buffer.from(checkedFilter('v4', Buffer.from(rules, 'latin1'), { privileged })).toString('latin1');
const ruleOf = (words: string): ReturnType<typeof parseRule> =>
  parseRule({ line: 3, counters: '', words: words.split(' ') });

test('a rule is parsed to its chain and options with their values', () => {
  assert.deepEqual(ruleOf('-A INPUT -p tcp ! --tcp-flags SYN,ACK SYN --src=10.0.0.1 --jump ACCEPT'), {
    chain: 'INPUT',
    options: [
      { name: 'protocol', values: ['tcp'] },
      { name: 'tcp-flags', values: ['SYN,ACK', 'SYN'] },
      { name: 'source', values: ['10.0.0.1'] },
      { name: 'jump', values: ['ACCEPT'] },
    ],
  });
  assert.deepEqual(ruleOf('--insert INPUT 1 -m recent --set --name=-x'), {
    chain: 'INPUT',
    options: [
      { name: 'match', values: ['recent'] },
      { name: 'set', values: [] },
      { name: 'name', values: ['-x'] },
    ],
  });
});

test('commands other than -A and -I, and a second command in a rule, are refused', () => {
  for (const command of [
    '-X',
    '-F INPUT',
    '-D INPUT 1',
    '-R INPUT 1',
    '-E a b',
    '-P INPUT DROP',
    '-Z',
    '--new TEE',
  ])
    assert.throws(() => ruleOf(command), { kind: 'refused', message: /line 3: command "-.*help:/ }, command);
  for (const rest of ['-N TEE', '-A b', '--new-chain=TEE', '--new TEE', '-E a b', '--append b', '-x', '-v'])
    assert.throws(() => ruleOf(`-A INPUT ${rest}`), { kind: 'invalid', message: /line 3: "-.*help:/ }, rest);
  for (const rules of ['-N', '-N a b', '-N -j', '-N a -j TEE', '--new-chain a/b'])
    assert.throws(() => under('refuse', `*mangle\n${rules}\nCOMMIT\n`), { kind: 'invalid' }, rules);
  const twice = '*nat\nCOMMIT\n*nat\nCOMMIT\n';
  assert.throws(() => under('refuse', twice), { kind: 'invalid', message: /table nat appears twice/ });
});

test('abbreviated options, and arguments that begin with "-", are refused', () => {
  for (const rest of [
    '--ju ACCEPT',
    '--g x',
    '--m comment',
    '--comment --x"y',
    '-j ! x',
    '-p tcp !',
    '--Jump x',
    '---j x',
    '-',
  ])
    assert.throws(() => ruleOf(`-A INPUT ${rest}`), { kind: 'invalid' }, rest);
  // A word that iptables would parse as an argument is parsed, and checked, as an option.
  assert.deepEqual(ruleOf('-A INPUT --comment -j TEE').options.at(-1), { name: 'jump', values: ['TEE'] });
  // The matches policy and recent have options that begin like options of iptables.
  assert.equal(ruleOf('-A INPUT -m policy --dir in --pol none --proto esp').options.length, 4);
});

test('a jump to a chain with the name of a target is refused', () => {
  for (const name of ['TEE', 'DNPT', 'MIRROR', 'X9']) {
    assert.equal(isChainName(name), false);
    for (const declaration of [`:${name} - [0:0]`, `-N ${name}`])
      assert.throws(
        () => under('refuse', `*mangle\n${declaration}\n-A OUTPUT -j ${name}\nCOMMIT\n`),
        { kind: 'refused', message: /chain with the name of a target; help: give the chain a name with/ },
        declaration,
      );
  }
  for (const name of ['ISTIO_OUTPUT', 'KUBE-SVC-1', 'cali-x', 'f2b', 'PROXY_INIT_REDIRECT']) {
    const rules = `*mangle\n:${name} - [0:0]\n-A OUTPUT -j ${name}\nCOMMIT\n`;
    assert.match(under('refuse', rules), new RegExp(`^-A OUTPUT -j ${name}$`, 'm'));
  }
});

test('rules of Istio and Linkerd pass', () => {
  // The input of iptables-restore of Istio (tools/istio-iptables) and Linkerd (proxy-init).
  const istio = [
    '* nat',
    '-N ISTIO_INBOUND',
    '-N ISTIO_IN_REDIRECT',
    '-N ISTIO_OUTPUT',
    '-N ISTIO_REDIRECT',
    '-A ISTIO_INBOUND -p tcp --dport 15008 -j RETURN',
    '-A ISTIO_REDIRECT -p tcp -j REDIRECT --to-ports 15001',
    '-A ISTIO_IN_REDIRECT -p tcp -j REDIRECT --to-ports 15006',
    '-A PREROUTING -p tcp -j ISTIO_INBOUND',
    '-A ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT',
    '-A OUTPUT -p tcp -j ISTIO_OUTPUT',
    '-A ISTIO_OUTPUT -s 127.0.0.6/32 -o lo -j RETURN',
    '-A ISTIO_OUTPUT -o lo ! -d 127.0.0.1/32 -p tcp ! --dport 15008 -m owner --uid-owner 1337 -j ISTIO_IN_REDIRECT',
    '-A ISTIO_OUTPUT -o lo -m owner ! --uid-owner 1337 -j RETURN',
    '-A ISTIO_OUTPUT -j ISTIO_REDIRECT',
    'COMMIT',
    '*mangle',
    '-N ISTIO_DIVERT',
    '-N ISTIO_TPROXY',
    '-A ISTIO_DIVERT -j MARK --set-mark 1337',
    '-A ISTIO_TPROXY ! -d 127.0.0.1/32 -p tcp -j TPROXY --tproxy-mark 1337/0xffffffff --on-port 15006',
    '-A PREROUTING -p tcp -m mark --mark 1337 -j CONNMARK --save-mark',
    '-A OUTPUT -p tcp -m connmark --mark 1337 -j CONNMARK --restore-mark',
    'COMMIT',
    '*raw',
    '-A PREROUTING -p udp --sport 53 -j CT --zone 1',
    'COMMIT',
  ];
  const linkerd = [
    '*nat',
    '-N PROXY_INIT_REDIRECT',
    '-A PROXY_INIT_REDIRECT -p tcp --match multiport --dports 4190,4191 -j RETURN',
    '-A PROXY_INIT_REDIRECT -p tcp -j REDIRECT --to-port 4143',
    '-A PREROUTING -m comment --comment "proxy-init/install-proxy-init-prerouting" -j PROXY_INIT_REDIRECT',
    'COMMIT',
  ];
  for (const lines of [istio, linkerd]) {
    const given = parseFilterText(Buffer.from(`${lines.join('\n')}\n`));
    const taken = parseFilterText(Buffer.from(under('refuse', `${lines.join('\n')}\n`)));
    const commands = ({ commands: all }: FilterTable): readonly string[] =>
      all.map(({ words }) => words.join(' ')).filter((words) => !words.startsWith('-I'));
    assert.deepEqual(taken.map(commands), given.map(commands));
  }
});

/** The options of iptables for getopt_long, each with whether it has an argument. */
const withValue =
  'append check delete insert replace new-chain rename-chain policy protocol src source dst destination in-interface ' +
  'out-interface match jump goto table modprobe set-counters';
const own: Readonly<Record<string, boolean>> = {
  ...Object.fromEntries(withValue.split(' ').map((name) => [name, true])),
  ...Object.fromEntries('fragments ipv4 ipv6 numeric verbose exact'.split(' ').map((name) => [name, false])),
};
const shortNames =
  'A=append C=check D=delete I=insert R=replace N=new-chain E=rename-chain P=policy p=protocol s=source d=destination ' +
  'i=in-interface o=out-interface m=match j=jump g=goto t=table M=modprobe c=set-counters f=fragments 4=ipv4 6=ipv6 ' +
  'n=numeric v=verbose x=exact';
const short: ReadonlyMap<string, string> = new Map(
  shortNames.split(' ').map((each) => [each.slice(0, 1), each.slice(2)]),
);
const extensions = [
  'comment',
  'gateway',
  'to-destination',
  'to-ports',
  'on-port',
  'syn',
  'tcp-flags',
] as const;

/** Returns the options that getopt_long finds; undefined: it stops with an error. */
function getopt(
  words: readonly string[],
  known: Readonly<Record<string, boolean>>,
): readonly (readonly [string, string])[] | undefined {
  const found: (readonly [string, string])[] = [];
  for (let index = 0; index < words.length; index += 1) {
    const word = words[index] ?? '';
    if (word === '--') return undefined;
    if (word.startsWith('--')) {
      const [name = '', value] = word.slice(2).split(/=(.*)/s);
      const names = name in known ? [name] : Object.keys(known).filter((each) => each.startsWith(name));
      const [only = ''] = names;
      if (names.length !== 1 || (known[only] === false && value !== undefined)) return undefined;
      if (known[only] === true && value === undefined) index += 1;
      found.push([only, value ?? (known[only] === true ? (words[index] ?? '') : '')]);
      continue;
    }
    if (!word.startsWith('-') || word === '-') continue;
    for (let at = 1; at < word.length; at += 1) {
      const name = short.get(word[at] ?? '');
      if (name === undefined) return undefined;
      const hasValue = known[name] === true;
      if (hasValue && at + 1 === word.length) index += 1;
      found.push([name, !hasValue ? '' : at + 1 === word.length ? (words[index] ?? '') : word.slice(at + 1)]);
      if (hasValue) break;
    }
  }
  return found;
}

test('getopt finds no jump and no match that was not checked, whichever options of extensions have arguments', () => {
  const fine = new Set(['ACCEPT', 'own.chain']);
  let passed = 0;
  fc.assert(
    fc.property(filterTexts, fc.nat(2 ** extensions.length - 1), (text, bits) => {
      let written = '';
      try {
        written = under('refuse', text);
      } catch (error) {
        assert.equal((error as Error).name, 'GuestError');
        return;
      }
      passed += 1;
      const known = {
        ...own,
        ...Object.fromEntries(extensions.map((name, index) => [name, (bits & (1 << index)) !== 0])),
      };
      for (const { name, commands } of parseFilterText(Buffer.from(written, 'latin1'))) {
        const lines = commands.map(({ words }) => words.join(' '));
        for (const { words } of commands) {
          for (const [option, value] of getopt(words, known) ?? []) {
            assert.ok(!['modprobe', 'table', 'rename-chain', 'policy'].includes(option), text);
            if (option === 'new-chain') assert.equal(words.indexOf(value), 1, text);
            if (option === 'match') assert.ok(['comment', 'tcp'].includes(value), text);
            if (option !== 'jump' && option !== 'goto') continue;
            if (fine.has(value)) continue;
            const guard =
              name === 'nat'
                ? '-I OUTPUT -d 127.0.0.0/8 -j ACCEPT'
                : '-I PREROUTING -d 127.0.0.0/8 -j ACCEPT';
            assert.ok((name === 'nat' ? ['DNAT', 'REDIRECT'] : ['TPROXY']).includes(value), text);
            // The last rule that is inserted at the beginning of the chain.
            const [, chain = ''] = guard.split(' ');
            assert.equal(
              lines.findLast((line) => line.startsWith(`-I ${chain} `)),
              guard,
              text,
            );
            assert.ok(lines.lastIndexOf(guard) > lines.findLastIndex((line) => line.startsWith('-A')), text);
          }
        }
      }
    }),
    { numRuns: runs(5_000) },
  );
  assert.ok(passed > timesSeen(100), `${passed} of the texts passed`);
});
