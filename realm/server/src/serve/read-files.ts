import { createHash, createPrivateKey, X509Certificate } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { type Diagnostic, renderDiagnostic } from '@kata-agent/config';
import { EvidenceFormError, noCollateral, parseCollateral, parseReferenceValues } from '@kata-agent/evidence';
import type { Authorization } from '../authorization/guest-acceptance.js';
import { parseAuthorization } from '../authorization/parse-authorization.js';
import type { EvidenceDemand } from '../guests/identify-guest.js';
import type { ServerIdentity } from '../listener/https-options.js';
import { type OperatorCa, readOperatorCa } from '../listener/operator-chain.js';
import type { RealmFiles } from './realm-options.js';

/** A file of a realm that cannot be used. */
export class RealmFileError extends Error {
  /** `invalid`: its content; `unreadable`: the file. */
  readonly kind: 'invalid' | 'unreadable';
  readonly help: readonly string[];
  /** Of the authorization file. */
  readonly diagnostics: readonly Diagnostic[];

  constructor(
    kind: RealmFileError['kind'],
    message: string,
    options: { readonly help?: readonly string[]; readonly diagnostics?: readonly Diagnostic[] } = {},
  ) {
    super(message);
    this.name = 'RealmFileError';
    this.kind = kind;
    this.help = options.help ?? [];
    this.diagnostics = options.diagnostics ?? [];
  }
}

/** What the files of a realm say. */
export interface ReadFiles {
  readonly identity: ServerIdentity;
  readonly operatorCa: OperatorCa;
  readonly authorization: Authorization;
  /** Undefined: guests are not asked for evidence. */
  readonly evidence: EvidenceDemand | undefined;
  readonly warnings: readonly Diagnostic[];
}

/** Reads the files of a realm. Throws a RealmFileError for the first that cannot be used. */
export async function readFiles(files: RealmFiles): Promise<ReadFiles> {
  const parsed = parseAuthorization(
    await bytesOf('--authorization', files.authorization),
    files.authorization,
  );
  if (!parsed.ok) {
    const { diagnostics } = parsed;
    const errors = diagnostics.filter(({ severity }) => severity === 'error').length;
    throw new RealmFileError(
      'invalid',
      `the authorization file ${files.authorization} has ${errors} ${errors === 1 ? 'error' : 'errors'}`,
      { diagnostics, help: diagnostics.flatMap((diagnostic) => renderDiagnostic(diagnostic).split('\n')) },
    );
  }
  const identity = { cert: await textOf('--cert', files.cert), key: await textOf('--key', files.key) };
  try {
    // createSecureContext leaves out empty texts, and does not compare the two.
    const certificate = new X509Certificate(identity.cert);
    if (!certificate.checkPrivateKey(createPrivateKey(identity.key)))
      throw new Error('the key is not that of the certificate');
    createSecureContext(identity);
  } catch (error) {
    throw new RealmFileError(
      'invalid',
      `--cert ${files.cert} and --key ${files.key} do not fit: ${(error as Error).message}`,
      { help: ['--cert is a PEM file with the certificate and its chain, --key the private key in PEM'] },
    );
  }
  const evidence = await readEvidenceDemand(files);
  const ca = await textOf('--operator-ca', files.operatorCa);
  const crl = files.operatorCrl === undefined ? undefined : await textOf('--operator-crl', files.operatorCrl);
  try {
    const { authorization, warnings } = parsed;
    const operatorCa = readOperatorCa(ca, crl);
    return { identity, operatorCa, authorization, evidence, warnings };
  } catch (error) {
    throw new RealmFileError('invalid', (error as Error).message, {
      help: ['write PEM blocks, each on lines of its own'],
    });
  }
}

async function readEvidenceDemand({
  reference,
  collateral: directory,
}: RealmFiles): Promise<EvidenceDemand | undefined> {
  if (reference === undefined) return undefined;
  const bytes = await bytesOf('--reference', reference);
  const files = directory === undefined ? new Map<string, Uint8Array>() : await filesIn(directory);
  const hash = createHash('sha256').update(bytes);
  for (const [name, content] of files) hash.update(`\n${name} ${content.length}\n`).update(content);
  try {
    const collateral = files.size === 0 ? noCollateral : parseCollateral(files);
    return { values: parseReferenceValues(bytes), collateral, sha256: hash.digest('hex') };
  } catch (error) {
    if (!(error instanceof EvidenceFormError)) throw error;
    throw new RealmFileError('invalid', error.message, {
      help: ['docs/evidence.md, "Reference values", has the form of --reference'],
    });
  }
}

async function filesIn(directory: string): Promise<ReadonlyMap<string, Uint8Array>> {
  const names = await readdir(directory).catch((error: Error) => {
    throw new RealmFileError('unreadable', `--collateral: cannot read ${directory}: ${error.message}`);
  });
  const files = new Map<string, Uint8Array>();
  for (const name of names.sort()) files.set(name, await bytesOf('--collateral', join(directory, name)));
  return files;
}

async function bytesOf(option: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new RealmFileError('unreadable', `${option}: cannot read ${path}: ${(error as Error).message}`);
  }
}

async function textOf(option: string, path: string): Promise<string> {
  return (await bytesOf(option, path)).toString('utf8');
}
