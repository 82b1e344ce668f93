import { execFile } from 'node:child_process';
import { createHash, createPublicKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { certificatePem, dsseEntry, Sigstore } from './sigstore.js';

interface SigningRequest {
  readonly publicKey: { readonly content: string };
}

/** A Fulcio and a Rekor on 127.0.0.1, as cosign asks them. Fulcio believes every token, and gives each the same name. */
export class SigstoreServer {
  readonly sigstore: Sigstore;
  readonly #server: Server;
  readonly #directory: string;
  readonly #issuer: string;

  private constructor(sigstore: Sigstore, server: Server, directory: string, issuer: string) {
    this.sigstore = sigstore;
    this.#server = server;
    this.#directory = directory;
    this.#issuer = issuer;
  }

  /** `directory`: for files of cosign. */
  static async start(
    directory: string,
    { subject, issuer }: { readonly subject: string; readonly issuer: string },
  ): Promise<SigstoreServer> {
    const sigstore = await Sigstore.create();
    const logPath = '/api/v1/log/entries';
    const answer = async (path: string | undefined, body: string): Promise<string> => {
      if (path === logPath)
        return JSON.stringify(await sigstore.entries(canonical(JSON.parse(body) as ProposedEnvelope)));
      const { publicKey } = JSON.parse(body) as SigningRequest;
      const key = createPublicKey(Buffer.from(publicKey.content, 'base64').toString());
      const { certificate } = await sigstore.certify(key, subject, issuer);
      return `${certificatePem(certificate)}${certificatePem(sigstore.root)}`;
    };
    const server = createServer((request, response) => {
      void bodyOf(request)
        .then((body) => answer(request.url, body))
        .then(
          (text) => response.writeHead(201, { 'Content-Type': 'application/json' }).end(text),
          (error: unknown) => response.writeHead(500).end(String(error)),
        );
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const pem = (der: Uint8Array): string =>
      createPublicKey({ key: Buffer.from(der), type: 'spki', format: 'der' })
        .export({ type: 'spki', format: 'pem' })
        .toString();
    writeFileSync(join(directory, 'rekor.pub'), pem(sigstore.log.publicKey));
    writeFileSync(join(directory, 'ctlog.pub'), pem(sigstore.certificateLog.publicKey));
    writeFileSync(join(directory, 'fulcio.pem'), new X509Certificate(sigstore.root).toString());
    return new SigstoreServer(sigstore, server, directory, issuer);
  }

  /** Runs a command of cosign that signs. */
  async cosign(command: string, args: readonly string[]): Promise<void> {
    const { port } = this.#server.address() as AddressInfo;
    const url = `http://127.0.0.1:${port}`;
    const at = (name: string): string => join(this.#directory, name);
    const services = ['--fulcio-url', url, '--rekor-url', url, '--oidc-issuer', this.#issuer];
    await promisify(execFile)(
      'cosign',
      [command, '--yes', ...services, '--identity-token', this.#token(), ...args],
      {
        cwd: this.#directory,
        env: {
          ...process.env,
          HOME: this.#directory,
          SIGSTORE_ROOT_FILE: at('fulcio.pem'),
          SIGSTORE_CT_LOG_PUBLIC_KEY_FILE: at('ctlog.pub'),
          SIGSTORE_REKOR_PUBLIC_KEY: at('rekor.pub'),
        },
      },
    );
  }

  #token(): string {
    const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
    const now = Math.floor(Date.now() / 1_000);
    const claims = { iss: this.#issuer, sub: 'x', aud: 'sigstore', iat: now, exp: now + 600 };
    return `${part({ alg: 'HS256' })}.${part({ ...claims, email: 'x@example.com', email_verified: true })}.AAAA`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

interface ProposedEnvelope {
  readonly kind: string;
  readonly spec: {
    readonly proposedContent?: { readonly envelope: string; readonly verifiers: readonly string[] };
  };
}

/** Rekor logs hashes of a proposed envelope, which the mock does not make. */
function canonical(proposed: ProposedEnvelope): object {
  const { spec } = proposed;
  if (spec.proposedContent === undefined) return proposed;
  const { envelope, verifiers } = spec.proposedContent;
  const { payload, signatures } = JSON.parse(envelope) as {
    readonly payload: string;
    readonly signatures: readonly { readonly sig: string }[];
  };
  const signature = Buffer.from(signatures[0]?.sig ?? '', 'base64');
  const entry = dsseEntry(Buffer.from(payload, 'base64'), signature, verifiers[0] ?? '');
  const envelopeHash = { algorithm: 'sha256', value: createHash('sha256').update(envelope).digest('hex') };
  return { ...entry, spec: { ...entry.spec, envelopeHash } };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString();
}
