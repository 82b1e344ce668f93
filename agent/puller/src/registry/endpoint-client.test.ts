import assert from 'node:assert/strict';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { hasImageCode } from '../errors/image-error.js';
import { Answer } from '../http/answer.js';
import { Transport } from '../http/transport.js';
import { defaultTransportLimits } from '../http/transport-limits.js';
import { EndpointClient } from './endpoint-client.js';

/** A registry at an address that redirects a blob; what follows is a real connection. */
function clientOf(address: string | undefined, location: string): EndpointClient {
  const { signal } = new AbortController();
  const transport = new Transport({ ca: [], limits: defaultTransportLimits, userAgent: 'test', signal });
  let first = true;
  const get: Transport['get'] = async (url, headers, options) => {
    if (!first) return await transport.get(url, headers, options);
    first = false;
    const message = new IncomingMessage(new Socket());
    message.statusCode = 307;
    message.headersDistinct['location'] = [location];
    return new Answer(message, { name: 'registry.example', address }, defaultTransportLimits);
  };
  return new EndpointClient(
    { host: 'registry.example', repository: 'team/app', tokenHosts: [], isMirror: false },
    { get },
  );
}

const blob = (client: EndpointClient): Promise<Answer> => client.get('blobs/sha256:0', { follow: true });

// Nothing listens at these ports: a connection that is tried fails in another way.
for (const location of [
  'https://127.0.0.1:1/',
  'https://localhost:1/',
  'https://[::1]:1/',
  'https://[::ffff:127.0.0.1]:1/',
  'https://2130706433:1/',
  'https://0x7f.1:1/',
  'https://169.254.169.254/latest/meta-data/',
])
  test(`a registry elsewhere, or behind a proxy, redirects no blob to ${location}`, async () => {
    for (const address of ['203.0.113.1', undefined])
      await assert.rejects(blob(clientOf(address, location)), (error: unknown) => {
        assert.ok(hasImageCode(error, 'redirect-refused'), String(error));
        assert.match(String(error), /an address of the guest or of its cloud/);
        return true;
      });
  });

test('a registry in the guest may have its blobs there, too', async () => {
  await assert.rejects(blob(clientOf('127.0.0.1', 'https://127.0.0.1:1/')), (error: unknown) =>
    hasImageCode(error, 'registry-unreachable'),
  );
});
