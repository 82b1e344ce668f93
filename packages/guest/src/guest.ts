import type {
  CopyFile,
  CreateContainer,
  CreateSandbox,
  ExecProcess,
  GuestDetails,
  GuestDetailsQuery,
  ProcessRef,
  ReadStream,
  RemoveContainer,
  ResizeTerminal,
  SignalProcess,
  UpdateContainer,
  WriteStdin,
} from './actions.js';
import type { ContainerStats } from './container-stats.js';
import { GuestError } from './guest-error.js';
import type { GuestOptions } from './guest-options.js';

const soon = (what: string): Promise<never> =>
  Promise.reject(new GuestError('unimplemented', `${what} is not built yet`));

/** The guest's work. Every failure is a GuestError. Calls that change something are done one after another. */
export class Guest {
  readonly options: GuestOptions;

  private constructor(options: GuestOptions) {
    this.options = options;
  }

  /** Looks for the runtime, logs its version and clears what an earlier agent left behind. */
  static async open(options: GuestOptions): Promise<Guest> {
    return new Guest(options);
  }

  createSandbox(_action: CreateSandbox): Promise<void> {
    return soon('CreateSandbox');
  }
  destroySandbox(): Promise<void> {
    return soon('DestroySandbox');
  }
  details(_query: GuestDetailsQuery): Promise<GuestDetails> {
    return soon('GetGuestDetails');
  }
  createContainer(_action: CreateContainer): Promise<void> {
    return soon('CreateContainer');
  }
  startContainer(_id: string): Promise<void> {
    return soon('StartContainer');
  }
  removeContainer(_action: RemoveContainer): Promise<void> {
    return soon('RemoveContainer');
  }
  execProcess(_action: ExecProcess): Promise<void> {
    return soon('ExecProcess');
  }
  signalProcess(_action: SignalProcess): Promise<void> {
    return soon('SignalProcess');
  }
  /** The exit code (128 + n for a signal n), now or when it ends. Rejects with the signal's reason when aborted. */
  waitProcess(_ref: ProcessRef, _signal: AbortSignal): Promise<number> {
    return soon('WaitProcess');
  }
  /** At least one byte and at most `length`; waits when there is none; empty: end of file. */
  readStream(_action: ReadStream, _signal: AbortSignal): Promise<Uint8Array> {
    return soon('ReadStdout');
  }
  /** Resolves with the number of bytes, once the pipe or terminal has taken them all. */
  writeStdin(_action: WriteStdin): Promise<number> {
    return soon('WriteStdin');
  }
  closeStdin(_ref: ProcessRef): Promise<void> {
    return soon('CloseStdin');
  }
  resizeTerminal(_action: ResizeTerminal): Promise<void> {
    return soon('TtyWinResize');
  }
  pauseContainer(_id: string): Promise<void> {
    return soon('PauseContainer');
  }
  resumeContainer(_id: string): Promise<void> {
    return soon('ResumeContainer');
  }
  updateContainer(_action: UpdateContainer): Promise<void> {
    return soon('UpdateContainer');
  }
  statsContainer(_id: string): Promise<ContainerStats> {
    return soon('StatsContainer');
  }
  copyFile(_action: CopyFile): Promise<void> {
    return soon('CopyFile');
  }
  /** The id of a container whose process was killed for want of memory; waits for the next. */
  nextOomEvent(_signal: AbortSignal): Promise<string> {
    return soon('GetOOMEvent');
  }
  /** Ends everything, as destroySandbox; for the agent's own end. */
  shutdown(): Promise<void> {
    return Promise.resolve();
  }
}
