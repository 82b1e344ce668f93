import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLocalAddress, localAddressCode, lookupElsewhere } from './local-addresses.js';

test('addresses of the guest and of metadata services are local, in each notation', () => {
  for (const address of [
    '127.0.0.1',
    '127.255.0.9',
    '0.0.0.0',
    '169.254.169.254',
    '100.100.100.200',
    '168.63.129.16',
    '::',
    '::1',
    '0:0:0:0:0:0:0:1',
    'fe80::1',
    'febf::1',
    'fd00:ec2::254',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::ffff:169.254.169.254',
    '64:ff9b::127.0.0.1',
    '64:ff9b::a9fe:a9fe',
  ])
    assert.ok(isLocalAddress(address), address);
});

test('other addresses are not, those of private networks among them, where clusters have their stores', () => {
  for (const address of [
    '10.0.0.7',
    '192.168.1.2',
    '172.16.0.1',
    '1.1.1.1',
    'fd00::1',
    '2001:db8::1',
    'name',
    '',
  ])
    assert.ok(!isLocalAddress(address), address);
});

test('a name with a local address is not used, whatever form of result is asked for', async () => {
  for (const all of [true, false]) {
    const error = await new Promise<NodeJS.ErrnoException | null>((resolve) =>
      lookupElsewhere('localhost', { all }, (failure) => resolve(failure)),
    );
    assert.equal(error?.code, localAddressCode);
  }
});
