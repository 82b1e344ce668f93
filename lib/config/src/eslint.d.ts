// A declaration of toml-eslint-parser refers to a type of eslint, which is neither used nor installed.
declare module 'eslint' {
  export namespace SourceCode {
    type VisitorKeys = Readonly<Record<string, readonly string[]>>;
  }
}
