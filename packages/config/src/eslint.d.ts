// toml-eslint-parser names a type of eslint in a declaration that this package does not use, and does not depend on it.
declare module 'eslint' {
  export namespace SourceCode {
    type VisitorKeys = Readonly<Record<string, readonly string[]>>;
  }
}
