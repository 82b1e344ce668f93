import { MountAttribute, Pace, type Syscalls } from '@kata-agent/linux';
import type { UndoStack } from '../container/undo-stack.js';
import type { OciMount } from '../oci-spec.js';
import { isBind } from '../spec/mounts.js';
import { type OpenSource, openSource } from './open-source.js';
import type { PodSources } from './pod-sources.js';
import type { SourceRules } from './source-place.js';
import { StagedMounts } from './staged-mounts.js';

interface Parts extends SourceRules {
  readonly container: string;
  /** For the copies; it is made. */
  readonly directory: string;
  readonly syscalls: Syscalls;
  readonly podSources: PodSources;
  readonly made: UndoStack;
  /** Gets the clean path of each source that is opened. */
  readonly opened: string[];
}

/** The sources of one container that is being made: each is opened once, and a copy of it is what the runtime mounts. */
export class ContainerSources {
  readonly #parts: Parts;
  readonly #staged: StagedMounts;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#staged = new StagedMounts(parts.directory, parts.syscalls, parts.made);
  }

  /** The caller closes the descriptor. */
  open(path: string, named: string): OpenSource {
    const { container, syscalls, opened } = this.#parts;
    const source = openSource({ path, named, container }, this.#parts, syscalls);
    opened.push(source.path);
    return source;
  }

  /**
   * A container's mounts as the runtime gets them: a bind mount with a copy as its source, any other mount as it is. Other
   * calls are answered meanwhile, however many there are.
   */
  async stageAll(mounts: readonly OciMount[]): Promise<readonly OciMount[]> {
    const pace = new Pace();
    const staged: OciMount[] = [];
    for (const mount of mounts) {
      await pace.step();
      staged.push(this.#stage(mount));
    }
    this.#staged.check();
    return staged;
  }

  #stage(mount: OciMount): OciMount {
    if (!isBind(mount)) return mount;
    const options = mount.options ?? [];
    const source = this.open(
      mount.source ?? '',
      `source of the mount at ${JSON.stringify(mount.destination)}`,
    );
    return {
      ...mount,
      source: this.#place(source, options),
      options: source.writable ? options : readOnly(options),
    };
  }

  #place(source: OpenSource, options: readonly string[]): string {
    const { access, podSources } = this.#parts;
    const propagates = options.some((option) => /^r?(?:shared|slave)$/.test(option));
    if (propagates && access.privileged === 'allow' && source.isDirectory) return podSources.use(source);
    const hasDevices = source.isDevice || source.kind === 'guest';
    return this.#staged.stage(source, {
      recursive: options.includes('rbind'),
      attributes: hasDevices ? 0 : MountAttribute.NoDev,
    });
  }
}

/** The runtime would make a mount writable again whose options say so. */
function readOnly(options: readonly string[]): readonly string[] {
  const others = options.filter((option) => !['rw', 'ro', 'rrw', 'rro'].includes(option));
  return [...others, 'ro'];
}
