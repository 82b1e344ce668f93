import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CommandError, ExitCode } from '../command/command-error.js';
import { formatAddress, parseAddress } from './address.js';

test('a unix socket by absolute or relative path', () => {
  assert.deepEqual(parseAddress('unix:///run/agent.sock'), { kind: 'path', path: '/run/agent.sock' });
  assert.deepEqual(parseAddress('unix://agent.sock'), { kind: 'path', path: 'agent.sock' });
});

test('an abstract unix socket keeps its exact name', () => {
  assert.deepEqual(parseAddress('unix://@kata/agent:1'), { kind: 'abstract', name: 'kata/agent:1' });
});

test('hvsock takes the port after the last colon', () => {
  assert.deepEqual(parseAddress('hvsock:///run/vm:1/kata.sock:1024'), {
    kind: 'hvsock',
    path: '/run/vm:1/kata.sock',
    port: 1024,
  });
});

test('a realm, with or without a port and a guest', () => {
  const realm = { kind: 'realm', host: 'realm.example', port: 8444, guest: undefined } as const;
  const table = [
    ['realm://realm.example', realm],
    ['realm://realm.example/web', { ...realm, guest: 'web' }],
    ['realm://realm.example:9/web-2.a_b', { ...realm, port: 9, guest: 'web-2.a_b' }],
    ['realm://[::1]/a', { ...realm, host: '::1', guest: 'a' }],
    ['realm://[::1]:9', { ...realm, host: '::1', port: 9 }],
    [`realm://10.0.0.7/${'0a'.repeat(32)}`, { ...realm, host: '10.0.0.7', guest: '0a'.repeat(32) }],
  ] as const;
  for (const [text, address] of table) assert.deepEqual(parseAddress(text), address);
});

test('an invalid address is wrong use, and the error names value and reason', () => {
  const table: readonly [text: string, pattern: RegExp][] = [
    ['', /address '': an address must start with/],
    ['/run/agent.sock', /must start with unix:\/\/, vsock:\/\/, hvsock:\/\/, tls:\/\/ or realm:\/\//],
    ['unix://', /path is empty/],
    ['unix://@', /abstract name after @ is empty/],
    ['unix:///a\0b', /zero byte/],
    [`unix:///${'x'.repeat(107)}`, /has 108 bytes/],
    [`unix://@${'é'.repeat(54)}`, /has 108 bytes/],
    ['hvsock:///run/vm.sock', /port is missing/],
    ['hvsock:///run/vm.sock:', /port '' must be a number/],
    ['hvsock:///run/vm.sock:10x4', /port '10x4'/],
    ['hvsock:///run/vm.sock:4294967296', /port '4294967296'/],
    ['hvsock://:1024', /path is empty/],
    ['vsock://3', /two numbers/],
    ['vsock://-1:1024', /two numbers/],
    ['vsock://4294967295:1', /context id '4294967295'/],
    ['vsock://3:4294967295', /port '4294967295'/],
    ['tls://10.0.0.7', /expected HOST:PORT/],
    ['tls://::1:8443', /in brackets: \[::1\]:8443/],
    ['tls://[10.0.0.7]:8443', /'10\.0\.0\.7' is neither/],
    ['tls://:8443', /'' is neither a host name nor an IP address/],
    ['tls://a/b:8443', /'a\/b' is neither/],
    ['tls://user@host:8443', /'user@host' is neither/],
    ['tls://host:0', /port '0' must be a number from 1 to 65535/],
    ['tls://host:65536', /port '65536' must be/],
    ['tls://host:84 ', /port '84 ' must be/],
    ['realm://', /'' is neither a host name/],
    ['realm://host/', /'' is not the name of a guest/],
    ['realm://host/a/b', /'a\/b' is not the name/],
    ['realm://host/..', /'..' is not the name/],
    ['realm://host/a%2e', /is not the name/],
    ['realm://host/a?x=1', /is not the name/],
    ['realm://host:/a', /port '' must be/],
    ['realm://::1/a', /in brackets/],
    ['realm://user@host/a', /'user@host' is neither/],
    ['tcp://127.0.0.1:1', /unknown address scheme tcp:\/\//],
  ];
  for (const [text, pattern] of table) {
    assert.throws(
      () => parseAddress(text),
      (error: unknown) =>
        error instanceof CommandError && error.exitCode === ExitCode.Usage && pattern.test(error.message),
      text,
    );
  }
});

test('parsing and formatting an address round-trips', () => {
  const path = fc.stringMatching(/^[a-z/._-]{1,80}$/);
  const text = fc.oneof(
    path.map((p) => `unix://${p}`),
    path.map((p) => `unix://@${p}`),
    fc.tuple(fc.nat(), fc.nat()).map(([cid, port]) => `vsock://${cid}:${port}`),
    fc.tuple(path, fc.nat()).map(([p, port]) => `hvsock://${p}:${port}`),
    fc
      .tuple(
        fc.oneof(
          fc.domain(),
          fc.ipV4(),
          fc.ipV6().map((ip) => `[${ip}]`),
        ),
        fc.integer({ min: 1, max: 65_535 }),
      )
      .chain(([host, port]) =>
        fc.constantFrom(`tls://${host}:${port}`, `realm://${host}:${port}`, `realm://${host}:${port}/a-b`),
      ),
  );
  fc.assert(fc.property(text, (t) => formatAddress(parseAddress(t)) === t));
});
