import { isManagementMethod, type ManagementMethod, managementMethods } from '@kata-agent/catalogue';
import { nearest } from '../diagnostics/nearest.js';
import { listOfTexts } from './list-of-texts.js';
import { expected, type Reading, read, type ValueType } from './value-type.js';

const what = `a list of ${managementMethods.map((name) => `"${name}"`).join(' and ')}, not empty and each once`;

/** Groups and `*` are not accepted: management is never served by accident. */
function fromTexts(texts: readonly string[]): Reading<readonly ManagementMethod[]> {
  const unknown = texts.find((text) => !isManagementMethod(text));
  if (unknown !== undefined) {
    const near = nearest(unknown, managementMethods);
    return expected(
      what,
      near === undefined ? 'name each method; no group has one' : `did you mean "${near}"?`,
    );
  }
  const names = texts.filter(isManagementMethod);
  return names.length > 0 && new Set(names).size === names.length ? read(names) : expected(what);
}

/** Methods of the management service. */
export const managementList: ValueType<readonly ManagementMethod[]> = listOfTexts({
  name: 'list of management methods',
  what,
  items: { enum: managementMethods },
  fromTexts,
});
