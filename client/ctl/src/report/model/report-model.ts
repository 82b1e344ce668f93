import { exposureOf, type Exposure, privilegedSetting } from './exposure.js';
import type { Activity } from './activity.js';
import { type ProofInputs, type Proofs, proofsOf, type VerifiedEvidence, type VerifiedLog } from './proof.js';

/** Everything that a report says, apart from how it looks. */
export interface ReportModel {
  /** RFC 3339, UTC. */
  readonly made: string;
  /** The version of this program. */
  readonly version: string;
  readonly file: string;
  /** The results that a reader must not miss, the worst first. */
  readonly findings: readonly Finding[];
  readonly exposure: Exposure;
  readonly log: VerifiedLog | undefined;
  readonly evidence: VerifiedEvidence | undefined;
  readonly proofs: Proofs;
}

interface Finding {
  /** `bad`: a verification failed. `warning`: open to the host, or denied. */
  readonly kind: 'bad' | 'warning' | 'good' | 'neutral';
  readonly text: string;
}

export interface ReportInputs extends ProofInputs {
  readonly made: string;
  readonly version: string;
  /** The base document. */
  readonly file: string;
  /** The texts of the documents by file, as far as they are known. */
  readonly texts: ReadonlyMap<string, string>;
}

export function reportModel(inputs: ReportInputs): ReportModel {
  const { configuration, texts, log, evidence, made, version, file } = inputs;
  const exposure = exposureOf(configuration, texts);
  const proofs = proofsOf(inputs);
  const findings = [
    ...logFindings(log),
    ...configurationFindings(proofs),
    ...evidenceFindings(evidence),
    ...exposureFindings(exposure),
  ];
  const order: readonly Finding['kind'][] = ['bad', 'warning', 'good', 'neutral'];
  return {
    made,
    version,
    file,
    findings: findings.sort((one, other) => order.indexOf(one.kind) - order.indexOf(other.kind)),
    exposure,
    log,
    evidence,
    proofs,
  };
}

function logFindings(log: VerifiedLog | undefined): Finding[] {
  if (log === undefined)
    return [{ kind: 'neutral', text: 'No audit log was given: what the agent did is not in this report.' }];
  const { report, activity, file } = log;
  const problems =
    report.problems.length + report.unlisted + (report.checkpoint?.problem === undefined ? 0 : 1);
  const verified: Finding = report.ok
    ? {
        kind: 'good',
        text: `The audit log verifies: ${report.records} records${report.checkpoint === undefined && log.head === undefined ? ', and nothing from outside shows that it was not replaced' : ''}.`,
      }
    : {
        kind: 'bad',
        text: `The audit log ${file} does not verify (${problems === 1 ? '1 problem' : `${problems} problems`}): what this report says from it is not reliable.`,
      };
  const denied: readonly Finding[] =
    activity.denied === 0
      ? []
      : [
          {
            kind: 'warning',
            text: `${activity.denied === 1 ? '1 call was' : `${activity.denied} calls were`} denied.`,
          },
        ];
  const lost: readonly Finding[] =
    activity.lost === 0
      ? []
      : [{ kind: 'warning', text: `${activity.lost} records of the audit log are missing.` }];
  return [verified, ...denied, ...wouldDeny(activity), ...lost, ...removed(activity)];
}

function wouldDeny({ wouldDeny: count }: Activity): readonly Finding[] {
  if (count === 0) return [];
  const text = `${count === 1 ? '1 call was' : `${count} calls were`} served that a rule would have denied, which only records.`;
  return [{ kind: 'warning', text }];
}

function removed({ removed: found }: Activity): readonly Finding[] {
  if (found === undefined) return [];
  const refused = found.methods.rows.reduce((sum, { denied }) => sum + denied, 0);
  const text = `Rotation has removed records 1 to ${found.last} and kept ${found.kept} of them. The log says that ${refused} of the calls in them were denied; numbers and tables of this report are of the records that are left.`;
  return [{ kind: 'warning', text }];
}

function configurationFindings({ configuration }: Proofs): readonly Finding[] {
  return configuration
    .filter(({ state }) => state === 'failed')
    .map(({ claim, what }) => ({ kind: 'bad', text: `Not true: ${claim} ${what}` }));
}

function evidenceFindings(evidence: VerifiedEvidence | undefined): readonly Finding[] {
  if (evidence === undefined)
    return [
      {
        kind: 'neutral',
        text: 'No evidence was given: that a guest runs with this configuration is not proved.',
      },
    ];
  const { verified, result } = evidence.verification;
  return [
    verified
      ? { kind: 'good', text: `The evidence ${evidence.file} is ${result}.` }
      : { kind: 'bad', text: `The evidence ${evidence.file} does not verify: ${result}.` },
  ];
}

function exposureFindings({ openings, counts }: Exposure): readonly Finding[] {
  const { served, underRules, methods } = counts;
  const privileged = openings.find(({ setting }) => setting === privilegedSetting);
  const others = openings.filter((one) => one !== privileged);
  return [
    ...(privileged === undefined
      ? []
      : [
          {
            kind: 'warning',
            text: 'Privileged containers are allowed: a caller that can create a container has root access to the guest.',
          } as const,
        ]),
    ...(others.length === 0
      ? []
      : [
          {
            kind: 'warning',
            text: `The guest is opened by ${others.map(({ setting, value }) => `${setting} = ${value}`).join('; ')}.`,
          } as const,
        ]),
    {
      kind: served === methods ? 'warning' : 'neutral',
      text: `${served} of ${methods} methods are served, ${underRules === 0 ? 'none' : underRules} of them only under rules.`,
    },
  ];
}
