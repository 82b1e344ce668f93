import { CommandError, type CommandDefinition, ExitCode, readTextInput, reasonOf } from '@kata-agent/cli';
import { programName } from '../program-name.js';
import { readManifestFiles } from './config/manifest-files.js';
import { setupOptions } from './config/pod-files.js';

/** A check takes milliseconds; one that takes longer than this is ended. */
const limitMs = 10_000;

export const workbench: CommandDefinition = {
  path: 'workbench',
  summary: 'serve a page to write a configuration beside its pod, with the result as one types',
  details: [
    'Prints the address of a page on this machine alone, and serves it until SIGINT or SIGTERM. The page has the configuration at the left, Kubernetes objects at the right, and between them what config check --pod finds: each call served or refused, with the rule and the reason. It generates a configuration as config generate does, and completes as lsp does.',
    'The page has copies of the files: nothing is written, and nothing is loaded from elsewhere. The address contains a token, without which nothing is answered: anyone on this machine who knows it can ask. An evaluation is ended after 10 seconds, and texts are at most 1 MiB.',
  ],
  operands: [
    {
      syntax: '[pods...]',
      description: 'Kubernetes objects: files, directories, or - for standard input',
    },
  ],
  options: [
    { flags: '--config <file>', description: 'the configuration to begin with' },
    { flags: '--port <number>', description: 'the port on 127.0.0.1 (default: a free one)' },
    ...setupOptions,
  ],
  examples: [
    {
      line: 'kata-agent-ctl workbench pod.yaml --config config.toml',
      description: 'Prints the address; open it in a browser of this machine.',
    },
  ],
  run: async ({ io, options, operands }) => {
    const file = options.text('config');
    const texts = {
      configuration: file === undefined ? '' : readTextInput(file),
      pod: readManifestFiles(operands)
        .map(({ text }) => text)
        .join('\n---\n'),
    };
    const { Evaluator } = await import('../workbench/evaluator.js');
    const { serveWorkbench } = await import('../workbench/server.js');
    const { threadProgram } = await import('../workbench/thread.js');
    const { pageScript } = await import('@kata-agent/workbench-page/script');
    const port = options.whole('port', 0, 65_535) ?? 0;
    // Errors of a configuration are answers: nothing is printed.
    const evaluator = new Evaluator({
      program: threadProgram,
      data: { ...options.valuesOf(setupOptions), format: 'json' },
      limitMs,
    });
    let script: Promise<string> | undefined;
    const served = await serveWorkbench({
      port,
      texts,
      script: () => (script ??= pageScript()),
      evaluate: (job) => evaluator.evaluate(job),
    }).catch((error: unknown) => {
      throw new CommandError(ExitCode.CannotApply, `cannot listen on 127.0.0.1: ${reasonOf(error)}`, {
        help: [`leave out --port: ${programName} workbench takes a free one`],
        cause: error,
      });
    });
    const end = new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM']) io.signals.on(signal, () => resolve());
    });
    io.stdout.write(`${served.url}\n`);
    await end;
    await served.close();
    await evaluator.close();
    return ExitCode.Success;
  },
};
