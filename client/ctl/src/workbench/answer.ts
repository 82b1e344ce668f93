import { generate, openLine, type WorkloadReport } from '@kata-agent/analysis';
import { CommandError, ExitCode, type Options, processIo } from '@kata-agent/cli';
import { completeText, diagnoseText } from '@kata-agent/language-server/by-offset';
import type {
  Answers,
  CallResult,
  CheckAnswer,
  GenerateAnswer,
  Question,
  QuestionKind,
  WorkloadResult,
} from '@kata-agent/workbench-page/messages';
import { expectedCalls } from '@kata-agent/workloads';
import { checkPods } from '../commands/config/check-pods.js';
import { generateDocument } from '../commands/config/generated-document.js';
import { loadText } from '../commands/config/load-file.js';
import { inputNotes, type Pods, readPods } from '../commands/config/pod-files.js';
import { refusedLine, unbuiltLine } from '../commands/config/workload-text.js';

const io = processIo();

/** The name of the pod's text in messages. */
const podName = 'the pod';

/**
 * Answers a question of the page. Rejects with a CommandError for a pod that cannot be read, or for which nothing can be generated.
 *
 * @param options of the command, about the setup and images.
 */
export async function answer<Kind extends QuestionKind>(
  kind: Kind,
  question: Question,
  options: Options,
): Promise<Answers[Kind]> {
  const answers: { readonly [Each in QuestionKind]: () => Promise<Answers[Each]> } = {
    check: () => check(question, options),
    generate: () => generateOne(question, options),
    complete: async () => completeText(question.configuration, question.offset ?? 0),
  };
  return answers[kind]();
}

async function check({ configuration, pod }: Question, options: Options): Promise<CheckAnswer> {
  const findings = await diagnoseText(configuration);
  if (pod.trim() === '') return { findings, workloads: [] };
  try {
    const pods = await readPods(options, [{ file: podName, text: pod }]);
    const plans = pods.workloads.map((workload) => generate([workload], pods));
    const sum = (of: 'constrained' | 'facts'): number =>
      plans.reduce((total, { score }) => total + score[of], 0);
    const facts = {
      constrained: sum('constrained'),
      facts: sum('facts'),
      open: [...inputNotes(pods), ...plans.flatMap(({ open }) => open.map(openLine))],
    };
    const loaded = await loadText('the configuration', configuration, { sense: 'error' });
    if (!loaded.ok) return { findings, workloads: [], facts };
    const reports = await checkPods(loaded.configuration, pods);
    return { findings, workloads: reports.map((report) => workloadResult(report, pods)), facts };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    return { findings, workloads: [], podError: error.message };
  }
}

function workloadResult(report: WorkloadReport, { setup, images }: Pods): WorkloadResult {
  const { workload, sufficient, refused, changes, unbuilt, unchecked } = report;
  const methods = new Set(expectedCalls(workload, setup, images).map(({ method }) => method));
  const calls: readonly CallResult[] = [...methods].map((method) => ({
    method,
    refusals: refused
      .filter((each) => each.method === method)
      .map((each) => refusedLine(each).slice(`${method}: `.length)),
  }));
  return {
    name: `${workload.kind} ${workload.name}`,
    sufficient,
    calls,
    unbuilt: unbuilt.map(unbuiltLine),
    changes: changes.map(({ text, place }) => (place === undefined ? text : `${place}: ${text}`)),
    unchecked,
  };
}

async function generateOne({ pod }: Question, options: Options): Promise<GenerateAnswer> {
  const pods = await readPods(options, [{ file: podName, text: pod }]);
  if (pods.workloads.length !== 1)
    throw new CommandError(
      ExitCode.Failed,
      `${pods.workloads.length} workloads: a configuration is generated for one; remove the others`,
    );
  const { text } = await generateDocument(pods, [podName], { operands: [], options, io });
  return { configuration: text };
}
