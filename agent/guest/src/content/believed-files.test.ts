import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkedHosts, checkHostnameFile, checkResolvConf, type HostsRules } from './believed-files.js';

const rules: HostsRules = {
  hostname: 'web-0',
  addresses: new Set(['10.0.0.7', 'fd00::7']),
  aliases: new Map([
    ['db.example', ['10.1.2.3', 'FD00:0::9']],
    ['cache', ['*']],
  ]),
};
const hosts = (text: string, more: Partial<HostsRules> = {}): string =>
  checkedHosts(Buffer.from(text, 'latin1'), { ...rules, ...more }).bytes.toString('latin1');

/** As the kubelet writes it (`pkg/kubelet/kubelet_pods.go`). */
const kubelet = `# Kubernetes-managed hosts file.
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
10.0.0.7\tweb-0.web.default.svc.cluster.local\tweb-0
fd00::7\tweb-0.web.default.svc.cluster.local\tweb-0

# Entries added by HostAliases.
10.1.2.3\tdb.example\tcache
fd00::9\tdb.example
`;

test('the file of the kubelet is what it was', () => {
  assert.equal(hosts(kubelet), kubelet);
});

const bare: Partial<HostsRules> = { hostname: '', aliases: new Map() };

test('a file without localhost gets it: the name would be asked for at the nameserver of the host', () => {
  assert.equal(hosts('', bare), '127.0.0.1\tlocalhost\n::1\tlocalhost\n');
  assert.equal(
    hosts('10.0.0.7 web-0', { aliases: new Map() }),
    '10.0.0.7 web-0\n127.0.0.1\tlocalhost\n::1\tlocalhost\n',
  );
  assert.equal(
    hosts('# 127.0.0.1 localhost\n', bare),
    '# 127.0.0.1 localhost\n127.0.0.1\tlocalhost\n::1\tlocalhost\n',
  );
});

test('localhost that only some C libraries read is added as all read it', () => {
  const added = '127.0.0.1\tlocalhost\n::1\tlocalhost\n';
  for (const text of [
    '127.0.0.1 LOCALHOST\n::1 Localhost\n',
    ' 127.0.0.1 localhost\n\t::1 localhost\n',
    '127.0.0.1 localhost.\n::1 localhost.\n',
    '127.0.0.1 localhost4\n::1 ip6-localhost\n',
    '127.0.0.1 x.localhost\n',
  ])
    assert.equal(hosts(text, bare), `${text}${added}`);
});

test('what the pod says is added where the host leaves it out: its own name, and names with their addresses', () => {
  const localhost = '127.0.0.1\tlocalhost\n::1\tlocalhost\n';
  const [db4, db6] = ['10.1.2.3\tdb.example\n', 'fd00::9\tdb.example\n'];
  assert.equal(hosts(localhost), `${localhost}127.0.0.1\tweb-0\n${db4}${db6}`);
  const own = `${localhost}10.0.0.7\tweb-0\n`;
  assert.equal(hosts(own), `${own}${db4}${db6}`);
  assert.equal(hosts(`${own}${db6}`), `${own}${db6}${db4}`);
  // As musl does not read them.
  for (const line of ['10.1.2.3 DB.example\n', ' 10.1.2.3 db.example\n', '10.1.2.3 db.example.\n'])
    assert.equal(hosts(`${own}${db6}${line}`), `${own}${db6}${line}${db4}`);
  const other = `${localhost}10.0.0.7 web-0.web.svc\n`;
  assert.equal(hosts(other, { aliases: new Map() }), `${other}127.0.0.1\tweb-0\n`);
  assert.equal(
    hosts(own, {
      aliases: new Map([
        ['*', ['10.1.1.1']],
        ['cache', ['*']],
      ]),
    }),
    own,
  );
});

test('the addresses of the own name are returned, but for loopback', () => {
  const own = (text: string) => checkedHosts(Buffer.from(text), rules).ownAddresses;
  assert.deepEqual(own('10.0.0.7 web-0.web.svc web-0\nFD00::0:7 WEB-0\n127.0.1.1 web-0\n'), [
    '10.0.0.7',
    'fd00::7',
  ]);
  assert.deepEqual(own('10.1.2.3 db.example\n'), []);
});

for (const [what, text, message] of [
  [
    'localhost elsewhere',
    '127.0.0.1 localhost\n10.9.9.9 localhost\n',
    /line 2 of \/etc\/hosts, "10\.9\.9\.9 localhost": localhost has loopback/,
  ],
  ['in capitals', '10.9.9.9 LOCALHOST', /loopback addresses only/],
  ['in mixed case', '10.9.9.9 LocalHost', /loopback addresses only/],
  ['with a final dot', '10.9.9.9 localhost.', /loopback addresses only/],
  ['after other names', '10.1.2.3 db.example localhost', /loopback addresses only/],
  ['after tabs', '10.9.9.9\t\tlocalhost', /loopback addresses only/],
  ['after white space', '  10.9.9.9 localhost', /loopback addresses only/],
  ['localhost.localdomain', '10.9.9.9 localhost.localdomain', /loopback addresses only/],
  ['localhost4', '10.9.9.9 localhost4', /loopback addresses only/],
  ['ip6-localhost', 'fd00::7 ip6-localhost', /loopback addresses only/],
  ['a name below localhost', '10.9.9.9 db.localhost', /loopback addresses only/],
  ['the address of all interfaces', '0.0.0.0 localhost', /loopback addresses only/],
  ['IPv4 in IPv6', '::ffff:10.9.9.9 localhost', /loopback addresses only/],
  ['loopback in IPv6', '::ffff:127.0.0.1 localhost', /loopback addresses only/],
  ['a short address', '127.1 localhost', /does not begin with an IP address/],
  ['an octal address', '0127.0.0.1 localhost', /does not begin with an IP address/],
  ['a hexadecimal address', '0x7f.0.0.1 localhost', /does not begin with an IP address/],
  ['a number', '2130706433 localhost', /does not begin with an IP address/],
  ['a zone', '::1%lo localhost', /does not begin with an IP address/],
  ['a carriage return', '127.0.0.1 localhost\r\n', /neither printable ASCII nor a tab/],
  ['one that hides a line', '127.0.0.1 x\r10.9.9.9 localhost', /neither printable ASCII/],
  ['NUL', '127.0.0.1 localhost\0\n10.9.9.9 localhost', /line 1 .*neither printable ASCII/],
  ['a vertical tab', '10.9.9.9\vlocalhost', /neither printable ASCII/],
  ['bytes that are not UTF-8', '# \xff\xfe', /neither printable ASCII/],
  ['a line that musl cuts', `# ${'x'.repeat(509)}10.9.9.9 localhost`, /longer than 500 bytes/],
  ['another host', '10.9.9.9 registry.example', /neither a name of localhost, nor the pod's own/],
  ['another host at loopback', '127.0.0.1 registry.example', /neither a name of localhost/],
  ['an alias with another address', '10.9.9.9 db.example', /nor with this address in host_aliases/],
  ['an alias of any address at loopback', '127.0.0.1 cache', /nor with this address in host_aliases/],
  ['the pod itself elsewhere', '10.9.9.9 web-0', /is the pod itself, and 10\.9\.9\.9 is no address of it/],
  ['the domain of the pod elsewhere', '10.9.9.9 WEB-0.web.svc', /is the pod itself/],
  ['a group with an address of a host', '10.9.9.9 ip6-allnodes', /neither a name of localhost/],
  ['no host name', '10.1.2.3 db.example/x', /is not a host name/],
] as const)
  test(`refused in hosts: ${what}`, () => {
    assert.throws(() => hosts(text), { kind: 'refused', message });
  });

test('hosts: other forms of allowed addresses and names', () => {
  for (const text of [
    'FD00::9 DB.Example\n',
    '192.168.0.1 cache\n',
    '127.0.1.1 web-0\n',
    'fd00:0:0::7 web-0 # of the pod\n',
    'ff02::1 ip6-allnodes\n',
    '10.1.2.3\n',
  ])
    assert.ok(hosts(text).startsWith(text), text);
  hosts('10.0.0.7 web-0\n', { hostname: 'web-0.default.svc' });
  const any = new Map([['*', ['*']]]);
  hosts('10.9.9.9 node.example\n', { aliases: any });
  assert.throws(() => hosts('10.9.9.9 localhost\n', { aliases: any }), /loopback addresses only/);
  assert.throws(() => hosts('127.0.0.1 node.example\n', { aliases: any }), /neither a name of localhost/);
  assert.throws(() => hosts('10.0.0.7 web-0\n', { hostname: '' }), /neither a name of localhost/);
});

test('"*" is for other names: those that are listed have their addresses alone', () => {
  const aliases = new Map([...rules.aliases, ['*', ['*']]]);
  for (const text of [
    '10.9.9.9 db.example\n',
    '10.9.9.9 DB.example.\n',
    '10.0.0.7 node.example db.example\n',
  ])
    assert.throws(
      () => hosts(text, { aliases }),
      /db\.example\.? is neither .* nor with this address/i,
      text,
    );
  hosts('10.9.9.9 node.example\n10.1.2.3 db.example\n10.8.8.8 cache\n', { aliases });
  // The node's name, in its own file.
  hosts('10.9.9.9 web-0\n', { aliases });
});

test('"*" is no address at which the machine itself answers, however it is written', () => {
  const aliases = new Map([['*', ['*']]]);
  for (const address of [
    '127.0.0.1',
    '127.9.9.9',
    '::1',
    '0:0:0:0:0:0:0:1',
    // glibc reads it as IPv4 where it looks for IPv4.
    '::ffff:127.0.0.1',
    '::FFFF:7f00:1',
    '0:0:0:0:0:ffff:127.1.2.3',
    // A connection to the address of all interfaces is one to loopback.
    '0.0.0.0',
    '::',
    '::ffff:0.0.0.0',
    '::127.0.0.1',
  ])
    for (const name of ['node.example', 'cache'])
      assert.throws(
        () => hosts(`${address} ${name}\n`, { aliases: new Map([...aliases, ['cache', ['*']]]) }),
        /neither a name of localhost/,
        `${address} ${name}`,
      );
  hosts('::ffff:10.9.9.9 node.example\n', { aliases });
});

test('resolv.conf: what the kubelet, containerd and systemd write', () => {
  for (const text of [
    'search default.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n',
    '# of the node\n; and more\n\nnameserver fe80::1%eth0\nnameserver 127.0.0.11\noptions edns0 single-request\n',
    'domain example.org\nsearch .\nsortlist 130.155.160.0/255.255.240.0 130.155.0.0\noptions timeout:1 attempts:2 rotate\n',
    '',
  ])
    checkResolvConf(Buffer.from(text));
});

for (const [what, text] of [
  ['an unknown option', 'options ndots:5 insecure'],
  ['an option without a number', 'options ndots:'],
  ['the word of the nameserver', 'options edns0 trust-ad'],
  ['no address', 'nameserver localhost'],
  ['two addresses', 'nameserver 10.0.0.1 10.0.0.2'],
  ['a zone with a path', 'nameserver fe80::1%../x'],
  ['an unknown keyword', 'lookup file bind'],
  ['white space before a keyword', ' nameserver 10.0.0.1'],
  ['a comment after a value', 'nameserver 10.0.0.1 # mine'],
  ['an invalid domain', 'search exa$mple'],
  ['a carriage return', 'nameserver 10.0.0.1\r'],
  ['NUL', 'nameserver 10.0.0.1\0'],
  ['a long line', `search ${'a.b '.repeat(200)}`],
] as const)
  test(`refused in resolv.conf: ${what}`, () => {
    assert.throws(() => checkResolvConf(Buffer.from(`nameserver 10.0.0.1\n${text}\n`)), {
      kind: 'refused',
      message: /^line 2 of \/etc\/resolv\.conf/,
    });
  });

test('the hostname file has the hostname of the sandbox', () => {
  for (const text of ['web-0\n', 'web-0', '']) checkHostnameFile(Buffer.from(text), 'web-0');
  for (const text of ['\n', 'web-1\n', 'WEB-0\n', ' web-0\n', 'web-0\nweb-0\n', 'web-0\r\n'])
    assert.throws(() => checkHostnameFile(Buffer.from(text), 'web-0'), { kind: 'refused' }, text);
  checkHostnameFile(Buffer.from('node-1\n'), '');
  assert.throws(() => checkHostnameFile(Buffer.from('a b\n'), ''), /it is not a hostname/);
});
