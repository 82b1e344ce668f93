import type { CommandDefinition, CommandGroup } from '@kata-agent/cli';
import { annotate } from './annotate/annotate.js';
import { attest } from './attest.js';
import { auditCheckpoint } from './audit/checkpoint.js';
import { auditHead, auditVerify } from './audit/verify.js';
import { auditProve, auditVerifyProof } from './audit/proof.js';
import { auditShow, auditWatch } from './audit/show.js';
import { call } from './call.js';
import { check, describe, guest, version } from './agent-state.js';
import { configCheck } from './config/check.js';
import { configDigest } from './config/digest.js';
import { configDiff } from './config/diff.js';
import { configExplain } from './config/explain.js';
import { configGenerate } from './config/generate.js';
import { configInit, configSchema } from './config/init.js';
import { configProfile } from './config/profile.js';
import { configLearn } from './config/learn.js';
import { configMigrate } from './config/migrate.js';
import { configPin } from './config/pin.js';
import { configPreflight } from './config/preflight.js';
import { configShow } from './config/show.js';
import { configTest } from './config/test.js';
import { cp } from './cp.js';
import { endpoints } from './endpoints.js';
import { evidenceTrustee } from './evidence/trustee.js';
import { evidenceVerify } from './evidence/verify.js';
import { exec } from './exec.js';
import { explain } from './explain.js';
import { lsp } from './lsp.js';
import { logs, pause, resume, rm, signal } from './containers.js';
import { ps } from './ps.js';
import { realmAudit } from './realm/audit.js';
import { realmGuests } from './realm/guests.js';
import { realmRevoke, revoke } from './revoke.js';
import { replay } from './replay.js';
import { report } from './report.js';
import { run } from './run.js';
import { stats } from './stats.js';
import { workbench } from './workbench.js';

/** Groups: first words that take a second word. */
export const commandGroups: readonly CommandGroup[] = [
  {
    name: 'config',
    summary: 'check and explain configurations, on any machine',
    example: {
      line: 'kata-agent-ctl config init --starter minimal > config.toml',
      description: 'Prints a configuration to start from; run config check after every change.',
    },
  },
  {
    name: 'audit',
    summary: 'read and verify audit logs',
    example: {
      line: 'kata-agent-ctl audit show /run/kata-agent/audit.log --denied',
      description: 'Denied calls, and what denied them.',
    },
  },
  {
    name: 'evidence',
    summary: 'verify what an agent and its hardware prove',
    example: {
      line: 'kata-agent-ctl evidence verify bundle.json --reference values.json --config base.toml --nonce "$NONCE"',
      description: 'Verifies a bundle that attest wrote.',
    },
  },
  {
    name: 'realm',
    summary: 'guests that are connected to a realm, the server that they dial',
    example: {
      line: 'kata-agent-ctl realm guests -a realm://realm.example --cert me.pem --key me.key --realm-ca realm-ca.pem',
      description: 'Lists guests. Every command that takes --address takes realm://realm.example/GUEST.',
    },
  },
];

/** Every command, in the order of the help. */
export const commands: readonly CommandDefinition[] = [
  check,
  version,
  describe,
  attest,
  revoke,
  guest,
  run,
  exec,
  logs,
  ps,
  stats,
  signal,
  pause,
  resume,
  rm,
  cp,
  call,
  annotate,
  replay,
  endpoints,
  explain,
  configInit,
  configProfile,
  configCheck,
  configPreflight,
  configGenerate,
  configPin,
  configExplain,
  configDigest,
  configShow,
  configDiff,
  configLearn,
  configTest,
  configMigrate,
  configSchema,
  lsp,
  workbench,
  auditHead,
  auditVerify,
  auditCheckpoint,
  auditProve,
  auditVerifyProof,
  auditShow,
  auditWatch,
  evidenceVerify,
  evidenceTrustee,
  report,
  realmGuests,
  realmAudit,
  realmRevoke,
];
