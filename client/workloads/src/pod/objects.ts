import { isMap, LineCounter, parseAllDocuments } from 'yaml';
import { Field, WorkloadError } from './field.js';

/** A file of Kubernetes objects: one, several documents, or lists of them. */
export interface ObjectFile {
  readonly file: string;
  readonly text: string;
}

/** Returns the objects of a file. Throws WorkloadError for a text that is not YAML. */
export function objectsOf({ file, text }: ObjectFile): readonly Field[] {
  const lines = new LineCounter();
  // Kubernetes reads merge keys (`<<`), of YAML 1.1.
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, merge: true });
  if ('empty' in documents) return [];
  return documents.flatMap((document) => {
    const [fault] = document.errors;
    if (fault !== undefined) {
      const { line, col } = lines.linePos(fault.pos[0]);
      throw new WorkloadError(`${file}:${line}:${col}`, isTemplate(text) ? template : fault.message);
    }
    if (!isMap(document.contents)) return [];
    const root = Field.root(file, document, lines);
    return root.get('kind')?.text().endsWith('List') === true ? root.list('items') : [root];
  });
}

const template =
  'this is a template of Helm and no object: pass the output of helm template, with the file name -';

/** Reports whether a text has actions of Go's templates, as Helm's charts have. */
function isTemplate(text: string): boolean {
  return /\{\{-?\s*(?:\.|\$|(?:if|with|range|include|template|define|toYaml|end)\b)/.test(text);
}
