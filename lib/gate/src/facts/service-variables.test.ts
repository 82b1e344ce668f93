import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { serviceVariables } from './service-variables.js';

interface Service {
  readonly name: string;
  readonly address: string;
  readonly ports: readonly { readonly number: number; readonly protocol: string; readonly name?: string }[];
}

/** The variables of services, written after Kubernetes' `FromServices` and `makeLinkVariables`. */
function fromServices(services: readonly Service[]): Map<string, string> {
  const variables = new Map<string, string>();
  const upper = (text: string): string => text.replaceAll('-', '_').toUpperCase();
  for (const { name, address, ports } of services) {
    const prefix = upper(name);
    variables.set(`${prefix}_SERVICE_HOST`, address);
    variables.set(`${prefix}_SERVICE_PORT`, String(ports[0]?.number));
    for (const port of ports)
      if (port.name !== undefined)
        variables.set(`${prefix}_SERVICE_PORT_${upper(port.name)}`, String(port.number));
    for (const [index, { number, protocol }] of ports.entries()) {
      const host = address.includes(':') ? `[${address}]` : address;
      const url = `${protocol}://${host}:${number}`;
      if (index === 0) variables.set(`${prefix}_PORT`, url);
      const each = `${prefix}_PORT_${number}_${protocol.toUpperCase()}`;
      variables.set(each, url);
      variables.set(`${each}_PROTO`, protocol);
      variables.set(`${each}_PORT`, String(number));
      variables.set(`${each}_ADDR`, address);
    }
  }
  return variables;
}

const label = fc.stringMatching(/^[a-z]([-a-z0-9]{0,8}[a-z0-9])?$/);
const ports = fc.uniqueArray(
  fc.record(
    {
      number: fc.integer({ min: 1, max: 65535 }),
      protocol: fc.constantFrom('tcp', 'udp', 'sctp'),
      name: label,
    },
    { requiredKeys: ['number', 'protocol'] },
  ),
  { minLength: 1, maxLength: 4, selector: ({ number }) => number },
);
const service: fc.Arbitrary<Service> = fc.record({
  // Names that look like parts of the grammar, too.
  name: fc.oneof(label, fc.constantFrom('x-port', 'a-port-80-tcp', 'b-service-port-c', 'my-proto', 'addr')),
  address: fc.oneof(
    fc.ipV4(),
    fc.ipV6().filter((text) => !text.includes('.')),
  ),
  ports,
});

test('every variable of every service is known, with its service', () => {
  fc.assert(
    fc.property(service, (one) => {
      const variables = fromServices([one]);
      const found = serviceVariables(variables);
      const upper = one.name.replaceAll('-', '_').toUpperCase();
      assert.deepEqual(
        [...variables.keys()].filter((name) => found.get(name) !== upper),
        [],
      );
    }),
  );
});

test('a changed value, and a variable of its own, is none', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.constantFrom(
      '9999',
      '80',
      'tcp',
      'tcp://10.0.0.1:80',
      '10.0.0.1',
      '/tmp/x',
      '0',
      ' 80',
      '080',
      'TCP',
      'fe80::1%eth0',
    ),
  );
  fc.assert(
    fc.property(service, fc.nat(), text, (one, at, value) => {
      const variables = fromServices([one]);
      const names = [...variables.keys()];
      const name = names[at % names.length] ?? '';
      if (variables.get(name) === value) return;
      // A first port can be any of the ports.
      if (/_(SERVICE_PORT(_.*)?|PORT)$/.test(name) && one.ports.length > 1) return;
      const found = serviceVariables(new Map([...variables, [name, value]]));
      assert.equal(found.has(name), false, `${name}=${value}`);
      assert.equal(serviceVariables(new Map([[name, variables.get(name) ?? '']])).has(name), false, name);
    }),
    { numRuns: 300 },
  );
});

test('examples that a pattern for any name and any number let pass', () => {
  const cache = fromServices([
    { name: 'cache', address: '10.0.0.1', ports: [{ number: 80, protocol: 'tcp' }] },
  ]);
  assert.equal(serviceVariables(cache).size, cache.size);
  for (const [name, value] of [
    ['JMX_PORT', '9999'],
    ['CACHE_SERVICE_PORT_X', '81'],
    ['CACHE_PORT_81_TCP_PORT', '81'],
    ['CACHE_PORT_80_UDP_PROTO', 'udp'],
    ['cache_PORT', 'tcp://10.0.0.1:80'],
    ['JAVA_SERVICE_HOST', '10.0.0.1'],
    ['JAVA_PORT', 'tcp://10.0.0.1:80'],
    ['_PORT', 'tcp://10.0.0.1:80'],
  ] as const) {
    const found = serviceVariables(new Map([...cache, [name, value]]));
    assert.deepEqual([found.has(name), found.size], [false, cache.size], name);
  }
});

test('a pod may replace the variables of the first port; the others still agree', () => {
  const cache = fromServices([
    { name: 'cache', address: 'fd00::1', ports: [{ number: 80, protocol: 'tcp', name: 'http' }] },
  ]);
  for (const name of ['CACHE_SERVICE_HOST', 'CACHE_SERVICE_PORT', 'CACHE_PORT']) {
    const found = serviceVariables(new Map([...cache, [name, 'own']]));
    assert.deepEqual([found.has(name), found.size], [false, cache.size - 1], name);
  }
});
