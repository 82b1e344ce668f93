/** A word or phrase that this repository does not use, and what it uses instead (docs/glossary.md). */
export interface WordRule {
  /** Matches in names, comments, messages and documents alike: a phrase has a space where a name has none. */
  readonly pattern: RegExp;
  readonly instead: string;
  /** Where the word is right: paths, each with a reason. */
  readonly except?: readonly (readonly [path: RegExp, reason: string])[];
}

/** A word that must be replaced. */
export interface WordFault {
  readonly file: string;
  /** 0: the name of the file. */
  readonly line: number;
  readonly word: string;
  readonly instead: string;
}

const tests = /\.test\.ts$|^tests\/|^bench\//;

/**
 * Forbidden words. Each pattern was chosen so that it finds no right use of the word: what needs a reader's judgement is in
 * docs/glossary.md only.
 */
export const wordRules: readonly WordRule[] = [
  // Names of our own for what the field has a name for.
  {
    pattern: /\b(?:most|least)[A-Z]\w*/,
    instead: 'max…, min…',
    except: [[/^lib\/evidence\//, 'names of structures of vendors']],
  },
  { pattern: /\b(?:take|takes|took|taken|taking)(?:[ -]back\b|Back)/, instead: 'roll back, or restore' },
  { pattern: /\b(?:put|puts)(?:[ -]back\b|Back)/, instead: 'restore' },
  {
    pattern: /\b(?:HeldPlaces|InTheMaking)\b|held-places|in[ -]the[ -]making/,
    instead: 'reservation, pending',
  },
  { pattern: /\bgoOn\b|\b(?<!from )(?:go|goes|going) on\b/, instead: 'continue, resume' },
  { pattern: /\bturnIn\b/, instead: 'waitForSlot' },
  { pattern: /\busual[A-Z]/, instead: 'default…' },
  {
    pattern: /\b(?:keep|kept)(?:Saved|Initdata|Policies|DeliveredDocuments|Revocations|Rejected)\b/,
    instead: 'persist…, saved…',
  },
  {
    pattern: /\b(?:const|let|readonly) said\b|\bsaid: (?:RegExp|string)/,
    instead: 'what it holds: expectedText, output, serverMessage',
  },
  { pattern: /\b(?:senseless|farewell\w*|stillAnswers|Succession)\b/, instead: 'docs/glossary.md' },
  {
    pattern: /\b[Tt]wins?\b|[a-z]Twins?\b|\b[Tt]wins?(?=[A-Z])/,
    instead: 'duplicate guest',
    except: [[tests, 'a name in a test']],
  },
  {
    pattern: /\b[Ss]trangers?(?=[A-Z])|#strangers?\b|\bstrangers?\b/,
    instead: 'unauthenticated client, another party',
    except: [[tests, 'a name in a test']],
  },
  { pattern: /\b[Kk]ernel[ -]?[Ll]ines?\b|[a-z]KernelLine/, instead: 'kernel command line' },
  {
    pattern: /\b(?:folders?\b|folders?(?=[A-Z])|Folders?(?=[A-Z]|\b))|[a-z]Folders?\b/,
    instead: 'directory',
  },
  {
    pattern: /\b(?:judge[ds]?|judging|[Vv]erdicts?|rulings?)\b|\b(?:judge|verdict)(?=[A-Z])|\bJudge/,
    instead: 'authorize, decision; check, result',
  },
  { pattern: /\bmend(?:s|ed|ing)?\b/, instead: 'fix' },
  { pattern: /\b(?:want|wants) of (?!a\b|the\b)/, instead: 'lack of; out of memory (OOM)' },
  { pattern: /\bfigures of\b|\bcollects figures\b/, instead: 'metrics' },
  // One thing, one word.
  {
    pattern: /\b(?:the|a) guest(?:['’])s image\b|\bimages? of (?:the|a) guests?\b/,
    instead: 'guest image (an image alone is of a container)',
  },
  {
    pattern: /\b[Aa]dmissions?\b|[a-z]Admission/,
    instead: 'acceptance of a guest; connection limits (admission is the checks of a request)',
    except: [
      [
        /^agent\/guest\/|^lib\/ttrpc\/|^docs\/(?:requirements|security|architecture)\.md$|^CONTRIBUTING\.md$|^docs\/adr\//,
        'the checks of a request',
      ],
      [/^agent\/server\/src\/interceptors\//, 'the checks of a request'],
      [/^client\/workloads\//, 'admission of Kubernetes'],
    ],
  },
  {
    pattern: /@kata-agent\/(?:image|admission|tool-image)\b/,
    instead: '@kata-agent/puller, connection-limits, tool-guest-image',
  },
  // Riddles: name the actor, or the value.
  { pattern: /\b[Ww]ho(?:m)?ever\b/, instead: 'the actor: anyone who, the caller, the host' },
  {
    pattern: /\/\*\* Who\b|\bthe one who\b|\b(?:by|for|of|only|to) who\b/,
    instead: 'the actor, or a verb: Returns the caller',
  },
  {
    pattern: /\b[Ss]omebody\b/,
    instead: 'the actor: a client, another party',
    except: [[tests, 'a name in a test']],
  },
  {
    pattern: /\b(?:its|their|(?:guest|realm|host|peer|server|agent|machine)['’]s) word\b(?! and\b)/,
    instead: 'unverified',
    except: [[/^agent\/guest\/src\/network\//, 'words of a line of iptables']],
  },
  { pattern: /\b(?:is|are) there twice\b/, instead: 'is duplicated' },
  {
    pattern: /\b(?:that|which|what) (?:is|are) none\b(?! of)|\bit is none\b/,
    instead: 'is invalid, is not one',
  },
  {
    pattern:
      /\b(?:that|which|what|[Ii]t) (?:is|are|was|were) no (?!longer\b|more\b|reason\b|decision\b|fault\b|part\b|help\b|use\b)/,
    instead: 'is not a',
  },
  { pattern: /\b(?:is|are) told\b(?! apart\b| from\b)/, instead: 'receives, is notified, logs' },
  {
    pattern: /\bof which nobody\b|\bnobody can reach\b|\bpattern climbs\b|\bof their scopes need\b/,
    instead: 'a sentence with an actor',
  },
];

/** Files whose words are not ours, or that must name what is forbidden. */
const wordsExempt: readonly (readonly [path: RegExp, reason: string])[] = [
  [/^CHANGELOG\.md$/, 'names what was renamed'],
  [/^docs\/records\//, 'records of reading and of measurements, with quotations'],
  [/^docs\/glossary\.md$/, 'has a column of what is not used'],
  [/^dev\/repository\/src\/check\/words(?:\.test)?\.ts$/, 'the table itself'],
  [/\/gen\//, 'generated; its source is checked'],
];

/** Returns the words of files that must be replaced, by file and line. `files`: text by path. */
export function wordFaults(
  files: ReadonlyMap<string, string>,
  rules: readonly WordRule[] = wordRules,
): readonly WordFault[] {
  return [...files].flatMap(([file, text]) => {
    if (wordsExempt.some(([path]) => path.test(file))) return [];
    const own = rules.filter(({ except = [] }) => !except.some(([path]) => path.test(file)));
    const lines = [file, ...text.split('\n')];
    return lines.flatMap((line, index) =>
      own.flatMap(({ pattern, instead }) =>
        [...line.matchAll(new RegExp(pattern, 'g'))].map(([word]) => ({ file, line: index, word, instead })),
      ),
    );
  });
}

/** Returns the message for a fault. */
export function wordFaultText({ file, line, word, instead }: WordFault): string {
  const where = line === 0 ? `${file}: its name` : `${file}:${line}`;
  return `${where}: ${JSON.stringify(word.trim())}; help: write instead: ${instead}`;
}
