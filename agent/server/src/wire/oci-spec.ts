import type { OciHook, OciHooks, OciProcess, OciSpec } from '@kata-agent/guest';
import type { Hook, Hooks, Process, Spec } from '@kata-agent/protocol/oci';
import { ociLinux } from './oci-linux.js';

/**
 * Converts the wire's specification to the runtime-spec's JSON form. An empty string or an absent message means "not
 * set": proto3 has no other way to express that.
 */
export function ociSpec(spec: Spec): OciSpec {
  return {
    ociVersion: spec.Version === '' ? '1.0.2' : spec.Version,
    process: spec.Process && ociProcess(spec.Process),
    root: spec.Root && { path: spec.Root.Path, readonly: spec.Root.Readonly },
    hostname: spec.Hostname,
    mounts: spec.Mounts.map(({ destination, source, type, options }) => ({
      destination,
      source,
      type,
      options,
    })),
    hooks: spec.Hooks && ociHooks(spec.Hooks),
    annotations: spec.Annotations,
    linux: spec.Linux && ociLinux(spec.Linux),
  };
}

/**
 * Converts a process to the runtime-spec's JSON form. The OOM score is always set: the agent's own must not be
 * inherited.
 */
export function ociProcess(process: Process): OciProcess {
  const { User: user, Capabilities: sets } = process;
  return {
    terminal: process.Terminal,
    consoleSize: process.ConsoleSize && {
      height: process.ConsoleSize.Height,
      width: process.ConsoleSize.Width,
    },
    user: {
      uid: user?.UID ?? 0,
      gid: user?.GID ?? 0,
      additionalGids: user?.AdditionalGids ?? [],
      username: user?.Username,
    },
    args: process.Args,
    env: process.Env,
    cwd: process.Cwd === '' ? '/' : process.Cwd,
    capabilities: sets && {
      bounding: sets.Bounding,
      effective: sets.Effective,
      inheritable: sets.Inheritable,
      permitted: sets.Permitted,
      ambient: sets.Ambient,
    },
    rlimits: process.Rlimits.map(({ Type, Hard, Soft }) => ({ type: Type, hard: Hard, soft: Soft })),
    noNewPrivileges: process.NoNewPrivileges,
    apparmorProfile: process.ApparmorProfile,
    oomScoreAdj: Number(process.OOMScoreAdj),
    selinuxLabel: process.SelinuxLabel,
  };
}

function ociHooks(hooks: Hooks): OciHooks {
  return {
    prestart: hooks.Prestart.map(ociHook),
    createRuntime: hooks.CreateRuntime.map(ociHook),
    createContainer: hooks.CreateContainer.map(ociHook),
    startContainer: hooks.StartContainer.map(ociHook),
    poststart: hooks.Poststart.map(ociHook),
    poststop: hooks.Poststop.map(ociHook),
  };
}

function ociHook({ Path, Args, Env, Timeout }: Hook): OciHook {
  return { path: Path, args: Args, env: Env, timeout: Timeout === 0n ? undefined : Number(Timeout) };
}
