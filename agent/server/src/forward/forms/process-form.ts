import { posix } from 'node:path';
import { create } from '@bufbuild/protobuf';
import { type LinuxCapabilities, type Process, ProcessSchema } from '@kata-agent/protocol/oci';
import type { FormContext } from './forwarded-sandbox.js';
import { checkDistinct, checkId, checkRange, checkText, malformed, quoted, refused } from './values.js';

/**
 * The capabilities of Linux. Kata's agent also accepts them without `CAP_`, which is completed before rules see them
 * (`specNames`), and as JSON text: `"\"SYS_ADMIN\""`; of any other name it panics (Kata: src/libs/protocols/src/trans.rs:40-52).
 */
const capabilities: ReadonlySet<string> = new Set(
  `AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID
  IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW
  PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO
  SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM`
    .split(/\s+/)
    .map((name) => `CAP_${name}`),
);

/** Names of getrlimit(2); Kata's agent panics of others (trans.rs:1003-1020). */
const rlimits: ReadonlySet<string> = new Set(
  'AS CORE CPU DATA FSIZE LOCKS MEMLOCK MSGQUEUE NICE NOFILE NPROC RSS RTPRIO RTTIME SIGPENDING STACK'
    .split(' ')
    .map((name) => `RLIMIT_${name}`),
);

/** A label of SELinux, user:role:type:level. Kata's own pattern is not anchored (rustjail/src/validator.rs:96-118). */
const label = /^[a-z0-9_]{1,64}:[a-z0-9_]{1,64}:[a-z0-9_]{1,64}:s\d{1,2}[a-z0-9:,.-]{0,64}$/;

/** A directory of a process in /proc: CVE-2024-21626 (cwd), CVE-2019-5736 (args[0]). */
const ofProcess = /^\/proc\/(?:self|thread-self|[0-9]+)(?:\/|$)/;

/** CDI devices by the environment (src/agent/src/device/mod.rs:303-335). */
const cdiVariable = 'VISIBLE_CDI_DEVICES=';

/** Reads the process of a container or exec. @throws NotAlike */
export function readProcess(process: Process | undefined, at: string, context: FormContext): Process {
  if (process === undefined) throw malformed(at, 'it is missing');
  const { Args, Env, Cwd, User, Capabilities, Rlimits, OOMScoreAdj, ConsoleSize } = process;
  if ((Args[0] ?? '') === '') throw malformed(`${at}.Args`, 'they are empty', 'name a program to run');
  for (const arg of Args) checkText(`${at}.Args`, arg);
  checkEnvironment(Env, `${at}.Env`, context);
  checkPlaces(process, at);
  // Kata's agent converts it to an i32 (trans.rs:1101).
  checkRange(`${at}.OOMScoreAdj`, OOMScoreAdj, -1_000, 1_000);
  if (User !== undefined) {
    checkId(`${at}.User.UID`, User.UID);
    checkId(`${at}.User.GID`, User.GID);
    for (const group of User.AdditionalGids) checkId(`${at}.User.AdditionalGids`, group);
  }
  checkCapabilities(Capabilities, `${at}.Capabilities`);
  checkDistinct(
    `${at}.Rlimits`,
    Rlimits.map(({ Type }) => Type),
  );
  for (const { Type, Hard, Soft } of Rlimits) {
    if (!rlimits.has(Type)) throw malformed(`${at}.Rlimits`, `${quoted(Type)} is not a resource limit`);
    if (Soft > Hard)
      throw malformed(`${at}.Rlimits`, `the soft limit ${Soft} of ${Type} is above the hard one, ${Hard}`);
  }
  checkLabel(`${at}.SelinuxLabel`, process.SelinuxLabel);
  if (!/^[\x21-\x7e]{0,255}$/.test(process.ApparmorProfile))
    throw malformed(
      `${at}.ApparmorProfile`,
      `${quoted(process.ApparmorProfile)} is not the name of a profile`,
    );
  return create(ProcessSchema, {
    Terminal: process.Terminal,
    ...(ConsoleSize === undefined
      ? {}
      : { ConsoleSize: { Height: ConsoleSize.Height, Width: ConsoleSize.Width } }),
    ...(User === undefined
      ? {}
      : {
          User: {
            UID: User.UID,
            GID: User.GID,
            AdditionalGids: [...User.AdditionalGids],
            Username: userName(User.Username, at),
          },
        }),
    Args: [...Args],
    Env: [...Env],
    Cwd,
    ...(Capabilities === undefined
      ? {}
      : {
          Capabilities: {
            Bounding: [...Capabilities.Bounding],
            Effective: [...Capabilities.Effective],
            Inheritable: [...Capabilities.Inheritable],
            Permitted: [...Capabilities.Permitted],
            Ambient: [...Capabilities.Ambient],
          },
        }),
    Rlimits: Rlimits.map(({ Type, Hard, Soft }) => ({ Type, Hard, Soft })),
    NoNewPrivileges: process.NoNewPrivileges,
    ApparmorProfile: process.ApparmorProfile,
    OOMScoreAdj,
    SelinuxLabel: process.SelinuxLabel,
  });
}

/** Neither agent uses it. */
function userName(name: string, at: string): string {
  checkText(`${at}.User.Username`, name);
  return name;
}

function checkEnvironment(env: readonly string[], field: string, { isRefusing }: FormContext): void {
  // The error has no value, since errors are logged.
  if (env.some((entry) => entry.indexOf('=') < 1 || entry.includes('\0')))
    throw malformed(field, 'it has an entry that is not of the form NAME=value');
  const devices =
    env
      .find((entry) => entry.startsWith(cdiVariable))
      ?.slice(cdiVariable.length)
      .trim() ?? '';
  if (isRefusing && !['', 'none', 'void'].includes(devices))
    throw refused(field, `${cdiVariable} gives the container devices that no rule sees`, 'set it to "none"');
}

function checkPlaces({ Args: [program = ''], Cwd, Env }: Process, at: string): void {
  const isPlain =
    Cwd === '' || (Cwd.startsWith('/') && !Cwd.split('/').includes('..') && !Cwd.includes('\0'));
  if (!isPlain) throw malformed(`${at}.Cwd`, `${quoted(Cwd)} is not an absolute path without ..`);
  const directory = Cwd === '' ? '/' : Cwd;
  const searched = Env.filter((entry) => entry.startsWith('PATH=')).flatMap((entry) =>
    entry.slice(5).split(':'),
  );
  const places: readonly (readonly [string, string])[] = [
    ['Cwd', directory],
    ...(program.includes('/') ? [['Args', program] as const] : searched.map((one) => ['Env', one] as const)),
  ];
  for (const [name, path] of places)
    if (ofProcess.test(posix.resolve(directory, path)))
      throw refused(`${at}.${name}`, `${quoted(path)} is in the directory of a process in /proc`);
}

function checkCapabilities(sets: LinuxCapabilities | undefined, field: string): void {
  if (sets === undefined) return;
  const { Bounding, Effective, Inheritable, Permitted, Ambient } = sets;
  const unknown = [Bounding, Effective, Inheritable, Permitted, Ambient]
    .flat()
    .find((one) => !capabilities.has(one));
  if (unknown !== undefined) throw malformed(field, `${quoted(unknown)} is not the name of a capability`);
}

export function checkLabel(field: string, text: string): void {
  if (text !== '' && !label.test(text)) throw malformed(field, `${quoted(text)} is not user:role:type:level`);
}
