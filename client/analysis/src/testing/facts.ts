import type { MethodName } from '@kata-agent/catalogue';
import type { RequestFacts } from '@kata-agent/gate';
import * as fc from 'fast-check';

const sorted = (texts: fc.Arbitrary<string>): fc.Arbitrary<readonly string[]> =>
  fc.uniqueArray(texts, { maxLength: 4 }).map((list) => list.sort());

const id = fc.integer({ min: 0, max: 2 ** 32 - 1 });

/** Facts of a process as the gate finds them: all, except that a command is optional. */
function process(word: fc.Arbitrary<string>): fc.Arbitrary<RequestFacts> {
  const more = fc.array(word, { maxLength: 3 });
  return fc.tuple(processOf(word), more).map(([facts, rest]) => {
    const { command } = facts;
    return command === undefined ? facts : { ...facts, arguments: [command, ...rest] };
  });
}

function processOf(word: fc.Arbitrary<string>): fc.Arbitrary<RequestFacts> {
  return fc.record(
    {
      command: word,
      // An entry without a name is denied, and never recorded.
      environment: sorted(word.map((text) => text.replaceAll('=', '')).filter((text) => text !== '')),
      // For a missing working directory, the guest's default is recorded.
      cwd: word.map((text) => (text === '' ? '/' : text)),
      user: fc.tuple(id, id).map((pair) => pair.join(':')),
      terminal: fc.boolean(),
      capabilities: sorted(fc.constantFrom('CAP_CHOWN', 'CAP_KILL', 'CAP_SYS_ADMIN', 'CAP_NET_RAW')),
    },
    { requiredKeys: ['environment', 'cwd', 'user', 'terminal', 'capabilities'] },
  );
}

function storages(word: fc.Arbitrary<string>): fc.Arbitrary<NonNullable<RequestFacts['storages']>> {
  return fc.array(fc.record({ driver: word, type: word, mountPoint: word }), { maxLength: 3 });
}

/** Facts of requests of a method. `word`: generates strings. */
export function factsArbitrary(
  method: MethodName,
  word: fc.Arbitrary<string> = fc.string({ unit: 'grapheme', maxLength: 8 }),
): fc.Arbitrary<RequestFacts> {
  switch (method) {
    case 'CreateContainer':
      return fc
        .tuple(
          fc.option(process(word), { nil: {} }),
          fc.record(
            {
              mounts: fc.array(fc.record({ type: word, source: word, destination: word }), { maxLength: 3 }),
              storages: storages(word),
              devices: fc.array(fc.record({ type: word, path: word }), { maxLength: 3 }),
              image: word.filter((text) => text !== ''),
            },
            { requiredKeys: ['mounts', 'storages', 'devices'] },
          ),
        )
        .map(([own, rest]) => ({ ...own, ...rest }));
    case 'ExecProcess':
      return fc.option(process(word), { nil: {} });
    case 'CreateSandbox':
    case 'UpdateEphemeralMounts':
      return storages(word).map((list) => ({ storages: list }));
    case 'CopyFile':
      return word.map((path) => ({ path }));
    case 'SignalProcess':
      return id.map((signal) => ({ signal }));
    default:
      return fc.constant({});
  }
}
