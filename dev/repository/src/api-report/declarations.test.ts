import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { apiReport, exportedDeclarations } from './declarations.js';

const files: Readonly<Record<string, string>> = {
  '/p/index.d.ts': `/** The index. */
export { a, type B as C } from './x.js';
export type { Deep } from './deep/y.js';
export { outside } from '@other/package';
export declare const own: "/* no comment */";
//# sourceMappingURL=index.d.ts.map`,
  '/p/x.d.ts': `import type { Z } from './z.js';
/** A function. */
export declare function a(text: string): Z;
export declare function a(
/** How many. */
count: number): Z;
type Hidden = 'hidden';
export type B =
/** First. */
{
    readonly kind: Hidden;
}
/** Second. */
 | {
    readonly url: 'https://host';
};
export declare class NotExported {
}`,
  '/p/deep/y.d.ts': `export { Deep } from '../z.js';`,
  '/p/z.d.ts': `export interface Deep {
    // Of a line.
    readonly z: number;
}
export {};`,
};
const read = (path: string): string => files[path] ?? assert.fail(path);

describe('the API of a package', () => {
  it('is what its entry point exports, through other files, without comments', () => {
    assert.deepEqual(
      [...exportedDeclarations('/p/index.d.ts', read)],
      [
        ['a', 'function a(text: string): Z;\nfunction a(\ncount: number): Z;'],
        ['C', "C: type B =\n{\n    readonly kind: Hidden;\n}\n | {\n    readonly url: 'https://host';\n};"],
        ['Deep', 'interface Deep {\n    readonly z: number;\n}'],
        ['outside', 'outside of @other/package'],
        ['own', 'const own: "/* no comment */";'],
      ],
    );
  });

  it('changes with each declaration, and not with a comment or the order', () => {
    const text = (declarations: string): string =>
      apiReport('p', [['.', exportedDeclarations('/f', () => declarations)]]);
    const a = 'export declare const a: number;\n';
    const b = '/** Comment. */\nexport declare const b: string;\n';
    assert.equal(text(a + b), text(b.replace('Comment', 'Other') + a));
    assert.notEqual(text(a + b), text(a));
    assert.notEqual(text(a), text(a.replace('number', 'string')));
  });

  it('is an error if a form is not known or a name is missing', () => {
    const of = (index: string): unknown =>
      exportedDeclarations('/i.d.ts', (path) => (path === '/i.d.ts' ? index : 'export declare const b: 1;'));
    assert.throws(() => of("export * from './x.js';"), /not a known form of an export: export \*/);
    assert.throws(() => of('export default 1;'), /not a known form/);
    assert.throws(() => of("export { a } from './x.js';"), /\.\/x\.js does not export a/);
  });
});
