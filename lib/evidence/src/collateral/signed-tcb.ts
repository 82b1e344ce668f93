import {
  type ChainCertificate,
  dateText,
  issuanceFault,
  parseChainCertificate,
  validityFault,
} from '../chain/chain-certificate.js';
import { checkRevocation } from '../chain/revocation.js';
import { ecKey, intelSignatures, verifyEcdsa } from '../chain/signature-scheme.js';
import type { Collateral, SignedDocument } from './collateral.js';
import { EvidenceFormError } from '../evidence-error.js';
import type { Link } from '../link.js';
import { evaluateTcb, tcbInfoFault } from '../tdx/evaluate-tcb.js';
import { type PckChain, type Platform, readPlatform, rootFault } from '../tdx/pck-chain.js';
import { qeIdentityFault, qeStatus } from '../tdx/qe-identity.js';
import type { TdxQuote } from '../tdx/quote.js';
import type { AcceptableStatus, StatusFinding } from '../tdx/tcb-info.js';

/** The status of a platform, and what it was computed from. */
export interface TcbFinding extends StatusFinding {
  readonly platform: Platform;
}

type Finding = Omit<Link, 'name'>;

interface TcbCheck {
  readonly finding: TcbFinding | undefined;
  readonly qeIdentity: Finding;
  /** Returns the finding about the status, which must be one of those accepted. */
  readonly level: (accepted: readonly AcceptableStatus[]) => Finding;
}

interface Inputs {
  readonly collateral: Collateral;
  readonly at: number | undefined;
  readonly roots: readonly string[];
}

interface Dated {
  readonly issueDate: number;
  readonly nextUpdate: number;
}

const signerName = 'Intel SGX TCB Signing';

/** Compares a quote with the TCB info and the QE identity of Intel, as far as there are any. */
export function checkTcb(quote: TdxQuote, { certificates: [pck] }: PckChain, inputs: Inputs): TcbCheck {
  const { qeIdentities, tcbInfos } = inputs.collateral;
  const platform = pck === undefined ? 'there is no PCK certificate' : platformOf(pck);
  const identity = only(qeIdentities, 'QE identities');
  const qeIdentity =
    typeof identity === 'string'
      ? notGiven(identity)
      : documentFinding(identity, inputs, qeIdentityFault(quote.qeReport, identity.value), 'QE identity');
  if (typeof platform === 'string')
    return { finding: undefined, qeIdentity, level: () => ({ state: 'failed', what: platform }) };
  const info = only(
    tcbInfos.filter(({ value }) => value.fmspc === platform.fmspc),
    `TCB infos for FMSPC ${platform.fmspc}`,
  );
  if (typeof info === 'string') return { finding: undefined, qeIdentity, level: () => notGiven(info) };
  const quotingEnclave = typeof identity === 'string' ? undefined : qeStatus(quote.qeReport, identity.value);
  const status = evaluateTcb(quote.report, platform, info.value, quotingEnclave);
  const fault = tcbInfoFault(quote.report, platform, info.value);
  return {
    finding: { ...status, platform },
    qeIdentity,
    level: (accepted) =>
      documentFinding(
        info,
        inputs,
        fault ?? statusFault(status, accepted),
        `TCB info, ${statusText(status)}`,
      ),
  };
}

function platformOf(pck: ChainCertificate): Platform | string {
  try {
    return readPlatform(pck);
  } catch (error) {
    if (error instanceof EvidenceFormError) return error.message;
    throw error;
  }
}

/** Returns the only item, or why there is none: of two, neither is the right one. */
function only<Item>(items: readonly Item[], name: string): Item | string {
  const [item, second] = items;
  if (item === undefined) return `the collateral has no ${name}`;
  return second === undefined ? item : `the collateral has ${items.length} ${name}; help: leave one`;
}

function notGiven(what: string): Finding {
  return { state: 'not checked', what };
}

function statusFault(finding: StatusFinding, accepted: readonly AcceptableStatus[]): string | undefined {
  return accepted.some((each) => each === finding.status)
    ? undefined
    : `the status of the platform is ${statusText(finding)}, and accepted is ${accepted.join(', ')}`;
}

function statusText({ status, advisories }: StatusFinding): string {
  return advisories.length === 0 ? status : `${status} (${advisories.join(', ')})`;
}

/** Checks signature, signer and dates of a document, after what it says. */
function documentFinding<Value extends Dated>(
  document: SignedDocument<Value>,
  inputs: Inputs,
  contentFault: string | undefined,
  name: string,
): Finding {
  const fault = documentFault(document, inputs) ?? contentFault;
  if (fault !== undefined) return { state: 'failed', what: fault };
  if (inputs.at === undefined)
    return { state: 'not checked', what: `${name}, and no time was given to check its dates` };
  return { state: 'ok', what: `${name}, valid until ${dateText(document.value.nextUpdate)}` };
}

function documentFault<Value extends Dated>(
  { body, signature, value }: SignedDocument<Value>,
  { collateral, at, roots }: Inputs,
): string | undefined {
  const certificates = collateral.certificates.map(parseChainCertificate);
  const root = certificates.find((each) => rootFault(each, roots) === undefined);
  if (root === undefined)
    return "the collateral has no certificate of Intel's root; help: add the issuer chain";
  const signers = certificates.filter(({ commonName }) => commonName === signerName);
  const signer = signers.find((each) => signs(each, body, signature));
  if (signer === undefined)
    return `the document is not signed by a certificate ${signerName} of the collateral`;
  const fault = issuanceFault(signer, root, intelSignatures);
  if (fault !== undefined) return fault;
  if (at !== undefined && at < value.issueDate)
    return `the document was issued later, at ${dateText(value.issueDate)}`;
  if (at !== undefined && at > value.nextUpdate)
    return `the document has expired at ${dateText(value.nextUpdate)}`;
  const lists = collateral.revocationLists;
  const revocation = checkRevocation([{ issuer: root, certificates: [signer] }], {
    lists,
    scheme: intelSignatures,
    at,
  });
  // Without a list, the link about revocation says so.
  if (revocation.state === 'failed') return revocation.what;
  return at === undefined ? undefined : validityFault([signer, root], at);
}

function signs(signer: ChainCertificate, body: Uint8Array, signature: Uint8Array): boolean {
  const key = ecKey(signer.publicKey, 'P-256');
  return key !== undefined && verifyEcdsa('sha256', body, signature, key);
}
