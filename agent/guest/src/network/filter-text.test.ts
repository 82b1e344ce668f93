import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { checkedFilter, keepLoopback, withoutCounters } from './packet-filter.js';
import { parseFilterText, writeFilterText } from './filter-text.js';
import type { Family } from './network-values.js';

const table = (name: string, ...lines: readonly string[]): string =>
  `*${name}\n${lines.join('\n')}\nCOMMIT\n`;
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const under = (privileged: 'refuse' | 'allow', rules: string, family: Family = 'v4'): string =>
  text(checkedFilter(family, Buffer.from(rules, 'latin1'), { privileged }));

test('output of iptables-save is unchanged in the input of iptables-restore', () => {
  const saved = table(
    'filter',
    ':INPUT DROP [12:3400]',
    ':FORWARD ACCEPT [0:0]',
    ':cali-from.x - [0:0]',
    '[5:300] -A INPUT -i eth0 -p tcp -m tcp --dport 80 -m comment --comment "a \\"quoted\\" \\\\ word" -j cali-from.x',
    '-A cali-from.x ! -s 10.0.0.0/8 -m statistic --mode random --probability 0.5 -j REJECT --reject-with tcp-reset',
    '-A INPUT -m comment --comment "" -j ACCEPT',
  );
  const guarded = saved.replace('COMMIT\n', `${guards.filter.join('\n')}\nCOMMIT\n`);
  assert.equal(under('allow', saved), saved);
  assert.equal(under('refuse', saved), guarded);
  assert.equal(under('refuse', `# remark\n\n${saved}# end\n`), guarded);
});

test('--modprobe is refused in every spelling, under any configuration', () => {
  const spellings = [
    '-M /bin/sh',
    '-M\t/bin/sh',
    '"-M" /bin/sh',
    '--modprobe /bin/sh',
    '--modprobe=/bin/sh',
    '--modp /bin/sh',
    '--mo=/bin/sh',
    '--m /bin/sh',
    '--mod"probe" /bin/sh',
    '"--modprobe" /bin/sh',
    '"--mod\\probe=/bin/sh"',
    '-j --comment -M /bin/sh',
  ];
  for (const privileged of ['refuse', 'allow'] as const) {
    for (const words of spellings) {
      const rules = table('filter', ':INPUT ACCEPT [0:0]', `[0:0] -A INPUT ${words} -j ACCEPT`);
      assert.throws(() => under(privileged, rules), { kind: 'refused', message: /names a program/ }, words);
    }
    // Also in one word with its argument or with other options.
    for (const words of ['-M/bin/sh', '-fM /bin/sh', '-4nvM/bin/sh', '--', '-AINPUT']) {
      const rules = table('filter', `-A INPUT ${words} -j ACCEPT`);
      assert.throws(() => under(privileged, rules), { name: 'GuestError' }, words);
    }
  }
});

test('a line that iptables-restore would parse as two, or differently, is refused', () => {
  const evil = '-A INPUT -M /bin/sh -j ACCEPT';
  const lines = [
    `#${'a'.repeat(10_238)}${evil}`,
    `-A INPUT -m comment --comment ${'a'.repeat(10_000)}`,
    `-A INPUT -j ACCEPT\r${evil}`,
    `-A INPUT -j ACCEPT\0${evil}`,
    '-A INPUT -t nat -j ACCEPT',
    '-A INPUT --table=nat -j ACCEPT',
    '-A INPUT --tab nat -j ACCEPT',
    '-A INPUT -m comment --comment "open',
    '-A INPUT -m ../../run/kata-containers/shared/containers/x -j ACCEPT',
    '-A INPUT --match=a/b -j ACCEPT',
    '-A INPUT --jum a/b',
    'INPUT -j ACCEPT',
    ':a/../b - [0:0]',
    '*nat',
  ];
  for (const line of lines)
    assert.throws(() => under('allow', table('filter', line)), { kind: 'invalid' }, line.slice(0, 60));
  for (const rules of [
    '-A INPUT -j ACCEPT\n',
    '*filter\n',
    '*broute\nCOMMIT\n',
    'COMMIT\n',
    '*filter -M x\nCOMMIT\n',
  ])
    assert.throws(() => under('allow', rules), { kind: 'invalid' }, rules);
  assert.throws(() => under('allow', `${table('filter')}${'\n'.repeat(131_072)}`), {
    kind: 'invalid',
    message: /^rules: 131088 bytes exceed the limit of 131072 in a request; help:/,
  });
  assert.equal(under('allow', ''), '');
});

test('written words are parsed to the same words', () => {
  const word = fc
    .stringMatching(/^[ -~]{0,12}$/)
    .filter((each) => !each.startsWith('-') && !each.includes('/'));
  fc.assert(
    fc.property(fc.array(word, { maxLength: 6 }), (words) => {
      const command = { line: 2, counters: '', words: ['-A', 'INPUT', ...words] };
      const tables = [{ name: 'filter', chains: [], commands: [command] }];
      assert.deepEqual(parseFilterText(writeFilterText(tables)), tables);
    }),
  );
});

const addresses = { v4: '127.0.0.0/8', v6: '::1/128' } as const;
/** The rules that exempt loopback. */
const guards = {
  filter: ['-I INPUT -i lo -j ACCEPT', '-I OUTPUT -o lo -j ACCEPT'],
  to: (family: Family, ...chains: readonly string[]) =>
    chains.map((chain) => `-I ${chain} -d ${addresses[family]} -j ACCEPT`),
} as const;
const chainsOf = {
  nat: ['OUTPUT', 'POSTROUTING'],
  mangle: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  raw: ['PREROUTING', 'OUTPUT'],
} as const;

test('a table with rules gets first rules that exempt loopback', () => {
  const mesh = [
    ':OUTPUT ACCEPT [0:0]',
    ':MESH_OUT - [0:0]',
    '-A OUTPUT -p tcp -j MESH_OUT',
    '-A MESH_OUT -o lo -j RETURN',
    '-A MESH_OUT -p tcp -j REDIRECT --to-ports 15001',
  ];
  for (const family of ['v4', 'v6'] as const)
    assert.equal(
      under('refuse', table('nat', ...mesh), family),
      table('nat', ...mesh, ...guards.to(family, ...chainsOf.nat)),
    );
  assert.equal(under('allow', table('nat', ...mesh)), table('nat', ...mesh));
  // The text that is read back from the guest.
  const guard = guards.to('v4', ...chainsOf.nat);
  const again = [...mesh.slice(0, 2), ...guard.map((rule) => rule.replace('-I', '-A')), ...mesh.slice(2)];
  assert.equal(under('refuse', table('nat', ...again)), table('nat', ...mesh, ...guard));
  for (const family of ['v4', 'v6'] as const) {
    for (const name of ['filter', 'security'])
      assert.equal(
        under('refuse', table(name, '-A INPUT -p tcp -j DROP'), family),
        table(name, '-A INPUT -p tcp -j DROP', ...guards.filter),
      );
    for (const name of ['nat', 'mangle', 'raw'] as const)
      assert.equal(
        under('refuse', table(name, '-A OUTPUT -p tcp -j DROP'), family),
        table(name, '-A OUTPUT -p tcp -j DROP', ...guards.to(family, ...chainsOf[name])),
      );
  }
});

test('a policy that drops is one of the host too; a table without rules stays so', () => {
  const dropping = table('filter', ':INPUT DROP [0:0]', ':OUTPUT ACCEPT [0:0]');
  assert.equal(under('refuse', dropping), dropping.replace('COMMIT', `${guards.filter.join('\n')}\nCOMMIT`));
  for (const empty of [table('filter', ':INPUT ACCEPT [0:0]'), '*nat\nCOMMIT\n'])
    assert.equal(under('refuse', empty), empty);
  // The rules of a request are removed: those that exempt loopback go with them.
  const flushed = table('filter', ':INPUT ACCEPT [0:0]', '-A INPUT -i lo -j ACCEPT');
  assert.equal(under('refuse', flushed), table('filter', ':INPUT ACCEPT [0:0]'));
});

test('matches are an allow-list, in every spelling (S40)', () => {
  const asking = [
    '-m string --string key --algo bm',
    '--match string --algo kmp --string k',
    '--match=string --algo bm --hex-string "|00|"',
    '-p tcp -m tcp -m string --algo bm --string k',
    '-m "string" --algo bm --string k',
    '! -m string --algo bm --string k',
    '-m u32 --u32 "0>>22&0x3C@0=0x53"',
    '-m bpf --bytecode "1,6 0 0 1"',
    '-m length --length 100:200',
    '-m connbytes --connbytes 100: --connbytes-dir both --connbytes-mode bytes',
    '-m quota --quota 10',
    '-m hashlimit --hashlimit-above 1/sec --hashlimit-name x',
    '-m recent --set',
    '-m dns',
    '-m tcp string --algo bm',
    '-m',
  ];
  for (const [name, chain] of [
    ['filter', 'OUTPUT'],
    ['mangle', 'INPUT'],
    ['raw', 'PREROUTING'],
  ] as const)
    for (const words of asking) {
      const rules = table(name, `-A ${chain} ${words} -j ACCEPT`);
      assert.throws(
        () => under('refuse', rules),
        { kind: 'refused', message: /match ".*" is refused/ },
        words,
      );
    }
  // Not a match, but the text of one.
  under('refuse', table('filter', '-A INPUT -m comment --comment string -j ACCEPT'));
});

test('rules of Istio, Linkerd, Calico and Kubernetes are accepted', () => {
  const nat = [
    '-A OUTPUT -p tcp -m owner --uid-owner 1337 -j RETURN',
    '-A OUTPUT ! -d 127.0.0.1/32 -o lo -p tcp -m tcp ! --dport 15008 -m owner --uid-owner 1337 -j REDIRECT --to-ports 15006',
    '-A OUTPUT -d 10.96.0.10/32 -p udp -m udp --dport 53 -j REDIRECT --to-ports 15053',
    '-A PREROUTING -p tcp -m multiport --dports 4190,4191 -m comment --comment proxy-init/ignore-port -j RETURN',
    '-A OUTPUT -m addrtype --dst-type LOCAL -j RETURN',
    '-A OUTPUT -m statistic --mode random --probability 0.5 -j RETURN',
    '-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE',
    '-A OUTPUT -m set --match-set cali40 dst -j RETURN',
  ];
  const mangle = [
    '-A PREROUTING -p tcp -m socket --transparent -j MARK --set-mark 1337',
    '-A PREROUTING -p tcp -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    '-A OUTPUT -p tcp -m connmark --mark 0x539 -j CONNMARK --restore-mark',
    '-A PREROUTING -p tcp -j TPROXY --on-port 15006 --on-ip 0.0.0.0 --tproxy-mark 0x539',
  ];
  const raw = [
    '-A OUTPUT -p udp -m udp --sport 15053 -m owner --uid-owner 1337 -j CT --zone 1',
    '-A PREROUTING -m rpfilter --invert -j DROP',
  ];
  const filter = [
    '-A INPUT -m state --state NEW -m limit --limit 5/min -j ACCEPT',
    '-A INPUT -p icmp -m icmp --icmp-type 8 -j ACCEPT',
    '-A INPUT -m conntrack --ctstate INVALID -j DROP',
  ];
  for (const [name, rules] of Object.entries({ nat, mangle, raw, filter }))
    for (const rule of rules) under('refuse', table(name, rule));
  under('refuse', table('filter', '-A INPUT -p ipv6-icmp -m icmp6 --icmpv6-type 128 -j ACCEPT'), 'v6');
});

test('counters of the packet filter are 0 when it is read', () => {
  const saved = [
    '# Generated by iptables-save v1.8.11',
    '*filter',
    ':INPUT ACCEPT [12:3400]',
    ':cali-from.x - [9:9]',
    '[5:300] -A INPUT -m comment --comment "[7:7]" -j ACCEPT',
    '-A INPUT -m comment --comment "x [7:7]" -j ACCEPT',
  ].join('\n');
  const expected = saved.replace('[12:3400]', '[0:0]').replace('[9:9]', '[0:0]').replace('[5:300]', '[0:0]');
  assert.equal(text(withoutCounters(Buffer.from(saved))), expected);
});

test('redirecting targets are refused in other tables', () => {
  for (const [name, target] of [
    ['mangle', 'DNAT --to-destination 10.0.0.1'],
    ['raw', 'REDIRECT'],
    ['nat', 'TPROXY --on-port 80'],
  ] as const)
    assert.throws(() => under('refuse', table(name, `-A PREROUTING -j ${target}`)), {
      kind: 'refused',
      message: /is refused in this table/,
    });
});

test('translation to a loopback address is refused in every notation', () => {
  const wrong = [
    '-A PREROUTING -i eth0 -j DNAT --to-destination 127.0.0.1',
    '-A PREROUTING -i eth0 -j DNAT --to-destination=127.0.0.1:80',
    '-A PREROUTING -i eth0 -j DNAT --to-dest 10.0.0.1-127.0.0.1',
    '-A PREROUTING -i eth0 -j DNAT --to-destination 126.255.255.255-128.0.0.0:80-90/80',
    '-A PREROUTING -i eth0 -j DNAT --to-destination 200.0.0.0-10.0.0.0',
    '-A PREROUTING -i eth0 -j DNAT --to-destination [::1]:80',
    '-A PREROUTING -i eth0 -j DNAT --to-destination ::1',
    '-A PREROUTING -i eth0 -j DNAT --to-destination [::ffff:127.0.0.1]',
    '-A PREROUTING -i eth0 -j DNAT --to-destination [::]-[::5]',
    '-A PREROUTING -i eth0 -j NETMAP --to 127.0.0.0/8',
    '-A PREROUTING -i eth0 -j NETMAP --to 126.0.0.0/7',
    // A service that trusts clients at 127.0.0.1.
    '-A INPUT -i eth0 -j SNAT --to-source 127.0.0.1',
    '-A INPUT -i eth0 -j SNAT --to-s "127.0.0.1"',
  ];
  const proxied = (address: string): string =>
    table('mangle', `-A PREROUTING -m tos --tos 0x10/0x3f -j TPROXY --on-port 80 --on-ip ${address}`);
  assert.throws(() => under('refuse', proxied('127.0.0.1')), { kind: 'refused', message: /--on-ip 127/ });
  under('refuse', proxied('0.0.0.0'));
  for (const rule of wrong)
    assert.throws(() => under('refuse', table('nat', rule)), { kind: 'refused' }, rule);
  for (const value of [
    '127.1',
    '2130706433',
    '0x7f.0.0.1',
    'localhost',
    '10.0.0.0/255.0.0.0',
    '10.0.0.1-::1',
  ]) {
    const rule = `-A PREROUTING -j DNAT --to-destination ${value}`;
    assert.throws(() => under('refuse', table('nat', rule)), { kind: 'invalid' }, rule);
  }
  const fine = [
    '-A PREROUTING -j DNAT --to-destination 10.0.0.1:80 --random',
    '-A PREROUTING -j DNAT --to-destination :8080',
    '-A PREROUTING -j DNAT --to-destination [fd00::1]-[fd00::9]:80-90/80',
    '-A PREROUTING -j REDIRECT --to-ports 80-90',
    '-A PREROUTING -j NETMAP --to 10.0.0.0/8',
    '-A POSTROUTING -j SNAT --to-source 10.0.0.1-10.0.0.9',
  ];
  for (const rule of fine) keepLoopback(parseFilterText(Buffer.from(table('nat', rule))), 'v4');
});

test('targets that divert packets, and unknown targets, are refused', () => {
  for (const target of [
    'TEE --gateway 10.0.0.1',
    'DNPT --src-pfx ::/64 --dst-pfx fd00::/64',
    'RAWDNAT',
    'NOWHERE',
    'LOG --log-level 0',
    'TRACE',
    'NFLOG --nflog-group 1',
    'NFQUEUE --queue-num 0',
    'AUDIT --type accept',
  ]) {
    for (const option of ['-j', '-g', '--jump', '--goto']) {
      const rules = table('mangle', `-A OUTPUT ${option} ${target}`);
      assert.throws(() => under('refuse', rules), { kind: 'refused', message: /target/ }, rules);
      assert.equal(under('allow', rules), rules);
    }
  }
  const chains = table('filter', '-N mine', ':other - [0:0]', '-A INPUT -j mine', '-A INPUT -g other');
  under('refuse', chains);
});
