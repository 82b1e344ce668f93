import { formatHead, type Position, type VerifyReport } from '@kata-agent/audit';
import { trustText } from '@kata-agent/cli';
import type { Configuration } from '@kata-agent/config';
import type { Verification } from '@kata-agent/evidence';
import type { Activity } from './activity.js';

/**
 * - `proved`: by what was given to the report, and checked by it.
 * - `not proved`: it may be so; nothing that was given shows it.
 * - `not given`: what could prove it was not given to the report.
 */
type ProofState = 'proved' | 'failed' | 'not proved' | 'not given';

/** One step between the files that were given and what a reader wants to know. */
export interface ProofLink {
  /** What it would prove, as a sentence. */
  readonly claim: string;
  readonly state: ProofState;
  /** What was found, or what is missing. */
  readonly what: string;
}

/** The links of a report, by what they are about. */
export interface Proofs {
  readonly configuration: readonly ProofLink[];
  readonly log: readonly ProofLink[];
  readonly evidence: readonly ProofLink[];
}

/** An audit log that was read and verified. */
export interface VerifiedLog {
  readonly file: string;
  readonly report: VerifyReport;
  /** A head that was stored outside the guest. */
  readonly head: Position | undefined;
  readonly activity: Activity;
}

/** Evidence that was verified. */
export interface VerifiedEvidence {
  readonly file: string;
  readonly verification: Verification;
  /** Names of links about the call that returned the evidence: a report need not know it. */
  readonly aboutTheCall: readonly string[];
}

export interface ProofInputs {
  readonly configuration: Configuration;
  readonly log: VerifiedLog | undefined;
  readonly evidence: VerifiedEvidence | undefined;
}

export function proofsOf({ configuration, log, evidence }: ProofInputs): Proofs {
  return {
    configuration: [
      runningLink(evidence),
      measuredLink(configuration, evidence),
      deliveryLink(configuration, evidence),
      startsLink(configuration, log),
    ],
    log: log === undefined ? [noLog] : logLinks(log),
    evidence: evidence === undefined ? [noEvidence] : evidenceLinks(evidence),
  };
}

const evidenceHelp =
  'kata-agent-ctl attest gets evidence of a running agent; [evidence] sources lets it give some';

function runningLink(evidence: VerifiedEvidence | undefined): ProofLink {
  const claim = 'A guest had this configuration when it gave the evidence.';
  const link = linkOf(evidence, 'claims.configuration');
  if (evidence === undefined || link === undefined)
    return { claim, state: 'not given', what: `no evidence was given: ${evidenceHelp}` };
  // To say more than the least proven link would be wrong (docs/security.md, S45).
  if (link.state === 'ok' && !evidence.verification.verified)
    return { claim, state: 'not proved', what: `${link.what}, by evidence that is not verified` };
  const isFresh = linkOf(evidence, 'claims.nonce')?.state === 'ok';
  const age = link.state !== 'ok' || isFresh ? '' : '; without --nonce, the evidence can be old';
  return { claim, state: stateOf(link.state), what: `${link.what}${age}` };
}

function measuredLink({ measurement }: Configuration, evidence: VerifiedEvidence | undefined): ProofLink {
  const claim = 'The configuration was measured into a register of the hardware before the agent listened.';
  const links = (['tpm.configuration', 'tdx.configuration'] as const).flatMap(
    (name) => linkOf(evidence, name) ?? [],
  );
  const worst = links.find(({ state }) => state === 'failed') ?? links[0];
  if (worst !== undefined) {
    const state = stateOf(worst.state);
    const isProved = state === 'proved' && evidence?.verification.verified !== true ? 'not proved' : state;
    return { claim, state: isProved, what: worst.what };
  }
  const { tpm, rtmr, pcr } = measurement;
  const wanted = [
    ...(tpm === 'off' ? [] : [`PCR ${pcr} (tpm = "${tpm}")`]),
    ...(rtmr === 'off' ? [] : [`RTMR 3 (rtmr = "${rtmr}")`]),
  ];
  return wanted.length === 0
    ? {
        claim,
        state: 'not proved',
        what: 'the configuration asks for no measurement: [measurement] tpm and rtmr are off',
      }
    : {
        claim,
        state: 'not given',
        what: `the agent extends ${wanted.join(' and ')}, and no evidence with these registers was given; kata-agent-ctl config digest prints their values`,
      };
}

function deliveryLink(
  { values, documents }: Configuration,
  evidence: VerifiedEvidence | undefined,
): ProofLink {
  const claim = 'The host cannot exchange a document that it delivers.';
  const setting = (key: string): unknown =>
    values.find((one) => one.section === 'delivery' && one.key === key)?.value;
  const accept = setting('accept');
  if (!Array.isArray(accept) || accept.length === 0) {
    return {
      claim,
      state: documents.length === 0 ? 'not proved' : 'proved',
      what:
        documents.length === 0
          ? 'there is no configuration document: the host may restrict the agent by initdata or not'
          : 'the base document accepts none: [delivery] accept is empty',
    };
  }
  const bind = String(setting('bind'));
  if (bind === 'none')
    return {
      claim,
      state: 'not proved',
      what: '[delivery] bind = "none": the host can exchange it or leave it out, which can narrow and never open',
    };
  const running = runningLink(evidence);
  return running.state === 'proved'
    ? { claim, state: 'proved', what: `bound by ${bind}, and part of the digest that the evidence has` }
    : {
        claim,
        state: 'not proved',
        what: `the agent compares it with ${bind} before it reads it; no evidence shows that a guest did`,
      };
}

function startsLink({ digest }: Configuration, log: VerifiedLog | undefined): ProofLink {
  const claim = 'The audit log was written under this configuration.';
  if (log === undefined) return { claim, state: 'not given', what: 'no audit log was given' };
  const { count, earlierRecords, configurations } = log.activity.starts;
  if (count === 0)
    return { claim, state: 'not proved', what: 'the log has no boot record: rotation has removed it' };
  const others = configurations.rows.filter((each) => each.digest !== digest);
  const [other] = others;
  const otherStarts = others.reduce((sum, each) => sum + each.starts, 0) + configurations.beyond;
  if (other !== undefined)
    return {
      claim,
      state: 'failed',
      what: `${otherStarts} of ${count} starts had another one: record ${other.sequence} has ${other.digest === undefined ? 'no digest' : `sha256:${other.digest}`}`,
    };
  const has = count === 1 ? 'the boot record has' : `all ${count} boot records have`;
  if (earlierRecords > 0)
    return {
      claim,
      state: 'not proved',
      what: `${has} its digest, but ${earlierRecords} records are of an earlier start, whose boot record rotation has removed`,
    };
  // Evidence binds the tree of one start.
  const isBound = log.report.ok && log.report.checkpoint?.trust?.kind === 'evidence' && count === 1;
  return isBound
    ? { claim, state: 'proved', what: `${has} its digest, and evidence binds the log` }
    : { claim, state: 'not proved', what: `${has} its digest: a log says so of itself` };
}

const noLog: ProofLink = {
  claim: 'The audit log is complete and unchanged.',
  state: 'not given',
  what: 'no audit log was given',
};

function logLinks({ file, report, head, activity }: VerifiedLog): readonly ProofLink[] {
  const { checkpoint, first, last } = report;
  const range = first === undefined ? '' : `, ${first} to ${last ?? first}`;
  const problems = report.problems.length + report.unlisted;
  const [problem] = report.problems;
  return [
    {
      claim: 'No record was changed, and none is missing between others: the hashes of the records fit.',
      state: problem === undefined ? 'proved' : 'failed',
      what:
        problem === undefined
          ? `${report.records} records${range}, in ${report.segments.length === 1 ? '1 file' : `${report.segments.length} files`}; the last one is ${formatHead(report.head)}`
          : `${problems === 1 ? '1 problem' : `${problems} problems`}, the first: ${problemText(problem)}; kata-agent-ctl audit verify ${file} prints them`,
    },
    coverLink(report, head),
    tailLink(report, head, activity),
    {
      claim: 'Nothing was removed from the beginning.',
      state: report.removed === 0 && first === 1 ? 'proved' : 'not proved',
      what:
        report.removed === 0
          ? first === 1
            ? 'record 1 is there'
            : `the log begins with record ${first ?? 'none'}`
          : `rotation has removed records 1 to ${report.removed}, and kept ${report.kept} of them`,
    },
    {
      claim: 'Each call was recorded.',
      state: 'not proved',
      what:
        activity.lost > 0
          ? `the log says itself that ${activity.lost} records could not be written`
          : checkpoint?.trust?.kind === 'evidence'
            ? 'that the agent records each call follows from its program, which the evidence measures'
            : 'the log has no sign of a lost record; that the agent records each call follows from its program, which only evidence shows',
    },
    {
      claim: 'A key broker gave its secrets to this guest alone.',
      state: 'not proved',
      what: 'identical guests have the same measurements, by which a key broker decides; what this guest asked for is in its records',
    },
  ];
}

function coverLink({ checkpoint, ok }: VerifyReport, head: Position | undefined): ProofLink {
  const claim = 'The log was not replaced as a whole, and not truncated before what was stored elsewhere.';
  if (checkpoint?.problem !== undefined)
    return { claim, state: 'failed', what: `checkpoint of ${checkpoint.origin}: ${checkpoint.problem}` };
  const parts = [
    ...(checkpoint?.trust === undefined
      ? []
      : [`a checkpoint covers the records to ${checkpoint.last ?? 'none'}: ${trustText(checkpoint.trust)}`]),
    ...(head === undefined ? [] : [`the head that was stored elsewhere is record ${head.sequence}`]),
  ];
  if (parts.length === 0)
    return {
      claim,
      state: 'not given',
      what: 'anyone who can write the file could have replaced it; a stored head (--head) or a checkpoint (--checkpoint) shows that it was not',
    };
  return { claim, state: ok ? 'proved' : 'failed', what: parts.join('; ') };
}

function tailLink(
  { checkpoint, last = 0 }: VerifyReport,
  head: Position | undefined,
  { to }: Activity,
): ProofLink {
  const covered = Math.max(
    checkpoint?.problem === undefined ? (checkpoint?.last ?? 0) : 0,
    head?.sequence ?? 0,
  );
  const later =
    to === undefined
      ? 'of later calls there is no record here'
      : `of calls after ${to} there is no record here`;
  return {
    claim: 'The log is complete at its end.',
    state: 'not proved',
    what:
      covered === 0
        ? `nothing from outside covers any record; ${later}`
        : covered < last
          ? `${covered + 1 === last ? `record ${last} is` : `records ${covered + 1} to ${last} are`} covered by the hashes alone; ${later}`
          : later,
  };
}

function problemText({ segment, line, sequence, what }: VerifyReport['problems'][number]): string {
  const place = segment === undefined ? '' : `${segment}${line === undefined ? '' : `:${line}`}: `;
  return `${place}${sequence === undefined ? '' : `record ${sequence}: `}${what}`;
}

const noEvidence: ProofLink = {
  claim: 'Hardware shows which software and configuration the guest has.',
  state: 'not given',
  what: `no evidence was given: ${evidenceHelp}`,
};

function evidenceLinks({ verification, aboutTheCall }: VerifiedEvidence): readonly ProofLink[] {
  return verification.links.map(({ name, state, what, waived }) => ({
    claim: name,
    state: stateOf(state),
    what: waived && !aboutTheCall.includes(name) ? `${what} (waived by the values file)` : what,
  }));
}

function linkOf(
  evidence: VerifiedEvidence | undefined,
  name: string,
): Verification['links'][number] | undefined {
  return evidence?.verification.links.find((link) => link.name === name);
}

function stateOf(state: 'ok' | 'failed' | 'not checked'): ProofState {
  switch (state) {
    case 'ok':
      return 'proved';
    case 'failed':
      return 'failed';
    case 'not checked':
      return 'not given';
  }
}
