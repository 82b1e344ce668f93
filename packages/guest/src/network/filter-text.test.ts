import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { keepLoopback } from './filter-loopback.js';
import { parseFilterText, writeFilterText } from './filter-text.js';
import type { Family } from './network-values.js';
import { checkedFilter } from './packet-filter.js';

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
  assert.equal(under('allow', saved), saved);
  assert.equal(under('refuse', saved), saved);
  assert.equal(under('refuse', `# remark\n\n${saved}# end\n`), saved);
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

const guard = { v4: '-I OUTPUT -d 127.0.0.0/8 -j ACCEPT', v6: '-I OUTPUT -d ::1/128 -j ACCEPT' } as const;

test('a table that redirects connections gets a first rule that exempts loopback', () => {
  const mesh = [
    ':OUTPUT ACCEPT [0:0]',
    ':MESH_OUT - [0:0]',
    '-A OUTPUT -p tcp -j MESH_OUT',
    '-A MESH_OUT -o lo -j RETURN',
    '-A MESH_OUT -p tcp -j REDIRECT --to-ports 15001',
  ];
  for (const family of ['v4', 'v6'] as const)
    assert.equal(under('refuse', table('nat', ...mesh), family), table('nat', ...mesh, guard[family]));
  assert.equal(under('allow', table('nat', ...mesh)), table('nat', ...mesh));
  // The text that is read back from the guest.
  const again = [...mesh.slice(0, 2), guard.v4.replace('-I', '-A'), ...mesh.slice(2)];
  assert.equal(under('refuse', table('nat', ...again)), table('nat', ...mesh, guard.v4));
  const jumps = [
    '-A OUTPUT --jump REDIRECT',
    '-A OUTPUT --jump=DNAT --to-destination 10.0.0.1',
    '-A OUTPUT "-j" "NETMAP" --to 10.0.0.0/8',
  ];
  for (const jump of jumps) assert.ok(under('refuse', table('nat', jump)).includes(guard.v4), jump);
  const plain = table('nat', ':OUTPUT ACCEPT [0:0]', '-A POSTROUTING -o eth0 -j MASQUERADE');
  assert.equal(under('refuse', plain), plain);
});

test('a table with TPROXY gets such a rule too; redirecting targets are refused in other tables', () => {
  const rules = ['-A PREROUTING -p tcp -j TPROXY --on-port 15006'];
  for (const [family, address] of [
    ['v4', '127.0.0.0/8'],
    ['v6', '::1/128'],
  ] as const)
    assert.equal(
      under('refuse', table('mangle', ...rules), family),
      table('mangle', ...rules, `-I PREROUTING -d ${address} -j ACCEPT`),
    );
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
