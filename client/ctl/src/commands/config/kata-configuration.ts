import { existsSync, readdirSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseToml, type TomlTable, decodeDocument, renderDiagnostic } from '@kata-agent/config';
import { emptyDirModes, type RuntimeSetup } from '@kata-agent/workloads';
import { CommandError, ExitCode, readInput, reasonOf } from '@kata-agent/cli';

/** What the configuration of a runtime says. */
export type KnownSetup = Pick<RuntimeSetup, 'runtime' | 'guest' | 'emptyDirs'>;

/** `shared_fs`, by whether the host shares files then. */
const sharedFileSystems: ReadonlyMap<string, boolean> = new Map([
  ['none', false],
  ['virtio-fs', true],
  ['virtio-fs-nydus', true],
  ['inline-virtio-fs', true],
  ['virtio-9p', true],
]);

/**
 * Reads from the configuration of Kata's runtime what decides which calls it makes: the runtime, whether the host shares files, and what
 * empty directories are. The files of `config.d` beside it count, as for the runtimes. Throws a CommandError: a file cannot be read (3),
 * is not TOML, or has a value that no runtime accepts (1).
 *
 * Sources, Kata Containers 4.1.0: `src/runtime/pkg/katautils/config.go` (`sharedFS`, `emptyDirMode`, `decodeDropIns`),
 * `src/libs/kata-types/src/config` (`SharedFsInfo::adjust_config`, `runtime.rs`, `drop_in.rs`).
 */
export function readKataConfiguration(file: string): KnownSetup {
  const documents = [file, ...dropInsOf(file)].map((path) => ({ path, table: parsed(path) }));
  const read = (...keys: readonly string[]): string | undefined => {
    const texts = documents.map(({ table }) => textAt(table, keys));
    return texts.findLast((text) => text !== undefined);
  };
  const isRs = read('runtime', 'name') !== undefined;
  const hypervisor = read('runtime', 'hypervisor_name') ?? onlyHypervisor(documents[0]?.table);
  if (hypervisor === undefined)
    throw new CommandError(ExitCode.Failed, `${file} has no section [hypervisor.…]`, {
      help: [
        'name the configuration.toml of the runtime, such as /opt/kata/share/defaults/kata-containers/configuration.toml',
      ],
    });
  const emptyDir = read('runtime', 'emptydir_mode') || 'shared-fs';
  const emptyDirs = emptyDirModes.find((mode) => mode === emptyDir);
  if (emptyDirs === undefined) throw notAccepted(file, 'emptydir_mode', emptyDir, emptyDirModes);
  if (hypervisor === 'remote')
    return isRs
      ? { runtime: 'rs', guest: 'confidential', emptyDirs }
      : { runtime: 'remote', guest: 'confidential' };
  // Without the key, the Go runtime shares files and runtime-rs does not.
  const shared = read('hypervisor', hypervisor, 'shared_fs') ?? (isRs ? 'none' : 'virtio-fs');
  const shares = sharedFileSystems.get(shared || 'virtio-fs');
  if (shares === undefined) throw notAccepted(file, 'shared_fs', shared, [...sharedFileSystems.keys()]);
  return { runtime: isRs ? 'rs' : 'go', guest: shares ? 'shared-fs' : 'confidential', emptyDirs };
}

/** The runtimes read all files there, in the order of their names, and follow a link to the configuration first. */
function dropInsOf(file: string): readonly string[] {
  if (!existsSync(file)) return [];
  const directory = join(dirname(realpathSync(file)), 'config.d');
  if (!existsSync(directory)) return [];
  try {
    return readdirSync(directory)
      .sort()
      .map((name) => join(directory, name));
  } catch (error) {
    throw new CommandError(ExitCode.CannotApply, `cannot read ${directory}: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

function parsed(path: string): TomlTable {
  const decoded = decodeDocument(readInput(path), path);
  const toml = decoded.ok ? parseToml(decoded.source) : decoded;
  if (toml.ok) return toml.root;
  throw new CommandError(ExitCode.Failed, renderDiagnostic(toml.diagnostic, { color: false }));
}

function textAt(table: TomlTable, keys: readonly string[]): string | undefined {
  const [key = '', ...below] = keys;
  const value = table.entries.get(key)?.value;
  if (value?.kind === 'table' && below.length > 0) return textAt(value, below);
  return value?.kind === 'string' && below.length === 0 ? value.value : undefined;
}

/** The Go runtime takes the one section that the file has. */
function onlyHypervisor(table: TomlTable | undefined): string | undefined {
  const sections = table?.entries.get('hypervisor')?.value;
  return sections?.kind === 'table' ? [...sections.entries.keys()][0] : undefined;
}

function notAccepted(file: string, key: string, value: string, accepted: readonly string[]): CommandError {
  return new CommandError(
    ExitCode.Failed,
    `${file}: ${key} = ${JSON.stringify(value)}: no runtime accepts it`,
    {
      help: [`it is one of ${accepted.join(', ')}`],
    },
  );
}
