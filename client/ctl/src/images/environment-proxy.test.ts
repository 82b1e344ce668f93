import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandError } from '@kata-agent/cli';
import { environmentProxy } from './environment-proxy.js';

/** Reports whether a server is reached through the proxy. */
function isProxied(exceptions: string, server: string): boolean {
  const [, host = '', port = '443'] = /^\[?(.*?)\]?(?::([0-9]{1,5}))?$/.exec(server) ?? [];
  const proxyOf = environmentProxy({ HTTPS_PROXY: 'http://proxy:1', NO_PROXY: exceptions });
  return proxyOf({ host, port: Number(port) }) !== undefined;
}

for (const [exceptions, direct, proxied] of [
  ['', ['localhost', '127.0.0.1', '127.9.9.9'], ['example.com', '10.0.0.1', 'localhost.example']],
  ['*', ['example.com', '10.0.0.1'], []],
  ['example.com', ['example.com', 'EXAMPLE.com', 'a.example.com'], ['badexample.com', 'example.com.evil']],
  ['.example.com', ['a.example.com', 'b.a.example.com'], ['example.com', 'aexample.com']],
  ['*.Example.com', ['a.example.com'], ['example.com']],
  ['example.com:5000', ['example.com:5000', 'a.example.com:5000'], ['example.com', 'example.com:50']],
  ['10.1.2.0/24, 192.168.0.7', ['10.1.2.3', '192.168.0.7'], ['10.1.3.3', '192.168.0.8', 'a.example']],
  ['10.0.0.1:443', ['10.0.0.1'], ['10.0.0.1:5000']],
  ['2001:db8::/32,fd00::1', ['2001:db8::5', 'fd00:0::1'], ['2001:db9::5', 'fd00::2']],
  [' a.example , ,10.0.0.0/99', ['a.example'], ['b.example', '10.0.0.1']],
  ['example.com:', ['example.com', 'example.com:5000'], ['example.org']],
  ['example.com:0443, example.org:https, a.example:443x', [], ['example.com', 'example.org', 'a.example']],
  [':5000', [], ['example.com.:5000', 'example.com:5000']],
  ['::/0', ['2001:db8::5'], ['10.0.0.1', '::ffff:10.0.0.1']],
  ['0.0.0.0/0', ['10.0.0.1', '::ffff:10.0.0.1'], ['2001:db8::5']],
  ['::ffff:10.0.0.0/104', ['10.1.2.3'], ['11.0.0.1', '2001:db8::5']],
  ['[fd00::1], [fd00::2]:443, [fd00::3]:80', ['fd00::2'], ['fd00::1', 'fd00::3']],
  ['.0.1, 0.1', [], ['10.0.0.1']],
  ['b\u00fccher.example', ['xn--bcher-kva.example', 'a.xn--bcher-kva.example'], ['bucher.example']],
  ['.B\u00fccher.example', ['a.xn--bcher-kva.example'], ['xn--bcher-kva.example']],
] as const)
  test(`NO_PROXY "${exceptions}"`, () => {
    const split = (server: string): boolean =>
      server.includes('::')
        ? environmentProxy({ HTTPS_PROXY: 'http://proxy:1', NO_PROXY: exceptions })({
            host: server,
            port: 443,
          }) !== undefined
        : isProxied(exceptions, server);
    for (const server of direct) assert.ok(!split(server), server);
    for (const server of proxied) assert.ok(split(server), server);
  });

test('the proxy is of HTTPS_PROXY, with its credential, also in lower case and without a scheme', () => {
  const of = (environment: Record<string, string>) =>
    environmentProxy(environment)({ host: 'a.example', port: 443 });
  assert.deepEqual(of({ HTTPS_PROXY: 'http://me:p%40ss@proxy.example:3128/' }), {
    host: 'proxy.example',
    port: 3128,
    secure: false,
    authorization: `Basic ${Buffer.from('me:p@ss').toString('base64')}`,
  });
  assert.deepEqual(of({ HTTPS_PROXY: '', https_proxy: 'proxy:3128' }), {
    host: 'proxy',
    port: 3128,
    secure: false,
  });
  assert.deepEqual(of({ https_proxy: 'https://[2001:db8::1]' }), {
    host: '2001:db8::1',
    port: 443,
    secure: true,
  });
  assert.equal(
    of({ https_proxy: 'http://%zz@proxy' })?.authorization,
    `Basic ${Buffer.from('%zz:').toString('base64')}`,
  );
  assert.deepEqual(of({ https_proxy: 'proxy' }), { host: 'proxy', port: 80, secure: false });
  assert.equal(of({ HTTP_PROXY: 'http://proxy:1', http_proxy: 'http://proxy:1' }), undefined);
  assert.equal(of({ https_proxy: 'proxy', no_proxy: 'example' }), undefined);
  for (const HTTPS_PROXY of ['socks5://proxy:1', 'http://', 'http://me:secret@a b'])
    assert.throws(
      () => of({ HTTPS_PROXY }),
      (error) => error instanceof CommandError && error.exitCode === 2 && !error.message.includes('secret'),
    );
});
