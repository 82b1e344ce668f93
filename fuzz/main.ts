// For usage see `npm run fuzz -- --help`.
import { type FuzzOptions, parseFuzzOptions, usage } from './options.js';
import { BrokenPromise, runTarget } from './run-target.js';

const options = optionsOrExit();
if (options === 'help') console.log(usage);
else await run(options);

function optionsOrExit(): FuzzOptions | 'help' {
  try {
    return parseFuzzOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`);
    process.exit(2);
  }
}

async function run({ targets, runs, seed }: FuzzOptions): Promise<void> {
  console.log(`seed ${seed}`);
  let at = '';
  // An error outside of a run, from a timer or a stream, cannot be assigned to a seed, only to a target.
  process.on('uncaughtExceptionMonitor', () => console.error(`uncaught while ${at} ran, after seed ${seed}`));
  for (const target of targets) {
    at = target.name;
    try {
      const { perSecond } = await runTarget(target, runs, seed);
      console.log(`${target.name.padEnd(16)} ${runs} runs, ${perSecond} a second`);
    } catch (error) {
      if (!(error instanceof BrokenPromise)) throw error;
      console.error(error.message);
      process.exitCode = 1;
    }
  }
}
