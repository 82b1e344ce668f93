import { createHash } from 'node:crypto';
import {
  NoteSignatureError,
  parseAgentLogCheckpoint,
  parseAgentLogVerifier,
  TextFormError,
  verifyCheckpoint,
} from '@kata-agent/tlog';
import type { Bundle } from '../bundle.js';
import type { Claims } from '../claims.js';
import { EvidenceFormError } from '../evidence-error.js';
import { attempt, failed, type Link, notChecked, ok } from '../link.js';

/** What the claims must say. */
export interface ClaimExpectations {
  /** In hex. Undefined: not known, as of a file that another client asked for. */
  readonly nonce?: string;
  /** Undefined: not known, since the connection is over. */
  readonly channel?: string;
  /** SHA-256 of the public key of the agent's end of the connection, in hex. */
  readonly tlsSpki?: string;
  /** Digest of the configuration, in hex. Undefined: only the values file says which are accepted. */
  readonly configuration?: string;
}

/** Compares claims, which evidence has been verified to bind, with what is expected, and with the other parts of the bundle. */
export function verifyClaims(
  bundle: Pick<Bundle, 'checkpoint' | 'documents'>,
  claims: Claims,
  { nonce, channel, tlsSpki, configuration }: ClaimExpectations,
  accepted: readonly string[],
): readonly Link[] {
  return [
    compared(
      'claims.nonce',
      claims.nonce,
      nonce,
      'pass the nonce that you chose: without it, the evidence can be old',
    ),
    compared(
      'claims.channel',
      claims.channel,
      channel,
      'the evidence is not of a connection that this program has: use --attested for that',
    ),
    compared(
      'claims.tls-key',
      claims.tlsSpki,
      tlsSpki,
      'pass the pin of the agent that you connect to, or use --attested',
    ),
    checkConfiguration(claims, configuration, accepted),
    checkDocuments(claims, bundle),
    attempt('claims.checkpoint', () => checkCheckpoint(claims, bundle)),
  ];
}

function compared(name: string, found: string, expected: string | undefined, remedy: string): Link {
  if (expected === undefined) return notChecked(name, `${found || 'none'}: ${remedy}`);
  return found === expected
    ? ok(name, found)
    : failed(name, `the claims have ${found || 'none'}, expected ${expected || 'none'}`);
}

/** Both the digest that the caller computed and the list of the values file must have it, as far as they are given. */
function checkConfiguration(
  { configDigest }: Claims,
  configuration: string | undefined,
  accepted: readonly string[],
): Link {
  const name = 'claims.configuration';
  const digest = `sha256:${configDigest}`;
  const lists = [configuration === undefined ? [] : [configuration], accepted].filter(
    ({ length }) => length > 0,
  );
  if (lists.length === 0)
    return notChecked(name, `${digest}: pass --config, or list accepted digests in the values file`);
  const without = lists.find((list) => !list.includes(configDigest));
  return without === undefined
    ? ok(name, digest)
    : failed(name, `the guest runs with ${digest}, expected sha256:${without.join(' or sha256:')}`);
}

/** The digest must be that of the list of documents, and the names that the bundle gives them must fit. */
function checkDocuments({ configDigest, documents }: Claims, bundle: Pick<Bundle, 'documents'>): Link {
  const name = 'claims.documents';
  const digest = createHash('sha256');
  for (const line of documents) digest.update(`${line}\n`);
  if (digest.digest('hex') !== configDigest)
    return failed(name, 'the digest of the configuration is not that of the documents in the claims');
  const own = documents.filter((line) => !line.includes('='));
  const named = bundle.documents.map(({ sha256 }) => sha256);
  return own.join() === named.join()
    ? ok(name, `${documents.length} documents and files`)
    : failed(name, 'the documents that the bundle names are not those of the claims');
}

function checkCheckpoint(
  { logKey, treeSize, rootHash }: Claims,
  { checkpoint }: Pick<Bundle, 'checkpoint'>,
): Link {
  const name = 'claims.checkpoint';
  try {
    const key = parseAgentLogVerifier(logKey);
    const { head } = verifyCheckpoint(parseAgentLogCheckpoint(checkpoint), { logs: [key], witnesses: [] });
    return head.size === treeSize && head.root === rootHash
      ? ok(name, `${treeSize} records of ${key.name}`)
      : failed(
          name,
          `the checkpoint of the bundle has ${head.size} records and root ${head.root}; the claims have ${treeSize} and ${rootHash}`,
        );
  } catch (error) {
    if (error instanceof TextFormError || error instanceof NoteSignatureError)
      throw new EvidenceFormError(`the checkpoint is not by the log key of the claims: ${error.message}`, {
        cause: error,
      });
    throw error;
  }
}
