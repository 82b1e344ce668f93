import { type Document, isCollection, isMap, LineCounter, parseAllDocuments, visit } from 'yaml';
import { Field, WorkloadError } from './field.js';

/** A file of Kubernetes objects: one, several documents, or lists of them. */
export interface ObjectFile {
  readonly file: string;
  readonly text: string;
}

/** Returns the objects of a file. Throws WorkloadError for a text that is not YAML. */
export function objectsOf(file: ObjectFile): readonly Field[] {
  return objectsIn(documentsOf(file));
}

/** Returns the objects of documents. */
export function objectsIn(documents: readonly Field[]): readonly Field[] {
  return documents.flatMap((root) =>
    root.get('kind')?.text().endsWith('List') === true ? root.list('items') : [root],
  );
}

/** Returns the documents of a file that are mappings. Throws WorkloadError for a text that is not YAML. */
export function documentsOf({ file, text }: ObjectFile): readonly Field[] {
  const lines = new LineCounter();
  // Kubernetes reads merge keys (`<<`), of YAML 1.1.
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, merge: true });
  if ('empty' in documents) return [];
  return documents.flatMap((document) => {
    const [error] = document.errors;
    const at = error?.pos[0] ?? mappingKeyOf(document);
    if (at !== undefined) {
      const { line, col } = lines.linePos(at);
      const why = error?.message ?? 'a mapping is the key of another one';
      throw new WorkloadError(`${file}:${line}:${col}`, isTemplate(text) ? template : why);
    }
    return isMap(document.contents) ? [Field.root(file, document, lines)] : [];
  });
}

/** Returns where a key is a mapping or a list, as `{{ .Values.image }}` is in YAML; undefined: objects have texts alone. */
function mappingKeyOf(document: Document): number | undefined {
  let found: number | undefined;
  visit(document, {
    Pair: (_key, { key }) => {
      if (!isCollection(key)) return undefined;
      found = key.range?.[0] ?? 0;
      return visit.BREAK;
    },
  });
  return found;
}

const template =
  'this is a template of Helm and no object: pass the output of helm template, with the file name -';

/** Reports whether a text has actions of Go's templates, as Helm's charts have. */
function isTemplate(text: string): boolean {
  return /\{\{-?\s*(?:\.|\$|(?:if|with|range|include|template|define|toYaml|end)\b)/.test(text);
}
