import { readFile } from 'node:fs/promises';
import { StoreError } from '../../store/store-error.js';

/** TLS to a receiver. Without `ca` the CAs of Node.js. */
export interface SinkTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly minVersion: 'TLSv1.2';
}

/** Paths of PEM files, as options name them. */
export interface SinkFiles {
  readonly ca: string | undefined;
  readonly cert: string | undefined;
  readonly key: string | undefined;
}

/** Reads the files. Throws a StoreError. */
export async function readSinkTls({ ca, cert, key }: SinkFiles): Promise<SinkTls> {
  if ((cert === undefined) !== (key === undefined))
    throw new StoreError(
      `--to-${cert === undefined ? 'key' : 'cert'} without --to-${cert === undefined ? 'cert' : 'key'}`,
      'a client certificate needs both: --to-cert FILE --to-key FILE',
    );
  return {
    minVersion: 'TLSv1.2',
    ...(ca === undefined ? {} : { ca: await read('--to-ca', ca) }),
    ...(cert === undefined ? {} : { cert: await read('--to-cert', cert) }),
    ...(key === undefined ? {} : { key: await read('--to-key', key) }),
  };
}

async function read(option: string, path: string): Promise<string> {
  return await readFile(path, 'utf8').catch((error: Error) => {
    throw new StoreError(`${option}: cannot read ${path}: ${error.message}`, 'name a PEM file', {
      cause: error,
    });
  });
}
