// A virtual machine as those see it who use it: its console, its ports, and its end.
import { EventEmitter } from 'node:events';
import { connect } from 'node:net';
import { isKvmFailure, kvmFailureText, rememberFailure } from './vm-accelerator.mjs';
import { Patience } from './vm-limits.mjs';
import { Qmp } from './vm-qmp.mjs';
import { Run } from './vm-run.mjs';

/** How many of the console's lines an error shows. */
const shown = 20;

/**
 * Emits `line`; `again` when a guest that KVM could not run starts anew under TCG; and `end`. It starts anew once, and only
 * as long as nobody has used the guest: had a line that was waited for, a connection, or QMP.
 */
export class Machine extends EventEmitter {
  /** The console's lines so far. */
  lines = [];
  /** QEMU's exit code, once the machine is off; null after a signal. `poweredOff` does not wait for ever. */
  ended;
  /** A `kind` and a `text`, when it ended otherwise than by power-off or a caller. */
  failure;
  #options;
  #accelerator;
  #run;
  #socket;
  #key;
  #ports = new Map();
  #used = false;
  #killed = false;
  #over = false;
  #console = [];
  #kvmFailed = false;
  #boot;
  #settleUp;
  #settleEnded;

  /**
   * `start`: starts QEMU under an accelerator. `choice`: which one, by `chooseAccelerator`, on a `host` as there. `ready`: what
   * the console says when the guest is up. `limits`: as `defaultLimits`. `say`: takes a line for people. `log`: a stream.
   */
  constructor(options) {
    super();
    this.#options = options;
    this.#accelerator = options.choice.name;
    this.ended = new Promise((resolve) => {
      this.#settleEnded = resolve;
    });
  }

  /** Resolves when QEMU is up; rejects when it does not come up, and the machine is off then. */
  async begin() {
    const up = new Promise((resolve) => {
      this.#settleUp = resolve;
    });
    try {
      await this.#start();
    } catch (error) {
      this.#options.log?.end();
      throw error;
    }
    if (!(await up)) throw this.#error('QEMU did not come up');
  }

  /** `kvm` or `tcg`. */
  get accelerator() {
    return this.#accelerator;
  }

  /** The port of this machine that leads to one of the guest. */
  port(guest) {
    return this.#ports.get(guest);
  }

  /** The relay in the guest serves whoever begins with the key. */
  connect(guest) {
    this.#used = true;
    const socket = connect({ host: '127.0.0.1', port: this.port(guest), allowHalfOpen: true });
    socket.write(this.#key);
    return socket;
  }

  /** The host's hands on the machine. QEMU serves one such connection at a time. */
  qmp() {
    this.#used = true;
    return Qmp.open(this.#socket, this.#options.limits);
  }

  /**
   * Resolves with the first console line, past ones included, that has this in it. Rejects when the machine ends; one that
   * does not come to say it is ended.
   */
  async line(pattern, seconds = this.#options.limits.wait) {
    const found = this.lines.find((line) => pattern.test(line)) ?? (await this.#nextLine(pattern, seconds));
    this.#used = true;
    return found;
  }

  /** The same as `ended` for a guest that should power off; one that does not is ended. */
  async poweredOff(seconds = this.#options.limits.wait) {
    const patience = this.#patience(seconds, 'the guest does not power off');
    try {
      return await this.ended;
    } finally {
      patience.stop();
    }
  }

  /** What to tell of a machine that failed. */
  get report() {
    return this.#error('the machine failed').message;
  }

  /** Pulls the plug. */
  kill() {
    this.#killed = true;
    this.#run?.end({ kind: 'killed' });
    return this.ended;
  }

  async #start() {
    const { limits, ready, log } = this.#options;
    const { qemu, folder, helpers, key, socket } = await this.#options.start(this.#accelerator);
    const run = new Run({ qemu, folder, helpers, limits });
    this.#run = run;
    this.#key = key;
    this.#socket = socket;
    this.#boot = this.#patience(limits.up, 'the guest never became ready');
    run.on('line', (text, isOfConsole) => {
      log?.write(`${text}\n`);
      this.lines.push(text);
      if (isOfConsole) this.#console.push(text);
      if (ready.test(text)) this.#boot.stop();
      this.emit('line', text);
    });
    void run.ended.then((ending) => this.#take(ending, run.own));
    if (this.#killed) run.end({ kind: 'killed' });
    void run.up().then((ports) => {
      if (ports === undefined || run !== this.#run) return;
      this.#ports = ports;
      this.#settleUp(true);
    });
  }

  /** At the end of a run: the machine's own, or another start. */
  async #take(ending, own) {
    this.#boot.stop();
    const { choice, host } = this.#options;
    this.#kvmFailed = this.#accelerator === 'kvm' && !this.#killed && isKvmFailure(ending, own);
    if (!this.#kvmFailed || choice.forced) return this.#finish(ending, own);
    const why = kvmFailureText(own);
    rememberFailure(host, why);
    if (this.#used) return this.#finish(ending, own);
    try {
      await this.#startAgain(why);
    } catch (error) {
      this.#finish({ code: null, signal: null, reason: { kind: 'exited', text: error.message } }, []);
    }
  }

  async #startAgain(why) {
    this.#options.say(
      `KVM fails on this machine (${why}): the guest starts again under TCG, which emulates a processor and is slower`,
    );
    this.#accelerator = 'tcg';
    this.lines = [];
    this.#console = [];
    this.emit('again');
    await this.#start();
  }

  #finish(ending, own) {
    this.failure = failureOf(ending, own);
    this.#over = true;
    this.#options.log?.end();
    this.#settleUp(false);
    this.#settleEnded(ending.code);
    this.emit('end');
  }

  #nextLine(pattern, seconds) {
    return new Promise((resolve, reject) => {
      const patience = this.#patience(seconds, `its console does not say ${pattern}`);
      const settle = () => {
        patience.stop();
        this.off('line', look);
        this.off('end', fail);
      };
      const look = (line) => {
        if (!pattern.test(line)) return;
        settle();
        resolve(line);
      };
      const fail = () => {
        settle();
        reject(this.#error(`the machine ended before its console said ${pattern}`));
      };
      this.on('line', look);
      this.on('end', fail);
      if (this.#over) fail();
    });
  }

  /** Ends the machine when there is no progress: a line of the console is one, and so is another start. */
  #patience(limit, problem) {
    const heard = () => patience.heard();
    const { silence } = this.#options.limits;
    const patience = new Patience({ silence, limit }, (why) => {
      this.#run.end({ kind: 'hung', text: `${problem}: ${why}` });
    });
    this.on('line', heard).on('again', heard);
    return {
      stop: () => {
        patience.stop();
        this.off('line', heard).off('again', heard);
      },
    };
  }

  /** For people: what is wrong, why, the console's last lines, and what to do. */
  #error(problem) {
    const last = this.#console.length === 0 ? ['its console said nothing'] : this.#console.slice(-shown);
    const text = [`${problem}: ${this.failure?.text ?? 'it is off'}`, ...last, ...this.#help()].join('\n');
    return new Error(text);
  }

  #help() {
    if (this.#kvmFailed)
      return this.#options.choice.forced
        ? ['help: KVM was asked for (--accel, KATA_VM_ACCEL): without that TCG takes over']
        : ['help: the next machine starts under TCG: try again'];
    if (this.failure?.kind !== 'hung') return [];
    const other = this.#accelerator === 'kvm' ? ', KATA_VM_ACCEL=tcg does without KVM' : '';
    return [`help: the word loglevel=7 on its line has the kernel say what it does${other}`];
  }
}

/** Why a run ended, unless the guest powered off or a caller killed it. */
function failureOf({ code, signal, reason }, own) {
  const said = own.slice(0, shown).join('\n');
  if (reason === undefined)
    return code === 0 ? undefined : { kind: 'exited', text: said || `QEMU ended with ${signal ?? code}` };
  if (reason.kind === 'killed') return undefined;
  return reason.kind === 'stopped' ? { ...reason, text: `${reason.text}\n${said}`.trim() } : reason;
}
