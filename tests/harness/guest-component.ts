/**
 * A stand-in for a guest component, written from docs/records/coco-facts.md: `node guest-component.js NAME DIRECTORY [ARGUMENTS]`. It writes
 * its arguments and environment to `DIRECTORY/NAME.json`, and behaves as `DIRECTORY/NAME.behaviour` says.
 */
import { execFileSync } from 'node:child_process';
import { appendFileSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createNetServer } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AttestationAgentService } from '@kata-agent/protocol/attestation_agent';
import {
  GetResourceService,
  ImagePullService,
  SealedSecretService,
  SecureMountService,
} from '@kata-agent/protocol/data_hub';
import { Code, createServer, service, TtrpcError } from '@kata-agent/ttrpc';

const [name = '', directory = '', ...args] = process.argv.slice(2);

/** What a component does wrong; none: nothing. */
export type Behaviour = 'exits' | 'never listens' | 'refuses' | 'hangs' | 'dies in a call' | 'waits';

const file = join(directory, `${name}.behaviour`);
const behaviour = (): Behaviour | undefined =>
  existsSync(file) ? (readFileSync(file, 'utf8') as Behaviour) : undefined;

/** Notes a call, and does what is wrong with it. */
async function called(method: string, request: object): Promise<void> {
  const seen = JSON.stringify({ method, ...request }, (key, value: unknown) =>
    key === '$typeName' ? undefined : value instanceof Uint8Array ? Buffer.from(value).toString() : value,
  );
  appendFileSync(join(directory, `${name}.calls`), `${seen}\n`);
  const wrong = behaviour();
  if (wrong === 'refuses') throw new TtrpcError(Code.Internal, 'the key broker refuses');
  if (wrong === 'hangs') await new Promise(() => setInterval(() => undefined, 1000));
  if (wrong === 'dies in a call') process.exit(7);
  // Until it behaves in another way: then it does its work, late.
  while (behaviour() === 'waits') await delay(20);
}

/** Answers as the attester of TDX does, with a quote that has nothing but the report data. */
function serveAttestation(socket: string): void {
  const server = createServer({
    services: [
      service(AttestationAgentService, {
        getEvidence: async ({ RuntimeData }) => {
          await called('GetEvidence', { runtimeData: Buffer.from(RuntimeData).toString('hex') });
          const quote = Buffer.from(RuntimeData).toString('base64');
          return { Evidence: Buffer.from(JSON.stringify({ cc_eventlog: null, quote })) };
        },
      }),
    ],
  });
  createNetServer((stream) => server.serve(stream, { peer: 'agent' })).listen(socket);
}

function serveDataHub(socket: string): void {
  const server = createServer({
    services: [
      service(SealedSecretService, {
        unsealSecret: async (request) => {
          await called('UnsealSecret', request);
          return { plaintext: Buffer.from(`plain text of ${Buffer.from(request.secret).toString()}`) };
        },
      }),
      service(GetResourceService, {
        getResource: async (request) => {
          await called('GetResource', request);
          return { Resource: readFileSync(join(directory, 'resource')) };
        },
      }),
      service(SecureMountService, {
        secureMount: async (request) => {
          await called('SecureMount', request);
          mkdirSync(request.mountPoint, { recursive: true });
          execFileSync('mount', ['-t', 'tmpfs', 'secure-mount', request.mountPoint]);
          return {};
        },
      }),
      service(ImagePullService, {
        pullImage: async (request) => {
          await called('PullImage', request);
          const rootfs = join(request.bundlePath, 'rootfs');
          // As image-rs, which also makes a directory again that the agent has removed.
          mkdirSync(rootfs, { recursive: true });
          execFileSync('mount', ['-t', 'tmpfs', 'pulled-image', rootfs]);
          cpSync(join(directory, 'image'), rootfs, { recursive: true, verbatimSymlinks: true });
          writeFileSync(join(request.bundlePath, 'config.json'), '{}');
          return { manifestDigest: `sha256:${'d'.repeat(64)}` };
        },
      }),
    ],
  });
  createNetServer((stream) => server.serve(stream, { peer: 'agent' })).listen(socket);
}

writeFileSync(join(directory, `${name}.json`), JSON.stringify({ pid: process.pid, args, env: process.env }));
console.log(`${name} says hello`);
if (behaviour() === 'exits') process.exit(3);
if (behaviour() === 'never listens') setInterval(() => undefined, 1000);
else {
  const sockets: Readonly<Record<string, string>> = {
    'attestation-agent': '/run/confidential-containers/attestation-agent/attestation-agent.sock',
    'confidential-data-hub': '/run/confidential-containers/cdh.sock',
  };
  const socket = sockets[name];
  if (socket !== undefined) mkdirSync(dirname(socket), { recursive: true });
  if (name === 'confidential-data-hub' && socket !== undefined) serveDataHub(socket);
  else if (socket === undefined) setInterval(() => undefined, 1000);
  else serveAttestation(socket);
}
