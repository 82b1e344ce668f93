import { createHash } from 'node:crypto';
import { type Bundle, firmwareEvents, type TpmBundle } from '../bundle.js';
import { claimsDigest } from '../claims.js';
import { hasDigestOfData, initialValue, replay } from '../events/event-log.js';
import { EvidenceFormError } from '../evidence-error.js';
import { attempt, failed, type Link, notChecked, ok } from '../link.js';
import type { TpmTuple } from './values.js';
import { checkTpmRoot, type RootInputs } from './tpm-root.js';
import {
  type AttestationKey,
  type Attest,
  attribute,
  isSignedBy,
  parseAttest,
  parsePublicArea,
} from '../tpm/tpm-structures.js';

/** Root in the guest can reset the registers from here on (TCG PC Client Platform TPM Profile, PCR attributes). */
const firstResettable = 16;

const needed = ['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'restricted', 'sign'] as const;

/** What a verifier has beside the quote. */
export interface TpmExpectation extends RootInputs {
  readonly tuples: readonly TpmTuple[];
}

/** Verifies the hardware's part of a TPM quote: signature, key, root, registers, reference values, event logs. */
export function verifyTpm(
  bundle: Pick<Bundle, 'claims' | 'eventLogs'>,
  tpm: TpmBundle,
  expectation: TpmExpectation,
): readonly Link[] {
  const { tuples } = expectation;
  let parsed: { readonly key: AttestationKey; readonly attest: Attest };
  try {
    parsed = { key: parsePublicArea(tpm.publicArea), attest: parseAttest(tpm.attest) };
  } catch (error) {
    if (error instanceof EvidenceFormError) return [failed('tpm.signature', error.message)];
    throw error;
  }
  const { key, attest } = parsed;
  const signature = attempt('tpm.signature', () =>
    isSignedBy(key, tpm.attest, tpm.signature)
      ? ok(
          'tpm.signature',
          `a quote signed by the key ${key.name}; reset count ${attest.resetCount}, restart count ${attest.restartCount}`,
        )
      : failed('tpm.signature', 'the signature of the quote is not by the key of the bundle'),
  );
  return [
    signature,
    checkAttributes(key),
    ...checkTpmRoot(key, tpm.certificates, expectation),
    checkExtraData(attest, bundle.claims),
    checkRegisters(attest, tpm),
    checkMeasurement(key, tpm, tuples),
    attempt('tpm.event-log', () => checkEventLog(bundle, tpm, tuples)),
  ];
}

function checkAttributes({ attributes }: AttestationKey): Link {
  const missing = needed.filter((name) => (attributes & attribute[name]) === 0);
  if (missing.length > 0)
    return failed(
      'tpm.key',
      `the key is not ${missing.join(', ')}: it could sign what the TPM did not make, or exist outside of it`,
    );
  if ((attributes & attribute.decrypt) !== 0) return failed('tpm.key', 'the key also decrypts');
  return ok('tpm.key', `the key is ${needed.join(', ')}`);
}

function checkExtraData({ extraData }: Attest, claims: Uint8Array): Link {
  return Buffer.compare(extraData, claimsDigest(claims)) === 0
    ? ok('tpm.extra-data', 'the quote is of these claims')
    : failed('tpm.extra-data', 'the quote is of other claims');
}

/** Compares the selection and the digest of the quote with the registers of the bundle, exactly. */
function checkRegisters({ selection, pcrDigest }: Attest, { bank, values }: TpmBundle): Link {
  const name = 'tpm.registers';
  const [first] = selection;
  if (selection.length !== 1 || first === undefined || first.bank !== bank)
    return failed(name, `the quote is not of the bank ${bank} alone`);
  const given = [...values.keys()].sort((a, b) => a - b);
  if (first.registers.join() !== given.join())
    return failed(
      name,
      `the quote is of registers ${first.registers.join(', ') || 'none'}, and the bundle has ${given.join(', ') || 'none'}`,
    );
  const resettable = given.find((register) => register >= firstResettable);
  if (resettable !== undefined)
    return failed(name, `root in the guest can reset register ${resettable}: it proves nothing`);
  const digest = createHash('sha256');
  for (const register of given) digest.update(Buffer.from(values.get(register) ?? '', 'hex'));
  return digest.digest().equals(pcrDigest)
    ? ok(name, `registers ${given.join(', ')} of the bank ${bank}`)
    : failed(name, 'the digest of the quote is not that of the registers');
}

function checkMeasurement({ name: ak }: AttestationKey, tpm: TpmBundle, tuples: readonly TpmTuple[]): Link {
  const name = 'tpm.values';
  const usable = tuples.filter(
    (tuple) => tuple.registers.size > 0 && (tuple.ak === undefined || tuple.ak === ak),
  );
  if (usable.length === 0)
    return notChecked(name, 'unknown software: the values file has no register values for this key');
  return usable.some((tuple) => matches(tuple, tpm))
    ? ok(name, 'the registers have values of the values file')
    : failed(name, `unknown software: ${firstDifference(usable, tpm)}`);
}

function matches({ bank, registers }: TpmTuple, tpm: TpmBundle): boolean {
  return bank === tpm.bank && [...registers].every(([register, value]) => tpm.values.get(register) === value);
}

function firstDifference(tuples: readonly TpmTuple[], tpm: TpmBundle): string {
  if (tuples.length > 1) return `none of ${tuples.length} tuples of the values file matches`;
  const [tuple] = tuples;
  if (tuple === undefined || tuple.bank !== tpm.bank)
    return `the quote is of the bank ${tpm.bank}, the values of ${tuple?.bank ?? 'none'}`;
  const [register, value] = [...tuple.registers].find(([one, value]) => tpm.values.get(one) !== value) ?? [];
  return `register ${register} is ${tpm.values.get(register ?? -1) ?? 'not quoted'}, expected ${value}`;
}

/** Replays the logs: they must give the value of each quoted register whose value no tuple demands. */
function checkEventLog(bundle: Pick<Bundle, 'eventLogs'>, tpm: TpmBundle, tuples: readonly TpmTuple[]): Link {
  const name = 'tpm.event-log';
  const agent = bundle.eventLogs.tpm;
  const forged = agent.findIndex((event) => !hasDigestOfData(event, tpm.bank));
  if (forged >= 0)
    return failed(name, `record ${forged} of the agent's log has a digest that is not of its data`);
  const firmware = firmwareEvents(bundle);
  const own = new Set(agent.map(({ register }) => register));
  // The data of the firmware's events are not compared with their digests: those of a first start of the agent could be among them,
  // and the agent's log would have a start that a program made later.
  const hidden = firmware.find(({ register }) => own.has(register));
  if (hidden !== undefined)
    return failed(
      name,
      `the log of the firmware has an event in register ${hidden.register}, which is the agent's: use another one as [measurement] pcr`,
    );
  const values = replay([...firmware, ...agent], tpm.bank);
  const pinned = tuples.find((tuple) => matches(tuple, tpm));
  for (const [register, value] of tpm.values) {
    if (pinned?.registers.has(register) === true && !own.has(register)) continue;
    const replayed = values.has(register) ? values.get(register) : initialValue(tpm.bank);
    if (replayed !== value)
      return failed(
        name,
        `the logs give register ${register} the value ${replayed ?? 'none'}, and the quote has ${value}`,
      );
  }
  const missing = [...own].find((register) => !tpm.values.has(register));
  return missing === undefined
    ? ok(name, `the logs explain the registers: ${agent.length} events of the agent`)
    : failed(name, `the agent's log has events in register ${missing}, which is not quoted`);
}
