import { request } from 'node:https';
import type { OwnIdentity } from '@kata-agent/agent/tls';

export interface WitnessAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

export interface WitnessRequestOptions {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Sends a request to the witness of a realm, with the key of a guest. Status 0: the connection was closed. */
export async function askWitness(
  port: number,
  identity: OwnIdentity,
  body: string | Buffer,
  { path = '/guests/add-checkpoint', method = 'POST', headers = {} }: WitnessRequestOptions = {},
): Promise<WitnessAnswer> {
  return await new Promise((resolve) => {
    const failed = (): void => resolve({ status: 0, type: '', body: '' });
    const asked = request(
      {
        host: '127.0.0.1',
        port,
        path,
        method,
        agent: false,
        headers,
        key: identity.key,
        cert: identity.certificate,
        rejectUnauthorized: false,
        minVersion: 'TLSv1.3',
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
        });
        const { statusCode = 0 } = response;
        response.once('end', () =>
          resolve({ status: statusCode, type: response.headers['content-type'] ?? '', body: text }),
        );
        response.once('error', failed);
      },
    );
    asked.once('error', failed);
    asked.end(body);
  });
}
